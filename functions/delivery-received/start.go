package deliveryreceived

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// start holds the happening against every pipeline file and starts those that
// are for it.
func (p *pipelines) start(ctx context.Context) error {
	if err := p.knowLevel(ctx); err != nil {
		return err
	}
	grant := trigger.Trust(p.question())
	if !grant.Start {
		p.says(grant.Why)
		return nil
	}
	all, err := p.side(ctx, grant.Files)
	if err != nil {
		return err
	}
	names := all.pipelines()
	if len(names) == 0 {
		p.says(fmt.Sprintf("there is no pipeline file at %s of %s", short(all.sha), all.repository))
	}
	compiled, wrong := all.compile()
	p.contexts = trigger.Contexts(named(names, compiled), p.h.Pull != nil)
	for _, file := range names {
		if p.only != nil && !p.only(file) {
			continue
		}
		if spec := compiled[file]; spec != nil {
			err = p.one(ctx, file, spec, string(all.text[file]), grant)
		} else {
			err = p.reject(ctx, file, wrong[file], grant)
		}
		if err != nil {
			return err
		}
	}
	if err := p.remember(ctx); err != nil {
		return err
	}
	return p.registered(ctx, compiled)
}

// named are the pipelines that could be compiled, in order.
func named(names []string, compiled map[string]*pipeline.Spec) []trigger.Named {
	var all []trigger.Named
	for _, file := range names {
		if spec := compiled[file]; spec != nil {
			all = append(all, trigger.Named{File: file, Name: spec.Name})
		}
	}
	return all
}

// remember notes the runs of a pull request, for the commands about it. What
// fails here is done again, as all of the delivery is.
func (p *pipelines) remember(ctx context.Context) error {
	if p.h.Pull == nil || len(p.ran) == 0 {
		return nil
	}
	return p.Front.ChangeReview(ctx, p.pull(), func(r *trigger.Review, _ time.Time) bool { return r.Ran(p.ran...) })
}

// question is what trust is decided on.
func (p *pipelines) question() trigger.Question {
	return trigger.Question{Happening: p.h, Level: p.level, Approval: p.approval, Config: p.config, Rerun: p.rerun}
}

// knowLevel asks what the actor may do, where trust hangs on it.
func (p *pipelines) knowLevel(ctx context.Context) error {
	h := p.h
	if p.level != trigger.None || h.Actor.Login == "" || h.Comment == nil && slices.Contains(byRight, h.Event) {
		return nil
	}
	level, err := p.forge.Level(ctx, h.Repository.Name, h.Actor.Login)
	if err != nil {
		return asking(err, "ask what %s may do", h.Actor.Login)
	}
	p.level = level
	return nil
}

// byRight are the frequent events for which trust does not hang on what the
// actor may do.
var byRight = []string{"push", "pull_request", "create", "delete", "release", "merge_group", sourceSchedule, sourceCloudEvent}

// side reads the files of one side.
func (p *pipelines) side(ctx context.Context, side trigger.Side) (files, error) {
	if side == trigger.Head || p.h.Pull == nil {
		return p.head(ctx)
	}
	// The branch as it is now: a fork may be based on an old one, whose files had
	// a hole that is closed since.
	sha, err := p.forge.Head(ctx, p.h.Repository.Name, "refs/heads/"+p.h.Pull.Base)
	if err != nil {
		return files{}, asking(err, "look for the head of %s", p.h.Pull.Base)
	}
	return read(ctx, p.forge, p.h.Repository.Name, sha)
}

// mostWrong are the mistakes of a file that an outcome tells.
const mostWrong = 5

// reject refuses a file with all that is wrong with it, in the delivery and on
// the commit.
func (p *pipelines) reject(ctx context.Context, file string, errs workflow.Errors, grant trigger.Grant) error {
	said := make([]string, 0, mostWrong+1)
	for _, e := range errs[:min(len(errs), mostWrong)] {
		said = append(said, e.Error())
	}
	if more := len(errs) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	p.outcome(file, trigger.Rejected, "", strings.Join(said, "\n"))
	if p.h.Event != "push" && p.h.Event != "pull_request" {
		return nil
	}
	status := trigger.Status{
		Context: "relevo/" + file, State: trigger.Failed, Description: "refused: " + said[0], Run: runID(p.delivery.ID, file+p.mark),
	}
	if grant.Files == trigger.Base && p.h.Pull != nil {
		status.State = trigger.Errored // it is not the author's
	} else {
		status.Annotations = mistakes(errs)
	}
	if runes := []rune(status.Description); len(runes) > mostDescription {
		status.Description = string(runes[:mostDescription-1]) + "…"
	}
	if p.Public != "" {
		status.Link = strings.TrimSuffix(p.Public, "/") + "/v1/deliveries/" + string(p.delivery.ID)
	}
	cause := p.cause
	cause.ID = events.DeriveID("refused", cause.ID, file+p.mark)
	res, err := p.Front.Learn(ctx, name, cause, events.ReportRef{Forge: p.h.Forge, Repository: p.h.Repository.Name, SHA: p.h.SHA},
		trigger.News{Status: status, Requested: p.delivery.Received, Sequence: 1})
	p.emitted = append(p.emitted, res.Emitted...)
	return err
}

