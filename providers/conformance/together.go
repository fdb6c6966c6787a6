package conformance

import (
	"strconv"
	"sync"
)

var togetherTests = []test{
	{"InstallationsDoNotTouchEachOther", installations},
	{"TwentyAtOnce", twenty},
}

// installations puts the same worker under the same fence into two.
func installations(s *session) {
	elsewhere := s.another()
	other := s.h.Open(s.T, elsewhere)
	if err := other.Secure(s.ctx); err != nil {
		s.Fatalf("Secure: %v", err)
	}
	mine, theirs := s.launch(1), s.launch(1)
	theirs.Installation = elsewhere
	toldMine := s.watch(s.p)
	first, second := s.create(s.p, mine), s.create(other, theirs)
	if first.Handle == second.Handle {
		s.Fatalf("two installations share the worker %+v", first)
	}
	s.ready(other, theirs)
	if a, b := s.list(s.p), s.list(other); len(a) != 1 || len(b) != 1 || a[0].Handle != first.Handle || b[0].Handle != second.Handle {
		s.Errorf("List gives %+v and %+v", a, b)
	}
	s.terminate(other, theirs)
	if st, there := s.find(s.p, mine); !there || !st.Running {
		s.Errorf("the other installation's Terminate left %+v", st)
	}
	if cs := toldMine.of(mine); len(cs) > 0 {
		s.Errorf("Watch told %+v of the other installation", cs)
	}
}

func twenty(s *session) {
	told := s.watch(s.p)
	const workers = 20
	var wg sync.WaitGroup
	for n := 1; n <= workers; n++ {
		wg.Go(func() {
			l := s.launch(n, "exit "+strconv.Itoa(n))
			if n%2 == 0 {
				l = s.launch(n)
			}
			if st, err := s.p.Create(s.ctx, l); err != nil || st.AttemptRef != l.AttemptRef {
				s.Errorf("Create %d gave %+v, %v", n, st, err)
			}
		})
	}
	wg.Wait()
	if all := s.list(s.p); len(all) != workers {
		s.Errorf("List gives %d workers, want %d", len(all), workers)
	}
	for n := 1; n <= workers; n += 2 {
		if c := told.exited(s.launch(n)); c.Exit != n {
			s.Errorf("Watch told %+v, want exit %d", c, n)
		}
	}
	for n := 1; n <= workers; n++ {
		wg.Go(func() {
			if err := s.p.Terminate(s.ctx, s.launch(n).Worker, s.launch(n).Fence); err != nil {
				s.Errorf("Terminate %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	s.nothingLeft(s.installation)
}
