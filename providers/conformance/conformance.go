// Package conformance is the suite that every provider passes: each sentence
// of the port's comments as a test, against real workers.
//
// The workers run a stand-in instead of the agent, since providers are tested
// here, not agents. A launch tells it what to do by a script (see Script);
// StandIn builds it.
package conformance

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Harness is what the suite needs to know of a provider. What is nil cannot be
// done with it, and what it is for is not looked at.
type Harness struct {
	// Open gives the provider of an installation, as a control plane does when
	// it starts. Opened again, it finds the workers that the first one made.
	Open func(t *testing.T, installation string) provider.Provider
	// Kill ends a worker's agent behind the provider's back, like kill -9.
	Kill func(t *testing.T, st provider.Status)
	// Remove takes a worker away as an administrator may, like docker rm -f.
	Remove func(t *testing.T, st provider.Status)
	// Left names what there still is of an installation's workers: containers,
	// folders.
	Left func(t *testing.T, installation string) []string
	// Close removes what Secure made for an installation. No worker is left then.
	Close func(t *testing.T, installation string)
	// Impossible makes of a launch one that this provider can never have.
	Impossible func(l *execution.Launch)
	// Processes: the workers are processes that this machine's /proc shows, and
	// that heed signals.
	Processes bool
	// Parallel: the tests may run side by side.
	Parallel bool
	// Prepares: Create returns while the worker is being prepared. The suite then
	// waits until it runs, or has ended.
	Prepares bool
	// Patience is how long a test may take; 0: a minute.
	Patience time.Duration
}

// patience is how long anything may take; what takes longer fails.
func (h Harness) patience() time.Duration { return cmp.Or(h.Patience, time.Minute) }

// Suite runs every test of the port, each with an installation of its own.
func Suite(t *testing.T, harness func(t *testing.T) Harness) {
	t.Helper()
	for _, test := range slices.Concat(createTests, terminateTests, watchTests, lookTests, togetherTests) {
		t.Run(test.name, func(t *testing.T) {
			h := harness(t)
			if h.Parallel {
				t.Parallel()
			}
			test.run(begin(t, h))
		})
	}
}

type test struct {
	name string
	run  func(s *session)
}

// session is one test with one installation.
type session struct {
	*testing.T
	h            Harness
	ctx          context.Context
	installation string
	mark         string // on the command lines of the stand-in's children
	p            provider.Provider
}

func begin(t *testing.T, h Harness) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), h.patience())
	t.Cleanup(cancel)
	s := &session{T: t, h: h, ctx: ctx, mark: "mark-" + rand.Text()}
	s.installation = s.another()
	s.p = h.Open(t, s.installation)
	if err := s.p.Secure(ctx); err != nil {
		t.Fatalf("Secure: %v", err)
	}
	return s
}

// another makes the id of an installation, of which nothing is left when the
// test ends. No two ids are the same, since many may use one Docker daemon.
func (s *session) another() string {
	installation := "conformance/" + rand.Text()
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.h.patience())
		defer cancel()
		p := s.h.Open(s.T, installation)
		all, err := p.List(ctx)
		if err != nil {
			s.Errorf("List: %v", err)
		}
		for _, st := range all {
			if err := p.Terminate(ctx, st.Placement.Worker, st.Fence); err != nil {
				s.Errorf("Terminate %s: %v", st.Placement.Worker, err)
			}
		}
		s.nothingLeft(installation)
		if s.h.Close != nil {
			s.h.Close(s.T, installation)
		}
	})
	return installation
}

// nothingLeft fails when there is anything left of workers that were removed.
func (s *session) nothingLeft(installation string) {
	s.Helper()
	if s.h.Left != nil {
		if left := s.h.Left(s.T, installation); len(left) > 0 {
			s.Errorf("left of removed workers: %q", left)
		}
	}
	if pids := s.processes(); len(pids) > 0 {
		s.Errorf("processes %v of removed workers still run", pids)
	}
}

// processes are the stand-in's children of this test that run on this machine.
func (s *session) processes() []int {
	if !s.h.Processes {
		return nil
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.Fatal(err)
	}
	var pids []int
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte(s.mark)) {
			continue // ended meanwhile, or another's
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		pids = append(pids, pid)
	}
	return pids
}

// create makes a worker that must start.
func (s *session) create(p provider.Provider, l execution.Launch) provider.Status {
	s.Helper()
	st, err := p.Create(s.ctx, l)
	if err != nil {
		s.Fatalf("Create: %v", err)
	}
	if !s.h.Prepares {
		return st
	}
	prepared := st
	s.eventually("the worker is prepared", func() bool {
		if now, ok := s.find(p, l); ok {
			prepared = now
		}
		return prepared.Preparing == ""
	})
	if prepared.Handle != st.Handle || st.AttemptRef != prepared.AttemptRef || st.Placement != prepared.Placement {
		s.Errorf("Create gave %+v, and then it is %+v", st, prepared)
	}
	return prepared
}

// terminate removes a worker, which must succeed.
func (s *session) terminate(p provider.Provider, l execution.Launch) {
	s.Helper()
	if err := p.Terminate(s.ctx, l.Worker, l.Fence); err != nil {
		s.Fatalf("Terminate: %v", err)
	}
}

// list gives the workers that p knows of.
func (s *session) list(p provider.Provider) []provider.Status {
	s.Helper()
	all, err := p.List(s.ctx)
	if err != nil {
		s.Fatalf("List: %v", err)
	}
	return all
}

// find gives the worker of l as List knows it.
func (s *session) find(p provider.Provider, l execution.Launch) (provider.Status, bool) {
	s.Helper()
	for _, st := range s.list(p) {
		if st.Placement.Worker == l.Worker && st.Fence == l.Fence {
			return st, true
		}
	}
	return provider.Status{}, false
}

// eventually polls until holds answers true, and ends the test where it never
// does.
func (s *session) eventually(what string, holds func() bool) {
	s.Helper()
	if !s.poll(holds) {
		s.Fatalf("waited in vain: %s", what)
	}
}

// poll asks until holds answers true; false when the test's time is over.
func (s *session) poll(holds func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-s.ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