// mostDescription is what the narrowest forge shows, in characters.
const mostDescription = 140

// one starts a pipeline, or says why not.
func (p *pipelines) one(ctx context.Context, file string, spec *pipeline.Spec, source string, grant trigger.Grant) error {
	if p.named != "" && !strings.EqualFold(p.named, spec.Name) {
		p.outcome(file, trigger.Skipped, "", fmt.Sprintf("it was asked for %s", p.named))
		return nil
	}
	changed, err := p.changed(ctx, spec.Triggers)
	if err != nil {
		return err
	}
	verdict := trigger.Match(p.h, spec.Triggers, changed)
	if !verdict.Run {
		p.outcome(file, trigger.Skipped, "", verdict.Why)
		return nil
	}
	run, err := p.create(ctx, file, spec, source, grant)
	if err != nil {
		return err
	}
	why := verdict.Why
	if grant.Untrusted || p.approval != nil {
		why += "; " + grant.Why
	}
	p.outcome(file, trigger.Started, run, why)
	return nil
}

// changed finds out what the happening changed, where a filter looks at it.
func (p *pipelines) changed(ctx context.Context, on []pipeline.Trigger) (trigger.Changed, error) {
	h := p.h
	switch {
	case p.ordered || !trigger.NeedsPaths(h, on):
		return trigger.Changed{}, nil
	case h.Changed != nil:
		return trigger.Changed{Paths: h.Changed, Whole: true}, nil
	case h.Pull == nil && h.Before == "":
		return trigger.Changed{}, nil // a new branch: there is nothing to compare with
	}
	base, number := h.Before, 0
	if h.Pull != nil {
		base, number = h.Pull.BaseSHA, h.Pull.Number
	}
	paths, whole, err := p.forge.Changed(ctx, h.Repository.Name, base, h.SHA, number)
	if err != nil {
		return trigger.Changed{}, asking(err, "ask what was changed")
	}
	p.h.Changed = slices.Clip(paths)
	if !whole {
		return trigger.Changed{Paths: paths}, nil
	}
	if p.h.Changed == nil {
		p.h.Changed = []string{}
	}
	return trigger.Changed{Paths: paths, Whole: true}, nil
}

// create accepts the run; the same delivery and file ask for the same one.
func (p *pipelines) create(ctx context.Context, file string, spec *pipeline.Spec, source string, grant trigger.Grant) (events.RunID, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("%w: encode job graph: %w", errHopeless, err)
	}
	h := p.h
	req := events.RunRequested{
		RunRef:   events.RunRef{Run: runID(p.delivery.ID, file+p.mark)},
		Pipeline: spec.Name, File: file, Project: h.Forge + "/" + h.Repository.Name, Spec: raw, Source: events.Kept(source),
		Trigger: events.Trigger{
			Event: h.Event, Actor: h.Actor.Login, Repository: h.Repository.Name, Ref: h.Ref, SHA: h.SHA,
			Payload: p.payload(), Forge: h.Forge, Clone: h.Repository.Clone, Delivery: p.delivery.ID, Untrusted: grant.Untrusted,
			Context: p.contexts[file],
			Hops:    p.delivery.Hops,
		},
	}
	if h.Pull != nil {
		req.Trigger.PullRequest, req.Trigger.Base, req.Trigger.Head = h.Pull.Number, h.Pull.Base, h.Pull.Head
		req.Trigger.Fork = h.Fork()
		p.ran = append(p.ran, trigger.PullRun{Run: req.Run, File: file, SHA: h.SHA})
	}
	if p.Wake != nil {
		p.Wake()
	}
	res, err := p.Runs.CreateWithin(ctx, name, req, p.delivery.Traceparent())
	if err != nil {
		return "", fmt.Errorf("start %s: %w", file, err)
	}
	p.emitted = append(p.emitted, res.Emitted...)
	return req.Run, nil
}

// runID is derived from the delivery and the file. It tells no time.
func runID(d events.DeliveryID, file string) events.RunID {
	sum := sha256.Sum256(fmt.Appendf(nil, "delivery %d:%s %d:%s", len(d), d, len(file), file))
	return events.RunID(ulid.ULID(sum[:16]).String())
}
