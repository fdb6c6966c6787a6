package deliveryreceived

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	cancelrequested "github.com/relevo-ci/relevo/functions/cancel-requested"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// obey does what the commands of a comment say, if the forge says now that
// whoever wrote it has the right to. They are about the pull request as the
// forge describes it now, never as the comment's delivery does.
func (p *pipelines) obey(ctx context.Context, commands []trigger.Command) error {
	h := p.h
	level, err := p.forge.Level(ctx, h.Repository.Name, h.Actor.Login)
	if err != nil {
		return asking(err, "ask what %s may do", h.Actor.Login)
	}
	p.level = level
	if level < trigger.Write { // no pull request need be looked at
		for _, c := range commands {
			now := h
			now.Pull = &trigger.Pull{Number: h.Comment.Issue, Open: true}
			p.says(trigger.RefusesCommand(c, now, level))
		}
		return nil
	}
	now, err := p.forge.Pull(ctx, h.Repository.Name, h.Comment.Issue)
	if err != nil {
		return asking(err, "look at pull request %d", h.Comment.Issue)
	}
	p.h, p.ordered = h.OfPull(now), true
	p.ending.Ref, p.ending.SHA = p.h.Ref, p.h.SHA
	for _, c := range commands {
		if why := trigger.RefusesCommand(c, p.h, level); why != "" {
			p.says(why)
			continue
		}
		if err := p.command(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipelines) command(ctx context.Context, c trigger.Command) error {
	switch c.Verb {
	case trigger.Stop:
		return p.stop(ctx)
	case trigger.OKTest:
		why, err := p.approve(ctx)
		if err != nil {
			return err
		}
		if why != "" {
			p.says("/" + string(c.Verb) + ": " + why)
			return nil
		}
		p.says(fmt.Sprintf("%s approved %s", p.h.Actor.Login, short(p.h.SHA)))
	case trigger.Retest:
		failed, err := p.failed(ctx)
		if err != nil {
			return err
		}
		if len(failed) == 0 {
			p.says("nothing of " + short(p.h.SHA) + " failed")
			return nil
		}
		p.only = func(file string) bool { return slices.Contains(failed, file) }
		defer func() { p.only = nil }()
	}
	p.named = c.Name
	defer func() { p.named = "" }()
	if err := p.review(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

// approve binds the approval to the head as it is now, and to its files.
func (p *pipelines) approve(ctx context.Context) (why string, err error) {
	if !p.h.Fork() {
		return "", nil // its code is the repository's own
	}
	head, err := p.head(ctx)
	if err != nil {
		return "", err
	}
	err = p.Front.ChangeReview(ctx, p.pull(), func(r *trigger.Review, now time.Time) bool {
		why = r.Approve(p.h, p.level, head.config(), now)
		return true // what is refused may have shown a new head
	})
	return why, err
}

// failed are the files whose last run for the head did not succeed.
func (p *pipelines) failed(ctx context.Context) ([]string, error) {
	var list []string
	err := p.runs(ctx, func(k *trigger.Known) bool { return k.State.Final() && k.State != trigger.Succeeded }, func(req events.RunRequested) error {
		list = append(list, req.File)
		return nil
	})
	return list, err
}

// stop cancels what runs for the head.
func (p *pipelines) stop(ctx context.Context) error {
	stopped := 0
	err := p.runs(ctx, func(k *trigger.Known) bool { return !k.State.Final() }, func(req events.RunRequested) error {
		run, moment, err := p.Runs.Load(ctx, req.Run)
		if err != nil || run.State.Final() {
			return err
		}
		e, err := events.New(events.DeriveID("cancel.requested", string(req.Run), ""), "/relevo/"+name, run.Asked, moment.Now, events.CancelRequested{
			RunRef: req.RunRef, Reason: "cancelled by a comment of " + p.h.Actor.Login, By: p.h.Actor.Login,
		})
		if err != nil {
			return err
		}
		emitted, err := cancelrequested.New(p.Runs).Handle(ctx, e)
		p.emitted = append(append(p.emitted, e), emitted...)
		stopped++
		return err
	})
	p.says(fmt.Sprintf("%d runs of %s were cancelled", stopped, short(p.h.SHA)))
	return err
}

// runs goes through the last run of each context of the head, of this pull
// request, that is wanted.
func (p *pipelines) runs(ctx context.Context, wanted func(*trigger.Known) bool, then func(events.RunRequested) error) error {
	report, err := p.Front.Report(ctx, events.ReportRef{Forge: p.forge.Name(), Repository: p.h.Repository.Name, SHA: p.h.SHA})
	if err != nil {
		return err
	}
	for _, k := range report.Contexts {
		if !wanted(k) {
			continue
		}
		run, _, err := p.Runs.Load(ctx, k.Run)
		if err != nil {
			return fmt.Errorf("look at run %s: %w", k.Run, err)
		}
		if req := run.Request(); req.Trigger.PullRequest == p.h.Pull.Number {
			if err := then(req); err != nil {
				return err
			}
		}
	}
	return nil
}
