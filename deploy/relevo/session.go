package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cli"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// session is one `relevo run`.
type session struct {
	*parts
	req   events.RunRequested
	view  cli.View
	file  *os.File // of --events; nil without
	queue *inbox
	mu    sync.Mutex
	seen  map[string]bool
	held  map[events.AssignmentID]bool
	final chan events.Envelope
	free  chan struct{} // signalled when an assignment is released
	tails map[events.AttemptRef]*follower
	ask   *asker // nil where the run awaits no approval
	asked chan events.AwaitRequested
}

func newSession(ctx context.Context, f runFlags, spec *pipeline.Spec, req events.RunRequested) (*session, error) {
	s := &session{
		req: req, seen: map[string]bool{}, held: map[events.AssignmentID]bool{},
		final: make(chan events.Envelope, 1), free: make(chan struct{}, 1),
		tails: map[events.AttemptRef]*follower{}, queue: newInbox(),
	}
	if f.events != "" {
		file, err := os.Create(f.events)
		if err != nil {
			return nil, usage(err)
		}
		s.file = file
	}
	p, err := f.assemble(ctx, false)
	if err != nil {
		return nil, err
	}
	s.parts = p
	if err := s.mayAsk(spec); err != nil {
		s.close()
		return nil, err
	}
	s.view = newView(spec, req)
	p.host.Tap(s.see)
	go s.present()
	return s, nil
}

// mayAsk gets the terminal ready where a job awaits an approval.
func (s *session) mayAsk(spec *pipeline.Spec) (err error) {
	n := 0
	for i := range spec.Jobs {
		if a := spec.Jobs[i].Await; a != nil && a.Approval {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	s.asked = make(chan events.AwaitRequested, n) // each job awaits once
	s.ask, err = newAsker()
	return err
}

// see takes an event from the bus: it must be quick.
func (s *session) see(e events.Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[e.ID] {
		return
	}
	s.seen[e.ID] = true
	if s.file != nil {
		// Not buffered: it can be followed, and is whole however this ends.
		if line, err := json.Marshal(e); err == nil {
			_, _ = s.file.Write(append(line, '\n'))
		}
	}
	s.queue.put(e)
}

// play submits the run and waits for its end and for its workers to be gone.
func (s *session) play(ctx context.Context, stop <-chan os.Signal) error {
	if err := s.host.Submit(ctx, s.req); err != nil {
		return infra(err)
	}
	if s.ask != nil {
		asking, over := context.WithCancel(ctx)
		defer over()
		go s.approvals(asking)
	}
	var last events.Envelope
	for last.ID == "" {
		select {
		case last = <-s.final:
		case <-stop:
			s.view.Notice("cancelling: once more to leave at once")
			go func(again <-chan os.Signal) {
				<-again
				s.ask.close()
				os.Exit(exitCancelled)
			}(stop)
			stop = nil // the second signal is not for this loop
			if err := s.cancel(ctx); err != nil {
				s.view.Notice("cancel: " + err.Error())
			}
		}
	}
	s.drain()
	s.view.Close()
	if code := cli.ExitCode(last); code != exitOK {
		return &status{code: code}
	}
	return nil
}

func (s *session) cancel(ctx context.Context) error {
	return s.host.Cancel(ctx, events.CancelRequested{RunRef: s.req.RunRef, Reason: "interrupted", By: "person"})
}

// drain waits until every worker of the run is removed.
func (s *session) drain() {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		s.mu.Lock()
		n := len(s.held)
		s.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-s.free:
		case <-limit.C:
			s.view.Notice(fmt.Sprintf("%d workers are not removed yet", n))
			return
		}
	}
}

func (s *session) close() {
	s.ask.close()
	s.parts.close()
	if s.file != nil {
		_ = s.file.Close()
	}
}
