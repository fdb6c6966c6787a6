package conformance

import (
	"context"
	"errors"
	"sync"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

var watchTests = []test{
	{"WatchTellsOfAnExit", watchExit},
	{"WatchTellsOfAKill", watchKill},
	{"WatchTellsOfARemoval", watchRemoval},
	{"WatchTellsAfterARestart", watchRestarted},
	{"WatchersAllHear", watchAll},
	{"WatchEndsWithItsContext", watchEnds},
	{"WatchIsSilentOfTheLiving", watchSilent},
}

// watcher collects what one Watch tells.
type watcher struct {
	s     *session
	mu    sync.Mutex
	told  []provider.Change
	ended chan error
}

// watch watches until the test ends.
func (s *session) watch(p provider.Provider) *watcher {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	w := &watcher{s: s, ended: make(chan error, 1)}
	go func() {
		w.ended <- p.Watch(ctx, func(c provider.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, c)
		})
	}()
	s.Cleanup(func() {
		cancel()
		<-w.ended
	})
	// What happens before it listens is lost: a worker's end shows that it does.
	probe := s.launch(99, "exit 0")
	s.eventually("Watch listens", func() bool {
		s.create(p, probe)
		s.eventually("the probe exited", func() bool {
			st, ok := s.find(p, probe)
			return ok && !st.Running
		})
		s.terminate(p, probe)
		return len(w.of(probe)) > 0
	})
	return w
}

// of are the changes told of a worker.
func (w *watcher) of(l execution.Launch) []provider.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	var cs []provider.Change
	for _, c := range w.told {
		if c.Placement.Worker == l.Worker && c.Fence == l.Fence {
			cs = append(cs, c)
		}
	}
	return cs
}

// exited waits until a worker's end is told and gives the first that was said
// of it.
func (w *watcher) exited(l execution.Launch) provider.Change {
	w.s.Helper()
	w.s.eventually("Watch tells of the worker's end", func() bool { return len(w.of(l)) > 0 })
	c := w.of(l)[0]
	if c.Running || c.Failed != nil || c.Reason == "" || c.AttemptRef != l.AttemptRef || c.Handle == "" {
		w.s.Errorf("Watch told %+v, want the end of %+v with a reason", c, l.AttemptRef)
	}
	return c
}

func watchExit(s *session) {
	told := s.watch(s.p)
	for n, code := range map[int]string{1: "0", 2: "3"} {
		l := s.launch(n, "exit "+code)
		s.create(s.p, l)
		if c := told.exited(l); c.Exit != map[string]int{"0": 0, "3": 3}[code] {
			s.Errorf("Watch told %+v, want exit %s", c, code)
		}
	}
}

func watchKill(s *session) {
	if s.h.Kill == nil {
		return
	}
	told := s.watch(s.p)
	l := s.launch(1)
	st := s.create(s.p, l)
	s.ready(s.p, l)
	s.h.Kill(s.T, st)
	if c := told.exited(l); c.Exit != 137 {
		s.Errorf("Watch told %+v, want exit 137", c)
	}
}

func watchRemoval(s *session) {
	if s.h.Remove == nil {
		return
	}
	told := s.watch(s.p)
	l := s.launch(1)
	st := s.create(s.p, l)
	s.ready(s.p, l)
	s.h.Remove(s.T, st)
	told.exited(l)
	s.terminate(s.p, l)
}

// watchRestarted watches with a provider that did not make the worker.
func watchRestarted(s *session) {
	if s.h.Kill == nil {
		return
	}
	l := s.launch(1)
	st := s.create(s.p, l)
	s.ready(s.p, l)
	told := s.watch(s.h.Open(s.T, s.installation))
	s.h.Kill(s.T, st)
	told.exited(l)
}

func watchAll(s *session) {
	first, second := s.watch(s.p), s.watch(s.p)
	l := s.launch(1, "exit 3")
	s.create(s.p, l)
	first.exited(l)
	second.exited(l)
}

func watchEnds(s *session) {
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.p.Watch(ctx, func(provider.Change) {}) }()
	cancel()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("Watch returned %v", err)
		}
	case <-s.ctx.Done():
		s.Error("Watch goes on after its context")
	}
}

func watchSilent(s *session) {
	told := s.watch(s.p)
	alive, ends := s.launch(1), s.launch(2, "exit 0")
	s.create(s.p, alive)
	s.ready(s.p, alive)
	s.create(s.p, ends)
	told.exited(ends)
	if cs := told.of(alive); len(cs) > 0 {
		s.Errorf("Watch told %+v of a worker that runs", cs)
	}
}
