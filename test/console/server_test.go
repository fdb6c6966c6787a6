// Package console looks at the console as people do: with a browser, at a
// relevo of its own.
package console_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

var (
	update = flag.Bool("update", false, "write the pictures in docs/screens again")
	// built is the program under test.
	built string
)

func init() {
	flag.StringVar(&built, "relevo", "", "the program, where it was built already")
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if built != "" {
		return alone(m)
	}
	dir, err := os.MkdirTemp("", "relevo-console")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "relevo")
	for path, pkg := range map[string]string{built: "../../deploy/relevo", filepath.Join(dir, "relevo-agent"): "../../deploy/agent"} {
		if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	return alone(m)
}

// server is a `relevo up` for one test.
type server struct {
	*client.Client
	t    *testing.T
	URL  string
	link string // lets a browser in, once
	cmd  *exec.Cmd
	dir  string
	said *bytes.Buffer
	read chan struct{} // closed when all that it said was read
}

var lines = regexp.MustCompile(`relevo is up at (http://\S+)|(http://\S+/login/once\S+)`)

// start runs a server on a folder; empty: a new one.
func start(t *testing.T, dir, listen string) *server {
	t.Helper()
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "rc"); err != nil { //nolint:usetesting // a socket's path is short
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	s := &server{t: t, dir: dir, said: &bytes.Buffer{}, read: make(chan struct{})}
	s.cmd = exec.Command(built, "up", "--data", dir, "--listen", listen, "--parallel", "4")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		defer close(s.read)
		in := bufio.NewScanner(out)
		for in.Scan() {
			fmt.Fprintln(s.said, in.Text())
			if m := lines.FindStringSubmatch(in.Text()); m != nil && m[1] != "" {
				s.URL = m[1]
			} else if m != nil {
				s.link = m[2]
				ready <- true
			}
		}
	}()
	select {
	case <-ready:
	case <-s.read:
		t.Fatalf("relevo up ended:\n%s", s.said)
	case <-time.After(time.Minute):
		t.Fatal("relevo up does not come up")
	}
	t.Cleanup(s.stop)
	if s.Client, err = client.New(s.URL, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// stop ends the server; twice is once.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.read
	_ = s.cmd.Wait()
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("the server said:\n%s", s.said)
	}
}

// submit runs a pipeline.
func (s *server) submit(source string, of client.Trigger) string {
	s.t.Helper()
	made, err := s.Submit(s.t.Context(), client.Submission{File: ".relevo/ci.yaml", Source: source, Trigger: &of}, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return made.Run
}

// push is what most runs come from.
var push = client.Trigger{Event: "push", Actor: "ana", Repository: "acme/shop", Ref: "refs/heads/main", SHA: "5f0c1d2e3b4a59687766554433221100ffeeddcc"}

// sample is the pipeline that people are shown first.
func sample(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "sample", "release.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// ended waits for the end of a run.
func (s *server) ended(run string) client.Run {
	s.t.Helper()
	var r client.Run
	until(s.t, "the end of the run", func() bool {
		var err error
		if r, err = s.Run(s.t.Context(), run); err != nil {
			s.t.Fatal(err)
		}
		return r.Final()
	})
	return r
}

// entry is a link that lets a browser in: the one that was printed, once, and then
// new ones.
func (s *server) entry() string {
	s.t.Helper()
	if link := s.link; link != "" {
		s.link = ""
		return link
	}
	l, err := s.MakeLink(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l.URL
}

// let takes the link, as a browser would, and gives what keeps the session.
func (s *server) let() *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	res, err := c.Get(s.entry())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	return c
}

func words(s string) string { return strings.Join(strings.Fields(s), " ") }
