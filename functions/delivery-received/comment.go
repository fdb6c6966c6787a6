package deliveryreceived

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	cancelrequested "github.com/relevo-ci/relevo/functions/cancel-requested"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
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
			p.says(fmt.Sprintf("nothing of pull request %d failed", p.h.Pull.Number))
			return nil
		}
		p.only, p.rerun = func(file string) bool { return slices.Contains(failed, file) }, true
		defer func() { p.only, p.rerun = nil, false }()
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

// failed are the files whose last run for the pull request did not succeed,
// whatever its head was then.
func (p *pipelines) failed(ctx context.Context) ([]string, error) {
	review, err := p.Front.Review(ctx, p.pull())
	if err != nil {
		return nil, err
	}
	var list []string
	err = p.runs(ctx, review.Latest(), func(run *pipeline.Run, _ protocol.Moment) error {
		if run.State.Final() && run.State != pipeline.RunSucceeded {
			list = append(list, run.Request().File)
		}
		return nil
	})
	return list, err
}

// stop cancels what runs for the pull request, whatever its head was then.
func (p *pipelines) stop(ctx context.Context) error {
	review, err := p.Front.Review(ctx, p.pull())
	if err != nil {
		return err
	}
	var stopped []string
	err = p.runs(ctx, review.Runs, func(run *pipeline.Run, moment protocol.Moment) error {
		if run.State.Final() {
			return nil
		}
		req := run.Request()
		e, err := events.New(events.DeriveID("cancel.requested", string(req.Run), ""), "/relevo/"+name, run.Asked, moment.Now, events.CancelRequested{
			RunRef: req.RunRef, Reason: "cancelled by a comment of " + p.h.Actor.Login, By: p.h.Actor.Login,
		})
		if err != nil {
			return err
		}
		emitted, err := cancelrequested.New(p.Runs).Handle(ctx, run.Traced(e))
		p.emitted = append(append(p.emitted, run.Traced(e)), emitted...)
		stopped = append(stopped, string(req.Run))
		return err
	})
	p.says(fmt.Sprintf("cancelled %d runs of pull request %d%s", len(stopped), p.h.Pull.Number, list(stopped)))
	return err
}

// mostListed are the runs that a reason names.
const mostListed = 10

func list(runs []string) string {
	if len(runs) == 0 {
		return ""
	}
	if more := len(runs) - mostListed; more > 0 {
		return ": " + strings.Join(runs[:mostListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return ": " + strings.Join(runs, ", ")
}

// runs goes through runs of the pull request; those that are over for so long
// that nothing is known of them are passed over.
func (p *pipelines) runs(ctx context.Context, all []trigger.PullRun, then func(*pipeline.Run, protocol.Moment) error) error {
	for _, k := range all {
		run, moment, err := p.Runs.Load(ctx, k.Run)
		if errors.Is(err, state.ErrNoRun) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at run %s: %w", k.Run, err)
		}
		if err := then(run, moment); err != nil {
			return err
		}
	}
	return nil
}
