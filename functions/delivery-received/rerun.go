package deliveryreceived

import (
	"context"
	"errors"
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/state"
)

// again runs again what ran for a commit, as somebody asked at the forge: the
// same pipelines, with no more than trust allows now. The forge is asked whether
// whoever it was may write.
func (p *pipelines) again(ctx context.Context) error {
	h := p.h
	level, err := p.forge.Level(ctx, h.Repository.Name, h.Actor.Login)
	if err != nil {
		return asking(err, "ask what %s may do", h.Actor.Login)
	}
	p.level = level
	report, err := p.Front.Report(ctx, events.ReportRef{Forge: p.forge.Name(), Repository: h.Repository.Name, SHA: h.SHA})
	if err != nil {
		return err
	}
	found := false
	for _, k := range report.Contexts {
		if h.Rerun.Context != "" && h.Rerun.Context != k.Context {
			continue
		}
		found = true
		if err := p.context(ctx, k); err != nil {
			return err
		}
	}
	if !found {
		p.says("nothing of " + short(h.SHA) + " is known that could run again")
	}
	return nil
}

// context runs again what a status is of.
func (p *pipelines) context(ctx context.Context, k *trigger.Known) error {
	run, _, err := p.Runs.Load(ctx, k.Run)
	if errors.Is(err, state.ErrNoRun) {
		p.says(k.Context + ": its run is not known any more: push, or comment /test")
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at run %s: %w", k.Run, err)
	}
	if !run.State.Final() {
		p.says(k.Context + ": the run is not over")
		return nil
	}
	grant, err := p.allows(ctx, run.Request().Trigger)
	if err != nil {
		return err
	}
	if !grant.Start {
		p.says(k.Context + ": " + grant.Why)
		return nil
	}
	return p.repeat(ctx, run, grant)
}

// allows decides what the new run may have.
func (p *pipelines) allows(ctx context.Context, first events.Trigger) (trigger.Grant, error) {
	var review trigger.Review
	if first.PullRequest > 0 {
		var err error
		ref := trigger.PullRef{Forge: first.Forge, Repository: first.Repository, Number: first.PullRequest}
		if review, err = p.Front.Review(ctx, ref); err != nil {
			return trigger.Grant{}, err
		}
	}
	return trigger.Again(first, review, p.h.Actor, p.level), nil
}

// repeat starts the run anew; the same delivery and context ask for the same one.
func (p *pipelines) repeat(ctx context.Context, run *pipeline.Run, grant trigger.Grant) error {
	t := run.Request().Trigger
	t.Actor, t.Delivery = p.h.Actor.Login, p.delivery.ID
	t.Untrusted = t.Untrusted || !grant.Secrets
	req, err := run.Retry(t, false)
	if err != nil {
		return fmt.Errorf("run %s again: %w", run.ID, err)
	}
	mark := p.mark
	if req.Trigger.PullRequest > 0 {
		mark = fmt.Sprintf(" (#%d)", req.Trigger.PullRequest) + mark
	}
	req.RunRef = events.RunRef{Run: runID(p.delivery.ID, req.File+mark)}
	if p.Wake != nil {
		p.Wake()
	}
	res, err := p.Runs.CreateWithin(ctx, name, req, p.delivery.Traceparent())
	if err != nil {
		return fmt.Errorf("start %s: %w", req.File, err)
	}
	p.emitted = append(p.emitted, res.Emitted...)
	p.ending.Outcomes = append(p.ending.Outcomes, trigger.Outcome{
		File: req.File + mark, Result: trigger.Started, Run: req.Run, Reason: p.h.Actor.Login + " asked to run it again; " + grant.Why,
	})
	if req.Trigger.PullRequest == 0 {
		return nil
	}
	p.h.Pull = &trigger.Pull{Number: req.Trigger.PullRequest}
	p.ran = []trigger.PullRun{{Run: req.Run, File: req.File, SHA: req.Trigger.SHA}}
	return p.remember(ctx)
}
