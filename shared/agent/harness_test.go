package agent_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
)

// asAgent makes the test binary the agent: it waits for every child of its
// process, which no test may have a part in.
const asAgent = "AGENT_TEST_MAIN"

// patience bounds what should come at once.
const patience = 5 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		os.Unsetenv(asAgent)
		os.Exit(agent.Main(os.Args[1:], os.Environ(), "test", os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// plane is a control plane on a Unix socket that keeps what it hears.
type plane struct {
	t      *testing.T
	socket string
	logs   logs.Store
	server *http.Server

	mu       sync.Mutex
	nonces   []string
	steps    []execution.StepEvent
	seen     map[string]bool // step events by index and kind
	ending   *execution.Ending
	ends     int
	requests int
	secrets  map[string]string
	git      *execution.Credential
	cancel   string
	gone     string
	// judge, where set, may break a request: answer it, or say that the reply
	// is lost after the effect.
	judge func(n int, r *execution.Report, w http.ResponseWriter) (answered, lost bool)
}

func newPlane(t *testing.T) *plane {
	// Not t.TempDir: a socket's path must be short.
	dir, err := os.MkdirTemp("", "plane") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &plane{t: t, socket: filepath.Join(dir, "s"), logs: logs.NewMemory(1 << 30), seen: map[string]bool{}}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *plane) start() {
	os.Remove(p.socket)
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /worker/report", p.report)
	mux.HandleFunc("POST /worker/secrets", p.giveSecrets)
	p.server = &http.Server{Handler: mux}
	go p.server.Serve(listener)
}

func (p *plane) stop() { p.server.Close() }

func (p *plane) report(w http.ResponseWriter, req *http.Request) {
	var r execution.Report
	if err := json.NewDecoder(req.Body).Decode(&r); err != nil || req.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "bad report", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	lost := false
	if p.judge != nil {
		var answered bool
		if answered, lost = p.judge(p.requests, &r, w); answered {
			return
		}
	}
	reply := p.hear(req, &r)
	if lost {
		panic(http.ErrAbortHandler)
	}
	json.NewEncoder(w).Encode(reply)
}

func (p *plane) hear(req *http.Request, r *execution.Report) execution.Reply {
	if len(p.nonces) == 0 || p.nonces[len(p.nonces)-1] != r.Nonce {
		p.nonces = append(p.nonces, r.Nonce)
	}
	if p.gone != "" || p.nonces[0] != r.Nonce {
		return execution.Reply{Gone: "another was first; " + p.gone}
	}
	var acknowledged int64
	for _, c := range append(r.Logs, execution.Chunk{}) {
		var err error
		if acknowledged, err = p.logs.Append(req.Context(), r.AttemptRef, c.Offset, c.Data); err != nil {
			p.t.Error(err)
		}
	}
	for _, s := range r.Steps {
		key := fmt.Sprint(s.Index, s.Result != nil)
		if !p.seen[key] {
			p.seen[key] = true
			p.steps = append(p.steps, s)
		}
	}
	if r.End != nil && acknowledged >= r.End.LogBytes {
		p.ending = r.End
		p.ends++
	}
	return execution.Reply{Acknowledged: acknowledged, Cancel: p.cancel}
}

func (p *plane) giveSecrets(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r execution.SecretsRequest
	if err := json.NewDecoder(req.Body).Decode(&r); err != nil || len(p.nonces) == 0 || r.Nonce != p.nonces[0] {
		http.Error(w, "secrets come after the hello", http.StatusGone)
		return
	}
	json.NewEncoder(w).Encode(execution.Secrets{Values: p.secrets, Git: p.git})
}

// log is what arrived of the attempt's log.
func (p *plane) log() string {
	data, _ := p.logBytes()
	return string(data)
}

func (p *plane) logBytes() ([]byte, error) {
	_, size, _, err := p.logs.Read(p.t.Context(), ref, 0, nil)
	data := make([]byte, size)
	if err == nil {
		_, _, _, err = p.logs.Read(p.t.Context(), ref, 0, data)
	}
	return data, err
}

const token = "t0ken-of-the-attempt"

var ref = events.AttemptRef{
	JobRef:  events.JobRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0", Job: "build"},
	Attempt: 2, Fence: events.Fence{Epoch: 1, Counter: 3},
}

// worker is a launch and the agent that was started with it.
type worker struct {
	t      *testing.T
	plane  *plane
	launch execution.Launch
	dir    string
	binary string // empty: the test's own
	file   string // of the launch; empty: launch.json in dir
	env    []string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{}
}

func newWorker(t *testing.T, p *plane, steps ...pipeline.StepSpec) *worker {
	dir := t.TempDir()
	w := &worker{t: t, plane: p, dir: dir}
	w.launch = execution.Launch{
		AttemptRef: ref, Worker: "w1", Report: "unix://" + p.socket, Token: token,
		Job:       pipeline.JobSpec{Key: "build", ID: "build", Steps: steps},
		Workspace: filepath.Join(dir, "work space"),
		Heartbeat: 200 * time.Millisecond, Grace: 700 * time.Millisecond, SpoolMax: 64 << 20,
		Contexts: map[string]json.RawMessage{
			"github": json.RawMessage(`{"ref":"refs/heads/main","ref_name":"main","sha":"abc","actor":"ada","repository":"o/r","event_name":"push","event":{"size":3},"run_attempt":"1","token":"not for env"}`),
			"relevo": json.RawMessage(`{"ref":"refs/heads/main"}`),
			"needs":  json.RawMessage(`{"first":{"result":"success","outputs":{"version":"1.2"}}}`),
			"matrix": json.RawMessage(`{"go":"1.26"}`),
			"vars":   nil,
		},
	}
	return w
}

func (w *worker) start() *worker {
	w.t.Helper()
	raw, err := json.Marshal(w.launch)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.dir, "launch.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.restart()
}

// restart starts an agent on the launch that lies there.
func (w *worker) restart() *worker {
	w.t.Helper()
	w.exited = make(chan struct{})
	w.cmd = exec.Command(cmp.Or(w.binary, os.Args[0]), "run", cmp.Or(w.file, filepath.Join(w.dir, "launch.json")))
	if launch, err := os.Open(filepath.Join(w.dir, "launch.json")); err == nil {
		defer launch.Close()
		w.cmd.ExtraFiles = []*os.File{launch} // for those whose file is /proc/self/fd/3
	}
	w.cmd.Env = append(os.Environ(), append(w.env, asAgent+"=1")...)
	w.cmd.Stderr = &w.stderr
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	cmd, exited := w.cmd, w.exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	return w
}

// exit waits for the agent's end.
func (w *worker) exit(want int) {
	w.t.Helper()
	select {
	case <-w.exited:
	case <-time.After(patience):
		w.cmd.Process.Signal(syscall.SIGQUIT)
		<-w.exited
		w.t.Fatalf("the agent does not end: %.6000s\nlog: %.2000s", w.stderr.String(), w.plane.log())
	}
	if got := w.cmd.ProcessState.ExitCode(); got != want {
		w.t.Fatalf("the agent exited with %d, want %d: %s", got, want, w.stderr.String())
	}
}

// ending runs the agent to its end and gives what was reported.
func (w *worker) ending(want events.Verdict) *execution.Ending {
	w.t.Helper()
	w.exit(agent.ExitDone)
	w.plane.mu.Lock()
	defer w.plane.mu.Unlock()
	e := w.plane.ending
	if e == nil {
		w.t.Fatalf("no end was reported: %s", w.stderr.String())
	}
	if e.Verdict != want {
		w.t.Fatalf("verdict %s (%s), want %s; log:\n%.3000s", e.Verdict, e.Reason, want, w.plane.log())
	}
	if size := int64(len(w.plane.log())); size != e.LogBytes {
		w.t.Errorf("%d bytes of log arrived, %d were written", size, e.LogBytes)
	}
	return e
}

// until waits for a condition on what the plane heard.
func (w *worker) until(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		w.plane.mu.Lock()
		done := holds()
		w.plane.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not come; log %q, agent: %s", what, w.plane.log(), w.stderr.String())
		}
		select {
		case <-w.exited:
			w.t.Fatalf("the agent ended before %s: %s; log %q", what, w.stderr.String(), w.plane.log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// logged waits until the log holds a text.
func (w *worker) logged(text string) {
	w.t.Helper()
	w.until("log "+text, func() bool { return strings.Contains(w.plane.log(), text) })
}

// sh is a step with a script.
func sh(script string) pipeline.StepSpec { return pipeline.StepSpec{Run: expression.Text(script)} }

func template(parts ...any) expression.Template {
	var t expression.Template
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			t.Parts = append(t.Parts, expression.Part{Text: p})
		case *expression.Node:
			t.Parts = append(t.Parts, expression.Part{Expr: p})
		}
	}
	return t
}

// at is a.b.c.
func at(context string, properties ...string) *expression.Node {
	n := &expression.Node{Op: expression.Var, Name: context}
	for _, p := range properties {
		n = &expression.Node{Op: expression.Prop, Name: p, Args: []*expression.Node{n}}
	}
	return n
}

func call(name string, args ...*expression.Node) *expression.Node {
	return &expression.Node{Op: expression.Call, Name: name, Args: args}
}

func eq(a *expression.Node, value any) *expression.Node {
	return &expression.Node{Op: expression.Eq, Args: []*expression.Node{a, {Op: expression.Lit, Value: value}}}
}

func ptr[T any](v T) *T { return &v }

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}
