package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// mayWait refuses a pipeline with a job that nobody could end the wait of: no
// other system sends events to a single run, and without a terminal there is
// nobody to approve.
func mayWait(spec *pipeline.Spec, terminal bool) error {
	for i := range spec.Jobs {
		switch j := &spec.Jobs[i]; {
		case j.Await == nil:
		case j.Await.Approval && !terminal:
			return fmt.Errorf("job %s awaits an approval, and there is no terminal to ask on: start `relevo up` and hand the pipeline to it with `relevo submit`", j.ID)
		case !j.Await.Approval && !emits(spec, j.Await.Type):
			return fmt.Errorf("job %s awaits the event %s, which nobody can send to `relevo run`: start `relevo up` and hand the pipeline to it with `relevo submit`", j.ID, j.Await.Type)
		}
	}
	return nil
}

// emits tells whether a step of the pipeline emits events of a type itself.
func emits(spec *pipeline.Spec, kind string) bool {
	for i := range spec.Jobs {
		for _, step := range spec.Jobs[i].Steps {
			if step.Emit == nil {
				continue
			}
			if text, literal := step.Emit.Type.Literal(); literal && text == kind {
				return true
			}
		}
	}
	return false
}

// asker asks a person on the terminal, one question after another.
type asker struct {
	in       *os.File
	answers  chan byte // what was typed; closed at its end
	restored *unix.Termios
}

func atTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// newAsker makes the terminal hand out each key at once, and show none: the
// view paints there. Ctrl-C stays what it is.
func newAsker() (*asker, error) {
	a := &asker{in: os.Stdin, answers: make(chan byte)}
	fd := int(a.in.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("ask on the terminal: %w", err)
	}
	keys := *was
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &keys); err != nil {
		return nil, fmt.Errorf("ask on the terminal: %w", err)
	}
	a.restored = was
	go a.read()
	return a, nil
}

func (a *asker) read() {
	defer close(a.answers)
	for b := make([]byte, 1); ; {
		if n, err := a.in.Read(b); n == 0 || err != nil {
			return
		}
		a.answers <- b[0]
	}
}

// close leaves the terminal as it was.
func (a *asker) close() {
	if a != nil {
		_ = unix.IoctlSetTermios(int(a.in.Fd()), unix.TCSETS, a.restored)
	}
}

var errNobody = errors.New("the terminal was closed")

// yes waits for y or n.
func (a *asker) yes(ctx context.Context) (bool, error) {
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case key, open := <-a.answers:
			switch {
			case !open:
				return false, errNobody
			case key == 'y' || key == 'Y':
				return true, nil
			case key == 'n' || key == 'N':
				return false, nil
			}
		}
	}
}

// wonder takes note of what is to be asked.
func (s *session) wonder(e events.Envelope) {
	if s.ask == nil || e.Type != events.TypeAwaitRequested {
		return
	}
	if d, err := events.Decode[events.AwaitRequested](e); err == nil && d.Data.Approval {
		s.asked <- d.Data
	}
}

// approvals asks for each approval that the run comes to await.
func (s *session) approvals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.asked:
			if err := s.approval(ctx, d); err != nil && ctx.Err() == nil {
				s.view.Notice(fmt.Sprintf("approve %s: %v", d.Job, err))
			}
		}
	}
}

func (s *session) approval(ctx context.Context, d events.AwaitRequested) error {
	run, moment, err := s.host.Deps.Runs.Load(ctx, d.Run)
	if err != nil {
		return err
	}
	j := run.Job(d.Job)
	if j == nil || !j.Awaiting() {
		return nil // it was cancelled meanwhile
	}
	s.view.Notice(fmt.Sprintf("approve %s? (y/n)", d.Name))
	answer := events.AwaitMatched{JobRef: d.JobRef, By: "terminal"}
	approved, err := s.ask.yes(ctx)
	if errors.Is(err, errNobody) {
		answer.Reason = err.Error()
	} else if err != nil {
		return err
	}
	answer.Refused = !approved
	e, err := events.New(events.DeriveID("await.matched", j.Asked), "/relevo/run", j.Asked, moment.Now, answer)
	if err != nil {
		return err
	}
	if err := s.host.Publish(ctx, []events.Envelope{e}); err != nil {
		return err
	}
	return s.host.Handle(ctx, "await-matched", e)
}
