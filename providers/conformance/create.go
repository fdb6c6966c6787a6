package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

var createTests = []test{
	{"CreateStartsTheWorker", createStarts},
	{"CreateHandsTheLaunchOver", createHandsOver},
	{"CreateTwiceIsOnce", createTwice},
	{"CreateAtOnceIsOnce", createAtOnce},
	{"CreateAdoptsAfterARestart", createAdopts},
	{"CreateFindsTheExited", createFindsExited},
	{"CreateOfALaterFenceIsAnotherWorker", createLater},
	{"CreateAfterTerminateMakesItAgain", createAgain},
	{"CreateCutShortCanBeRepeated", createCutShort},
	{"CreateSaysWhatCannotBeHad", createImpossible},
}

func createStarts(s *session) {
	l := s.launch(1)
	st := s.create(s.p, l)
	placement := events.Placement{Pool: l.Pool, Assignment: l.Assignment, Worker: l.Worker, Provider: s.p.Name()}
	if st.AttemptRef != l.AttemptRef || st.Placement != placement {
		s.Errorf("Create gave %+v for %+v", st, l)
	}
	if !st.Running || st.Handle == "" || st.Preparing != "" {
		s.Errorf("Create gave %+v, want a running worker with a handle", st)
	}
	s.ready(s.p, l)
}

func createHandsOver(s *session) {
	l := s.launch(1, "show")
	l.HasSecrets, l.Report = true, "unix:///somewhere/report.sock"
	s.create(s.p, l)
	s.ready(s.p, l)
	printed := s.printed(s.p, l)
	if !strings.Contains(printed, "mode 600\n") {
		s.Errorf("the launch can be read by others: %s", printed)
	}
	_, text, _ := strings.Cut(printed, "\nlaunch ")
	text, _, _ = strings.Cut(text, "\n")
	var got execution.Launch
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		s.Fatalf("the launch is not JSON: %v: %s", err, text)
	}
	if got.Workspace == "" {
		s.Error("the launch names no workspace")
	}
	got.Workspace, got.Linger = l.Workspace, l.Linger // the provider knows where, and how long
	if got, want := encode(s, got), encode(s, l); got != want {
		s.Errorf("the agent read\n%s, want\n%s", got, want)
	}
}

func encode(s *session, l execution.Launch) string {
	s.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

func createTwice(s *session) {
	l := s.launch(1, "tree "+s.mark)
	first := s.create(s.p, l)
	s.grown(s.p, l)
	second := s.create(s.p, l)
	if first.Handle != second.Handle || !second.Running {
		s.Errorf("Create gave %+v, then %+v: want the same", first, second)
	}
	if all := s.list(s.p); len(all) != 1 {
		s.Errorf("List gives %+v, want one", all)
	}
	if pids := s.processes(); s.h.Processes && len(pids) != 4 {
		s.Errorf("a second agent ran: processes %v", pids)
	}
}

func createAtOnce(s *session) {
	l := s.launch(1, "tree "+s.mark)
	other := s.h.Open(s.T, s.installation) // two control planes, for a moment
	var wg sync.WaitGroup
	handles := make([]string, 8)
	for i := range handles {
		p := s.p
		if i%4 == 3 {
			p = other
		}
		wg.Go(func() {
			// A provider may say that another one is at it: then it is tried again.
			var last error
			if !s.poll(func() bool {
				st, err := p.Create(s.ctx, l)
				handles[i], last = st.Handle, err
				return err == nil && st.Running
			}) {
				s.Errorf("Create at once never succeeded: %v", last)
			}
		})
	}
	wg.Wait()
	for _, h := range handles {
		if h == "" || h != handles[0] {
			s.Fatalf("Create gave different workers: %q", handles)
		}
	}
	s.grown(s.p, l)
	if all := s.list(s.p); len(all) != 1 {
		s.Errorf("List gives %+v, want one", all)
	}
}

func createAdopts(s *session) {
	l := s.launch(1, "tree "+s.mark)
	before := s.create(s.p, l)
	s.grown(s.p, l)
	restarted := s.h.Open(s.T, s.installation)
	if err := restarted.Secure(s.ctx); err != nil {
		s.Fatalf("Secure after a restart: %v", err)
	}
	after := s.create(restarted, l)
	if before.Handle != after.Handle || !after.Running || after.AttemptRef != l.AttemptRef {
		s.Errorf("after a restart Create gave %+v, want %+v", after, before)
	}
	if pids := s.processes(); s.h.Processes && len(pids) != 4 {
		s.Errorf("a second agent ran: processes %v", pids)
	}
	s.terminate(restarted, l)
	s.nothingLeft(s.installation)
}

func createFindsExited(s *session) {
	l := s.launch(1, "exit 3")
	s.create(s.p, l)
	s.eventually("List says that it exited", func() bool {
		st, ok := s.find(s.p, l)
		return ok && !st.Running
	})
	st := s.create(s.p, l)
	if st.Running || st.Exit != 3 || st.Preparing != "" || st.Reason == "" {
		s.Errorf("Create of an exited worker gave %+v, want exit 3 with a reason", st)
	}
	if printed := s.printed(s.p, l); strings.Count(printed, "leaving\n") != 1 {
		s.Errorf("the agent ran again: %s", printed)
	}
}

func createLater(s *session) {
	l := s.launch(1)
	first, second := s.create(s.p, l), s.create(s.p, later(l))
	if first.Handle == second.Handle || second.Fence != later(l).Fence {
		s.Errorf("Create gave %+v and %+v: want two workers", first, second)
	}
	if all := s.list(s.p); len(all) != 2 {
		s.Errorf("List gives %+v, want two", all)
	}
}

func createAgain(s *session) {
	l := s.launch(1)
	first := s.create(s.p, l)
	s.terminate(s.p, l)
	second := s.create(s.p, l)
	if !second.Running || first.Handle == second.Handle {
		s.Errorf("after Terminate Create gave %+v, want another than %+v", second, first)
	}
}

func createCutShort(s *session) {
	l := s.launch(1)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.p.Create(ctx, l)
	var failure *provider.Failure
	if err == nil || errors.As(err, &failure) {
		s.Errorf("Create with an ended context gave %v, want an error that is not known to be a failure", err)
	}
	if st := s.create(s.p, l); !st.Running {
		s.Errorf("Create repeated gave %+v, want it running", st)
	}
}

func createImpossible(s *session) {
	if s.h.Impossible == nil {
		return
	}
	l := s.launch(1)
	s.h.Impossible(&l)
	_, err := s.p.Create(s.ctx, l)
	var failure *provider.Failure
	if !errors.As(err, &failure) || failure.Reason == "" || !failure.Permanent {
		s.Errorf("Create gave %v, want a permanent failure with a reason", err)
	}
	s.terminate(s.p, l)
}
