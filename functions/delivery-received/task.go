package deliveryreceived

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// The sources that are no forge.
const (
	sourceSchedule   = "schedule"
	sourceCloudEvent = "cloudevent"
)

// task is the work on one round of one delivery.
type task struct {
	*Work
	delivery trigger.Delivery
	body     []byte
	cause    events.Envelope

	ending  trigger.Ending
	emitted []events.Envelope
	// pending is why one of several is to be tried again.
	pending error
}

func (t *task) work(ctx context.Context) error {
	switch t.delivery.Source {
	case sourceSchedule:
		return t.tick(ctx)
	case sourceCloudEvent:
		return t.cloudEvent(ctx)
	}
	f, err := t.forge(t.delivery.Source)
	if err != nil {
		return err
	}
	header := http.Header{}
	for key, value := range t.delivery.Header {
		header.Set(key, value)
	}
	h, err := f.Parse(header, t.body)
	if err != nil {
		return err
	}
	t.ending.Event, t.ending.Action, t.ending.Repository = h.Event, h.Action, h.Repository.Name
	t.ending.Ref, t.ending.SHA, t.ending.Actor = h.Ref, h.SHA, h.Actor.Login
	t.ending.Change = trigger.ChangeOf(t.delivery.ID, h)
	also := h.Also
	h.Also = nil
	for i, one := range append([]trigger.Happening{h}, also...) {
		p := &pipelines{task: t, forge: f, h: one}
		if i > 0 {
			p.mark = " (" + one.Ref + ")" // one file has one outcome for each ref
		}
		if err := p.work(ctx); !t.goesOn(ctx, err) {
			return err
		}
	}
	return t.pending
}

// goesOn tells whether the next of several is worked on though one failed: what a
// forge says of one repository or branch ends none of the others.
func (t *task) goesOn(ctx context.Context, err error) bool {
	var asked *askedError
	switch {
	case err == nil:
	case ctx.Err() != nil || !errors.As(err, &asked) && !errors.Is(err, errHopeless):
		return false
	case passing(t.delivery, err):
		t.pending = cmp.Or(t.pending, err)
	default:
		t.says(err.Error())
	}
	return true
}

// echoes are events that CI systems cause themselves: a pipeline for them would
// go round in circles.
var echoes = []string{"status", "check_run", "check_suite", "workflow_job", "workflow_run", "deployment_status"}

// pipelines is the work on one happening.
type pipelines struct {
	*task
	forge forge.Forge
	h     trigger.Happening
	mark  string // behind the names of files
	only  func(file string) bool
	// approval and config of a fork's head.
	approval *trigger.Approval
	config   string
	level    trigger.Level
	// ordered: somebody asked for it by a comment; the filters of paths do not
	// count.
	ordered bool
	// rerun: what ran is to run again.
	rerun bool
	// contexts are the names of the statuses, by file, and ran what was started.
	contexts map[string]string
	ran      []trigger.PullRun
	// named is the one pipeline that was asked for; empty: all.
	named string
}

