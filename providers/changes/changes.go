// Package changes carries what happened to workers from where a provider
// learns of it to those who watch.
package changes

import (
	"context"
	"strconv"
	"sync"

	"github.com/relevo-ci/relevo/shared/provider"
)

// Feed hands every change to each of its subscribers. The zero Feed is ready.
type Feed struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// Subscription queues changes for one watcher, so that a slow one holds up
// nobody.
type Subscription struct {
	feed  *Feed
	mu    sync.Mutex
	queue []provider.Change
	woken chan struct{} // holds one token when the queue may have grown
}

// Subscribe begins to queue changes; Close ends it.
func (f *Feed) Subscribe() *Subscription {
	s := &Subscription{feed: f, woken: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = map[*Subscription]struct{}{}
	}
	f.subs[s] = struct{}{}
	return s
}

// Tell hands c to every subscriber and says whether there was one. It never
// waits.
func (f *Feed) Tell(c provider.Change) (heard bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		s.Tell(c)
	}
	return len(f.subs) > 0
}

// Tell queues c for this subscriber alone.
func (s *Subscription) Tell(c provider.Change) {
	s.mu.Lock()
	s.queue = append(s.queue, c)
	s.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Drain calls tell with each change, one after the other, until ctx ends; it
// returns the context's error. What is queued when ctx ends is dropped.
func (s *Subscription) Drain(ctx context.Context, tell func(provider.Change)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.woken:
		}
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, c := range queue {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tell(c)
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	delete(s.feed.subs, s)
}

// Exited says how a process with this exit code ended, e.g. "exited 137
// (killed)": above 128 it is a signal's number, as shells count.
func Exited(code int) string {
	text := "exited " + strconv.Itoa(code)
	if name, ok := signals[code-128]; ok {
		text += " (" + name + ")"
	}
	return text
}

// signals are those that workers die of.
var signals = map[int]string{
	1: "hung up", 2: "interrupted", 3: "quit", 4: "illegal instruction", 6: "aborted",
	7: "bus error", 8: "arithmetic error", 9: "killed", 11: "segmentation fault",
	13: "broken pipe", 15: "terminated", 24: "CPU time limit", 25: "file size limit",
}
