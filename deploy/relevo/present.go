package main

import (
	"context"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// inbox is an unbounded queue of events between the bus, which must not wait,
// and the view, which may.
type inbox struct {
	mu    sync.Mutex
	list  []events.Envelope
	ready chan struct{}
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (q *inbox) put(e events.Envelope) {
	q.mu.Lock()
	q.list = append(q.list, e)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *inbox) take() []events.Envelope {
	<-q.ready
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// present shows events in order, each attempt's log before its end.
func (s *session) present() {
	for {
		for _, e := range s.queue.take() {
			s.one(e)
			s.wonder(e)
		}
	}
}

func (s *session) one(e events.Envelope) {
	switch e.Type {
	case events.TypeJobStarted:
		if d, err := events.Decode[events.JobStarted](e); err == nil {
			s.follow(d.Data.AttemptRef)
		}
	case events.TypeJobCompleted:
		if d, err := events.Decode[events.JobCompleted](e); err == nil {
			s.unfollow(d.Data.AttemptRef)
		}
	case events.TypeJobFailed:
		if d, err := events.Decode[events.JobFailed](e); err == nil {
			s.unfollow(d.Data.AttemptRef)
		}
	case events.TypeJobRetried:
		if d, err := events.Decode[events.JobRetried](e); err == nil {
			s.unfollow(d.Data.AttemptRef)
		}
	case events.TypeJobCancelled:
		if d, err := events.Decode[events.JobCancelled](e); err == nil {
			s.unfollow(d.Data.AttemptRef)
		}
	case events.TypeAssignmentCreated:
		if d, err := events.Decode[events.AssignmentCreated](e); err == nil {
			s.hold(d.Data.Assignment, true)
		}
	case events.TypeAssignmentReleased:
		if d, err := events.Decode[events.AssignmentReleased](e); err == nil {
			s.hold(d.Data.Assignment, false)
		}
	}
	s.view.Event(e)
	switch e.Type {
	case events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled:
		s.final <- e
	}
}

func (s *session) hold(a events.AssignmentID, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held {
		s.held[a] = true
		return
	}
	delete(s.held, a)
	select {
	case s.free <- struct{}{}:
	default:
	}
}

// follower copies an attempt's log to the view as it grows.
type follower struct {
	stop context.CancelFunc
	done chan struct{}
}

func (s *session) follow(ref events.AttemptRef) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{stop: cancel, done: make(chan struct{})}
	s.tails[ref] = f
	go func() {
		defer close(f.done)
		s.copyLog(ctx, ref)
	}()
}

func (s *session) copyLog(ctx context.Context, ref events.AttemptRef) {
	buf := make([]byte, 256<<10)
	var at int64
	for {
		n, _, closed, err := s.logs.Read(context.WithoutCancel(ctx), ref, at, buf)
		if err != nil {
			s.view.Notice("log: " + err.Error())
			return
		}
		if n > 0 {
			s.view.Log(ref, buf[:n])
			at += int64(n)
			continue
		}
		if closed || s.logs.Wait(ctx, ref, at) != nil {
			return
		}
	}
}

// unfollow lets the view have the rest of an attempt's log before its end is
// shown. The log of a lost worker never closes: what is there is all.
func (s *session) unfollow(ref events.AttemptRef) {
	f, ok := s.tails[ref]
	if !ok {
		return
	}
	delete(s.tails, ref)
	t := time.AfterFunc(200*time.Millisecond, f.stop)
	defer t.Stop()
	<-f.done
}