func (p *pipelines) work(ctx context.Context) error {
	h := p.h
	switch {
	case h.Rerun != nil:
		return p.again(ctx)
	case slices.Contains(echoes, h.Event):
		p.says("nothing starts on " + h.Event + ": CI systems cause it themselves")
		return nil
	case !slices.Contains(language.Events(), h.Event):
		p.says("nothing starts on " + h.Event)
		return nil
	case h.Event == "push" && h.Deleted:
		p.says(plain(h.Ref) + " was deleted")
		return p.registered(ctx, nil)
	}
	if commands := trigger.Ordered(h); len(commands) > 0 {
		return p.obey(ctx, commands)
	}
	if err := p.complete(ctx); err != nil {
		return err
	}
	if err := p.review(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

// complete asks the forge for what its delivery does not tell: the commit.
func (p *pipelines) complete(ctx context.Context) error {
	h := &p.h
	if h.Pull != nil && (len(h.SHA) < wholeSHA || len(h.Pull.HeadSHA) < wholeSHA) {
		now, err := p.forge.Pull(ctx, h.Repository.Name, h.Pull.Number)
		if err != nil {
			return asking(err, "look at pull request %d", h.Pull.Number)
		}
		if !strings.HasPrefix(now.HeadSHA, h.SHA) {
			return fmt.Errorf("%w: the head of pull request %d moved on before it was known: its own delivery counts", errHopeless, now.Number)
		}
		h.Pull, h.SHA = &now, now.HeadSHA
	}
	if len(h.SHA) < wholeSHA {
		if h.Ref == "" {
			h.Ref = "refs/heads/" + h.Repository.DefaultBranch
		}
		at := h.SHA // cut off
		if at == "" {
			at = h.Ref
		}
		sha, err := p.forge.Head(ctx, h.Repository.Name, at)
		if err != nil {
			return asking(err, "look for the head of %s", at)
		}
		h.SHA = sha
	}
	if trigger.NeedsMessage(*h) {
		message, err := p.forge.Message(ctx, h.Repository.Name, h.SHA)
		if err != nil && !errors.Is(err, forge.ErrUnsupported) {
			return asking(err, "read the message of %s", short(h.SHA))
		}
		h.Message = message
	}
	p.ending.Ref, p.ending.SHA = h.Ref, h.SHA
	return nil
}

// wholeSHA is how long a commit's name is at least when it is not cut off.
const wholeSHA = 40

// review remembers the head of a fork's pull request, and finds out whether it
// was approved.
func (p *pipelines) review(ctx context.Context) error {
	if !p.h.Fork() {
		return nil
	}
	var approval *trigger.Approval
	err := p.Front.ChangeReview(ctx, p.pull(), func(r *trigger.Review, _ time.Time) bool {
		at := p.h.At
		if at.IsZero() {
			at = p.delivery.Received
		}
		changed := r.See(p.h.Pull.HeadSHA, at)
		approval = r.Approval
		return changed
	})
	if err != nil {
		return err
	}
	if approval == nil || approval.SHA != p.h.SHA {
		return nil
	}
	p.approval = approval
	head, err := p.head(ctx)
	if err != nil {
		return err
	}
	p.config = head.config()
	return nil
}

func (p *pipelines) pull() trigger.PullRef {
	return trigger.PullRef{Forge: p.forge.Name(), Repository: p.h.Repository.Name, Number: p.h.Pull.Number}
}

// head reads the files of the head, which some forges have in the fork alone.
func (p *pipelines) head(ctx context.Context) (files, error) {
	all, err := read(ctx, p.forge, p.h.Repository.Name, p.h.SHA)
	if from := p.h.Pull; err == nil && len(all.text) == 0 && from != nil && from.From.Name != "" && from.From.Name != p.h.Repository.Name {
		return read(ctx, p.forge, from.From.Name, p.h.SHA)
	}
	return all, err
}

// says notes what concerns no file in particular.
func (t *task) says(what string) {
	if t.ending.Reason != "" {
		what = t.ending.Reason + "; " + what
	}
	t.ending.Reason = what
}

func (p *pipelines) outcome(file string, result trigger.Result, run events.RunID, reason string) {
	p.ending.Outcomes = append(p.ending.Outcomes, trigger.Outcome{File: file + p.mark, Result: result, Run: run, Reason: reason})
}

// plain is a ref as people say it.
func plain(ref string) string {
	if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "the tag " + tag
	}
	return "the branch " + strings.TrimPrefix(ref, "refs/heads/")
}

// tick starts the pipeline that a schedule is for.
func (t *task) tick(ctx context.Context) error {
	var tick trigger.Tick
	if err := json.Unmarshal(t.body, &tick); err != nil {
		return fmt.Errorf("%w: the tick cannot be read: %w", errHopeless, err)
	}
	f, err := t.forge(tick.Forge)
	if err != nil {
		return err
	}
	return t.byBranch(ctx, f, trigger.Happening{Event: sourceSchedule, Action: tick.Cron, At: tick.At}, tick.Repository, tick.Branch, tick.File)
}

// cloudEvent starts the pipelines that subscribed to a CloudEvent.
func (t *task) cloudEvent(ctx context.Context) error {
	var e struct{ Type, Source, Subject string }
	if err := json.Unmarshal(t.body, &e); err != nil {
		return fmt.Errorf("%w: the event cannot be read: %w", errHopeless, err)
	}
	if t.Awaits != nil {
		woken, emitted, err := t.Awaits(ctx, t.cause, t.delivery, t.body)
		t.emitted = append(t.emitted, emitted...)
		if err != nil {
			return err
		}
		if woken > 0 {
			t.says(fmt.Sprintf("it woke %d jobs that waited for it", woken))
		}
	}
	subscriptions, err := t.Front.Subscriptions(ctx, e.Type)
	if err != nil {
		return err
	}
	if len(subscriptions) == 0 {
		t.says("no pipeline is for " + e.Type)
	}
	for _, s := range subscriptions {
		p := &pipelines{task: t, mark: " (" + s.Forge + "/" + s.Repository + ")"}
		if why := t.unsatisfied(s, e.Source); why != "" {
			p.outcome(s.File, trigger.Skipped, "", why)
			continue
		}
		if why := t.delivery.TooFar(); why != "" {
			p.outcome(s.File, trigger.Rejected, "", why)
			continue
		}
		f, err := t.forge(s.Forge)
		if err != nil {
			p.outcome(s.File, trigger.Skipped, "", err.Error())
			continue
		}
		if err := t.byBranch(ctx, f, trigger.Happening{Event: sourceCloudEvent, Action: e.Type}, s.Repository, s.Branch, s.File); !t.goesOn(ctx, err) {
			return err
		}
	}
	return t.pending
}

// unsatisfied tells why an event is not what a subscription is for.
func (t *task) unsatisfied(s trigger.Subscription, source string) string {
	switch {
	case s.Source != "" && s.Source != source:
		return fmt.Sprintf("the event's source is not %s", s.Source)
	case s.Where == "":
		return ""
	case t.Where == nil:
		return "this server knows no CESQL"
	}
	ok, err := t.Where(s.Where, t.body)
	switch {
	case err != nil:
		return fmt.Sprintf("where: %v", err)
	case !ok:
		return "the event does not satisfy: " + s.Where
	}
	return ""
}

// byBranch starts one file of the default branch as it is now.
func (t *task) byBranch(ctx context.Context, f forge.Forge, h trigger.Happening, repository, branch, file string) error {
	h.Forge, h.Delivery, h.Payload = f.Name(), string(t.delivery.ID), t.body
	h.Repository = trigger.Repository{Name: repository, DefaultBranch: branch}
	h.Ref = "refs/heads/" + branch
	sha, err := f.Head(ctx, repository, h.Ref)
	if err != nil {
		return asking(err, "look for the head of %s of %s", branch, repository)
	}
	h.SHA = sha
	p := &pipelines{task: t, forge: f, h: h, only: func(name string) bool { return name == file }}
	if t.delivery.Source == sourceCloudEvent {
		p.mark = " (" + f.Name() + "/" + repository + ")"
	}
	return p.start(ctx)
}
