package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// scriptContext is the context of a launch that holds the stand-in's script.
const scriptContext = "script"

// Script is what the stand-in does, a line each, in order:
//
//	show         prints "mode <of the launch file>", "workspace <folder>", "launch <its JSON>"
//	env          prints "env" and the environment
//	write NAME   writes a file into the workspace
//	tree MARK    starts children that ignore SIGTERM and are hard to find again:
//	             plain, in a session of its own, bare of the environment too,
//	             orphan of a parent that ended; each prints "up <kind>" and has
//	             MARK on its command line; "tree MARK plain session parent"
//	             starts only these
//	listen PORT  sends back whatever comes to the port on the loopback
//	inspect      the same on any port, which it writes to inspect.port beside the
//	             launch: where PortForward to port 0 goes
//	polite N     exits N a little after SIGTERM (143 at once without it)
//	stubborn     ignores SIGTERM
//	eat          takes memory until it is killed
//	exit N       prints "leaving" and exits N
//
// After the last line it prints "ready" and waits for SIGTERM. A fake provider
// does of these what it can.
func Script(l execution.Launch) []string {
	var lines []string
	_ = json.Unmarshal(l.Contexts[scriptContext], &lines) // no script: no lines
	return lines
}

// WithScript sets a launch's script.
func WithScript(l execution.Launch, lines ...string) execution.Launch {
	text, err := json.Marshal(lines)
	if err != nil {
		panic(err) // strings can be encoded
	}
	l.Contexts = map[string]json.RawMessage{scriptContext: text}
	return l
}

// Launch is the launch of the n-th attempt of one job, with the fence 1.n.
func Launch(n int, lines ...string) execution.Launch {
	job := events.JobRef{Run: "01J00000000000000000000000", Job: "build"}
	assignment := events.AssignmentFor(events.OfferFor(job, n))
	l := execution.Launch{
		AttemptRef: events.AttemptRef{JobRef: job, Attempt: n, Fence: events.Fence{Epoch: 1, Counter: uint32(n)}},
		Worker:     events.WorkerFor(assignment),
		Assignment: assignment,
		Pool:       "linux",
		Report:     "http://127.0.0.1:1/worker/report",
		Token:      "token-" + strconv.Itoa(n),
		Heartbeat:  10 * time.Second,
		Grace:      20 * time.Second,
		SpoolMax:   1 << 20,
	}
	return WithScript(l, lines...)
}

// launch is Launch in the session's installation.
func (s *session) launch(n int, lines ...string) execution.Launch {
	l := Launch(n, lines...)
	l.Installation = s.installation
	return l
}

// later is the same worker under a later fence.
func later(l execution.Launch) execution.Launch {
	l.Fence.Counter += 1000
	return l
}

// StandIn builds the program that takes the agent's place and gives its path.
// It is static, so that it runs in any image.
func StandIn(t testing.TB) string {
	t.Helper()
	const source = "github.com/relevo-ci/relevo/providers/conformance/testdata/standin"
	path := filepath.Join(t.TempDir(), "agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, source)
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the stand-in: %v\n%s", err, out)
	}
	return path
}

// printed is what the worker's agent printed so far; empty when that cannot be
// had yet.
func (s *session) printed(p provider.Provider, l execution.Launch) string {
	s.Helper()
	r, err := p.Logs(s.ctx, l.Worker)
	if err != nil {
		return ""
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		s.Fatalf("read logs: %v", err)
	}
	return string(text)
}

// ready waits until the stand-in did its script.
func (s *session) ready(p provider.Provider, l execution.Launch) {
	s.Helper()
	s.says(p, l, "ready\n")
}

// says waits until the stand-in printed what is wanted.
func (s *session) says(p provider.Provider, l execution.Launch, want string) {
	s.Helper()
	s.eventually(fmt.Sprintf("the agent prints %q", want), func() bool {
		return strings.Contains(s.printed(p, l), want)
	})
}

// grown waits until the children of a tree run; all kinds of them if none is
// named.
func (s *session) grown(p provider.Provider, l execution.Launch, kinds ...string) {
	s.Helper()
	if len(kinds) == 0 {
		kinds = []string{"plain", "session", "bare", "orphan"}
	}
	for _, kind := range kinds {
		s.says(p, l, "up "+kind+"\n")
	}
	if !s.h.Processes {
		return
	}
	// What starts the orphan may take a moment to be gone.
	s.eventually(fmt.Sprintf("the tree has %d processes", len(kinds)), func() bool { return len(s.processes()) == len(kinds) })
}

// freePort is a port that nothing on this machine listens on.
func (s *session) freePort() int {
	s.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	if err := l.Close(); err != nil {
		s.Fatal(err)
	}
	return l.Addr().(*net.TCPAddr).Port
}
