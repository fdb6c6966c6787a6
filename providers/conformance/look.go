package conformance

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

var lookTests = []test{
	{"ListGivesAll", listAll},
	{"LogsWhileRunningAndAfter", logs},
	{"LogsOfTheLatestFence", logsLatest},
	{"LogsAndPortForwardOfNone", lookAtNone},
	{"PortForward", forward},
	{"PortForwardToTheInspectionPort", forwardInspection},
	{"SecureTwice", secureTwice},
}

func listAll(s *session) {
	if all := s.list(s.p); len(all) != 0 {
		s.Errorf("List gives %+v before the first worker", all)
	}
	runs, exits := s.launch(1), s.launch(2, "exit 5")
	created := s.create(s.p, runs)
	s.create(s.p, exits)
	s.eventually("List says that one exited", func() bool {
		st, ok := s.find(s.p, exits)
		return ok && !st.Running
	})
	if all := s.list(s.p); len(all) != 2 {
		s.Errorf("List gives %+v, want two", all)
	}
	if st, _ := s.find(s.p, runs); st != created {
		s.Errorf("List gives %+v, Create gave %+v", st, created)
	}
	if st, _ := s.find(s.p, exits); st.Exit != 5 || st.Preparing != "" || st.AttemptRef != exits.AttemptRef || !strings.Contains(st.Reason, "5") {
		s.Errorf("List gives %+v, want exit 5", st)
	}
}

func logs(s *session) {
	l := s.launch(1, "show", "exit 1")
	s.create(s.p, l)
	s.says(s.p, l, "leaving\n")
	s.eventually("List says that it exited", func() bool {
		st, ok := s.find(s.p, l)
		return ok && !st.Running
	})
	if printed := s.printed(s.h.Open(s.T, s.installation), l); !strings.Contains(printed, "launch {") {
		s.Errorf("Logs after the end gives %q", printed)
	}
}

func logsLatest(s *session) {
	old, latest := s.launch(1, "exit 0"), later(s.launch(1, "show"))
	s.create(s.p, old)
	s.says(s.p, old, "leaving\n")
	s.create(s.p, latest)
	s.ready(s.p, latest)
	if printed := s.printed(s.p, latest); strings.Contains(printed, "leaving") || !strings.Contains(printed, "launch {") {
		s.Errorf("Logs gives %q, want those of the latest fence", printed)
	}
}

func lookAtNone(s *session) {
	gone := s.launch(1)
	s.create(s.p, gone)
	s.terminate(s.p, gone)
	for _, l := range []struct{ n int }{{1}, {2}} {
		id := s.launch(l.n).Worker
		if _, err := s.p.Logs(s.ctx, id); !errors.Is(err, provider.ErrNotFound) {
			s.Errorf("Logs gave %v, want ErrNotFound", err)
		}
		if _, err := s.p.PortForward(s.ctx, id, 1); !errors.Is(err, provider.ErrNotFound) {
			s.Errorf("PortForward gave %v, want ErrNotFound", err)
		}
	}
}

func forward(s *session) {
	port := s.freePort()
	l := s.launch(1, "listen "+strconv.Itoa(port))
	s.create(s.p, l)
	s.ready(s.p, l)
	s.echoes(l, port)
}

func forwardInspection(s *session) {
	l := s.launch(1, "inspect")
	s.create(s.p, l)
	s.ready(s.p, l)
	s.echoes(l, 0)
}

// echoes sends to a port of the worker and wants the same back, twice.
func (s *session) echoes(l execution.Launch, port int) {
	s.Helper()
	// More than any buffer on the way holds.
	want := strings.Repeat("over and back again, ", 1<<16)
	for range 2 {
		conn, err := s.p.PortForward(s.ctx, l.Worker, port)
		if err != nil {
			s.Fatalf("PortForward: %v", err)
		}
		deadline, _ := s.ctx.Deadline()
		if err := conn.SetDeadline(deadline); err != nil {
			s.Errorf("SetDeadline: %v", err)
		}
		go func() { _, _ = io.WriteString(conn, want) }()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil {
			s.Errorf("read: %v", err)
		}
		if string(got) != want {
			s.Error("what came back is not what was sent")
		}
		if err := conn.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
	}
}

func secureTwice(s *session) {
	s.create(s.p, s.launch(1)) // begin called it before the first worker
	for _, p := range []provider.Provider{s.p, s.h.Open(s.T, s.installation)} {
		if err := p.Secure(s.ctx); err != nil {
			s.Errorf("Secure again: %v", err)
		}
	}
	if s.p.Name() == "" {
		s.Error("the provider has no name")
	}
}
