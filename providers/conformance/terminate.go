package conformance

import (
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

var terminateTests = []test{
	{"TerminateOfAnAbsentWorkerIsNoError", terminateAbsent},
	{"TerminateRemovesEverything", terminateRemoves},
	{"TerminateAsksFirst", terminateAsks},
	{"TerminateKillsTheStubborn", terminateStubborn},
	{"TerminateRemovesWhatACrashedAgentLeft", terminateCrashed},
	{"TerminateRemovesTheExited", terminateExited},
	{"TerminateLeavesLaterFencesAlone", terminateLater},
	{"TerminateRemovesOlderFences", terminateOlder},
	{"TerminateAtOnce", terminateAtOnce},
	{"TerminateAfterARestart", terminateRestarted},
	{"TerminateRacesCreate", terminateRaces},
}

func terminateAbsent(s *session) {
	for _, worker := range []events.WorkerID{s.launch(1).Worker, "never-heard-of"} {
		if err := s.p.Terminate(s.ctx, worker, events.Fence{Epoch: 9, Counter: 9}); err != nil {
			s.Errorf("Terminate of a worker never made: %v", err)
		}
	}
	l := s.launch(1)
	s.create(s.p, l)
	s.terminate(s.p, l)
	s.terminate(s.p, l)
}

func terminateRemoves(s *session) {
	l := s.launch(1, "tree "+s.mark, "write leftover")
	s.create(s.p, l)
	s.ready(s.p, l)
	s.grown(s.p, l)
	s.terminate(s.p, l)
	s.nothingLeft(s.installation)
	if all := s.list(s.p); len(all) > 0 {
		s.Errorf("List gives %+v after Terminate", all)
	}
}

// terminateAsks has an agent that needs a moment to end, and says so by its
// exit code.
func terminateAsks(s *session) {
	told := s.watch(s.p)
	l := s.launch(1, "polite 7")
	s.create(s.p, l)
	s.ready(s.p, l)
	s.terminate(s.p, l)
	if !s.h.Processes {
		return
	}
	if c := told.exited(l); c.Exit != 7 {
		s.Errorf("Watch told %+v, want the exit code 7 of an agent that was asked", c)
	}
}

func terminateStubborn(s *session) {
	told := s.watch(s.p)
	l := s.launch(1, "stubborn", "tree "+s.mark)
	l.Grace = time.Second
	s.create(s.p, l)
	s.ready(s.p, l)
	s.grown(s.p, l)
	s.terminate(s.p, l)
	s.nothingLeft(s.installation)
	if !s.h.Processes {
		return
	}
	if c := told.exited(l); c.Exit != 137 {
		s.Errorf("Watch told %+v, want it killed", c)
	}
}

func terminateCrashed(s *session) {
	if s.h.Kill == nil {
		return
	}
	// Without the bare one: once the agent is dead nothing binds it to the
	// worker, but where there is a container around it.
	kinds := []string{"plain", "session", "orphan"}
	l := s.launch(1, "tree "+s.mark+" plain session parent")
	st := s.create(s.p, l)
	s.grown(s.p, l, kinds...)
	s.h.Kill(s.T, st)
	s.eventually("List says that it ended", func() bool {
		st, ok := s.find(s.p, l)
		return ok && !st.Running
	})
	s.terminate(s.p, l)
	s.nothingLeft(s.installation)
}

func terminateExited(s *session) {
	l := s.launch(1, "exit 0")
	s.create(s.p, l)
	s.says(s.p, l, "leaving\n")
	s.terminate(s.p, l)
	s.nothingLeft(s.installation)
}

func terminateLater(s *session) {
	l := s.launch(1)
	before := s.create(s.p, later(l))
	s.terminate(s.p, l)
	st, ok := s.find(s.p, later(l))
	if !ok || !st.Running || st.Handle != before.Handle {
		s.Errorf("a Terminate of an older fence left %+v of %+v", st, before)
	}
}

func terminateOlder(s *session) {
	l := s.launch(1)
	s.create(s.p, l)
	s.create(s.p, later(l))
	newest := later(later(l))
	s.create(s.p, newest)
	s.terminate(s.p, later(l))
	if all := s.list(s.p); len(all) != 1 || all[0].Fence != newest.Fence {
		s.Errorf("List gives %+v, want the fence %s alone", all, newest.Fence)
	}
}

func terminateAtOnce(s *session) {
	l := s.launch(1, "tree "+s.mark)
	s.create(s.p, l)
	s.grown(s.p, l)
	other := s.h.Open(s.T, s.installation)
	var wg sync.WaitGroup
	for i := range 6 {
		p := s.p
		if i%2 == 1 {
			p = other
		}
		wg.Go(func() {
			if err := p.Terminate(s.ctx, l.Worker, l.Fence); err != nil {
				s.Errorf("Terminate: %v", err)
			}
			// It returns when the worker is gone, to each who asked.
			if all, err := p.List(s.ctx); err != nil || len(all) > 0 {
				s.Errorf("List gives %+v, %v after Terminate", all, err)
			}
		})
	}
	wg.Wait()
	s.nothingLeft(s.installation)
}

func terminateRestarted(s *session) {
	l := s.launch(1, "tree "+s.mark)
	s.create(s.p, l)
	s.grown(s.p, l)
	s.terminate(s.h.Open(s.T, s.installation), l)
	s.nothingLeft(s.installation)
}

// terminateRaces lets both happen at once: whichever comes last counts, and
// nothing half made stays.
func terminateRaces(s *session) {
	// Without the bare one: an agent that is asked to end while it starts one
	// leaves it behind, where there is no container around them.
	l := s.launch(1, "tree "+s.mark+" plain session parent")
	for range 3 {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = s.p.Create(s.ctx, l) })
		wg.Go(func() {
			if err := s.p.Terminate(s.ctx, l.Worker, l.Fence); err != nil {
				s.Errorf("Terminate: %v", err)
			}
		})
		wg.Wait()
		if st, there := s.find(s.p, l); there && !st.Running && st.Preparing == "" {
			s.Errorf("half a worker stayed: %+v", st)
		}
	}
	s.terminate(s.p, l)
	s.nothingLeft(s.installation)
}
