package telemetry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/providers/process"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/workers"
)

const (
	shop     = "acme/shop"
	secret   = "s3cret"
	patience = 2 * time.Minute
	file     = `name: ci
on: push
jobs:
  build:
    steps:
      - {name: say, run: 'echo "$TRACEPARENT" > "$WITNESS"'}
      - {name: sleep, run: sleep 0.2}
  test:
    needs: build
    steps: [{name: fails, run: exit 3}]
`
)

// collected is what a collector took: spans by id.
type collected map[string]client.OTLPSpan

// collector starts the collector of test/otlp, and gives its address and what it
// takes.
func collector(t *testing.T) (address string, requests <-chan client.OTLPTraces) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "otlp")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../otlp", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the collector: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	if address, err = lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	took := make(chan client.OTLPTraces, 64)
	go func() {
		defer close(took)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var one client.OTLPTraces
			if err := json.Unmarshal(line, &one); err != nil {
				t.Errorf("the collector said %s: %v", line, err)
			}
			took <- one
		}
	}()
	return strings.TrimSpace(address), took
}

// plant is an installation on this machine: real agents, a fake forge over git.
type plant struct {
	server *forgetest.Server
	host   *inprocess.Host
	http   http.Handler
	client *client.Client
	work   string
}

func newPlant(t *testing.T, endpoint string, env ...string) *plant {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	agent := filepath.Join(dir, "relevo-agent")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", agent, "../../deploy/agent").CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	p := &plant{server: forgetest.New(t, forge.GitHub), work: filepath.Join(dir, "work")}
	f, err := forge.New(p.server.Settings(secret))
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(time.Now, "test")
	launcher, err := process.New(process.Config{Installation: "test", Agent: agent, State: filepath.Join(dir, "workers"), Env: append(os.Environ(), env...)})
	if err != nil {
		t.Fatal(err)
	}
	o := inprocess.Options{
		Store: store, Fresh: true, Logs: logs.NewMemory(16 << 20), Policy: pipeline.DefaultPolicy(), OfferTTL: time.Hour,
		Providers: map[string]provider.Provider{"process": launcher}, API: &api.API{Telemetry: api.Telemetry{Public: "https://ci.example"}}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Public: "https://ci.example", Sockets: dir, Forges: []forge.Forge{f},
		Workers: workers.Settings{
			Installation: "test", Key: []byte("key"), Heartbeat: time.Second, Grace: time.Second,
			Report: map[string]string{"process": "unix://" + filepath.Join(dir, inprocess.SocketName)},
		},
	}
	o.Telemetry.Endpoint = endpoint
	if p.host, err = inprocess.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		_ = p.host.Close(ctx)
	})
	if err := p.host.Declare(t.Context(), events.CapacityUpdated{
		Node: "n", Provider: "process", Capacity: events.Resources{CPU: 8000, Memory: 8 << 30, Slots: 8}, Labels: []string{"linux"}, Since: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", p.host.Function("api").HTTP)
	mux.Handle("/webhooks/", p.host.Function("webhook").HTTP)
	p.http = mux
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.client = &client.Client{BaseURL: s.URL}
	return p
}

// push commits the pipeline and delivers the push, with a header or none.
func (p *plant) push(t *testing.T, traceparent string) {
	t.Helper()
	bare := p.work + ".git"
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main", p.work)
	if err := os.MkdirAll(filepath.Join(p.work, ".relevo"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.work, ".relevo", "ci.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	git("-C", p.work, "add", ".")
	git("-C", p.work, "commit", "-q", "-m", "pipeline")
	sha := git("-C", p.work, "rev-parse", "HEAD")
	git("clone", "-q", "--bare", p.work, bare)
	p.server.Add(shop, bare)
	dev := trigger.Actor{Login: "dev"}
	p.server.Grant(shop, dev.Login, trigger.Write)
	d := p.server.Push(shop, "refs/heads/main", "", sha, dev)
	q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/"+forge.GitHub, bytes.NewReader(d.Body))
	q.Header = d.Sign(forge.GitHub, secret, "d-1")
	if traceparent != "" {
		q.Header.Set("Traceparent", traceparent)
	}
	rec := httptest.NewRecorder()
	p.http.ServeHTTP(rec, q)
	if rec.Code != http.StatusAccepted {
		t.Fatalf("the delivery was answered %d: %s", rec.Code, rec.Body)
	}
}

// take waits for the spans of a whole run.
func take(t *testing.T, requests <-chan client.OTLPTraces) collected {
	t.Helper()
	select {
	case one, ok := <-requests:
		if !ok {
			t.Fatal("the collector ended")
		}
		all := collected{}
		for _, r := range one.ResourceSpans {
			for _, s := range r.ScopeSpans {
				for _, span := range s.Spans {
					all[span.SpanID] = span
				}
			}
		}
		return all
	case <-time.After(patience):
		t.Fatal("no trace came")
	}
	return nil
}

// path names a span by those above it.
func (c collected) path(s client.OTLPSpan) string {
	name := s.Name
	for parent, ok := c[s.ParentSpanID]; ok; parent, ok = c[parent.ParentSpanID] {
		name = parent.Name + " → " + name
	}
	return name
}

// TestATraceArrivesAsOneTree: what a push led to stands in the collector as
// webhook → run → job → worker → step, below one root, in one trace: that of the
// caller where it had one. The events on the way are of that trace too, and so is
// what the steps were told.
func TestATraceArrivesAsOneTree(t *testing.T) {
	const incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	address, requests := collector(t)
	for name, traceparent := range map[string]string{"of its own": "", "of the caller": incoming} {
		t.Run(name, func(t *testing.T) {
			witness := filepath.Join(t.TempDir(), "witness")
			p := newPlant(t, address, "WITNESS="+witness)
			seen := make(chan events.Envelope, 10_000)
			p.host.Tap(func(e events.Envelope) { seen <- e })
			p.push(t, traceparent)
			spans := take(t, requests)
			paths, root := map[string]client.OTLPSpan{}, client.OTLPSpan{}
			for _, s := range spans {
				paths[spans.path(s)] = s
				if _, below := spans[s.ParentSpanID]; !below {
					if root.SpanID != "" {
						t.Errorf("a second root: %s beside %s", s.Name, root.Name)
					}
					root = s
				}
			}
			for _, want := range []string{
				"webhook push",
				"webhook push → RUN ci",
				"webhook push → RUN ci → build → queued",
				"webhook push → RUN ci → build → worker process → launching",
				"webhook push → RUN ci → build → worker process → say",
				"webhook push → RUN ci → build → worker process → sleep",
				"webhook push → RUN ci → test → worker process → fails",
			} {
				if _, ok := paths[want]; !ok {
					t.Errorf("there is no %s", want)
				}
			}
			if root.Name != "webhook push" || strings.HasPrefix(incoming, "00-"+root.TraceID) != (traceparent != "") ||
				traceparent != "" && root.ParentSpanID != "b7ad6b7169203331" || traceparent == "" && root.ParentSpanID != "" {
				t.Errorf("the root is %+v", root)
			}
			for path, s := range paths {
				if s.TraceID != root.TraceID || s.Start > s.End || s.End == "0" {
					t.Errorf("%s is of the trace %s, from %s to %s", path, s.TraceID, s.Start, s.End)
				}
				if failed := strings.HasSuffix(path, "fails") || s.Name == "test" || s.Name == "RUN ci" || strings.HasSuffix(path, "test → worker process"); failed != (s.Status.Code == 2) {
					t.Errorf("%s has the status %+v", path, s.Status)
				}
			}
			said, err := os.ReadFile(witness)
			if step := paths["webhook push → RUN ci → build → worker process → say"]; err != nil || strings.TrimSpace(string(said)) != "00-"+root.TraceID+"-"+step.SpanID+"-01" {
				t.Errorf("the step was told %s, %v; it is %s of %s", said, err, step.SpanID, root.TraceID)
			}
			ofRun(t, seen, root.TraceID)
			same(t, p, spans)
		})
	}
}

// ofRun checks that each event of the run was of the trace.
func ofRun(t *testing.T, seen <-chan events.Envelope, trace string) {
	t.Helper()
	types := map[events.Type]bool{}
	for range len(seen) {
		e := <-seen
		if e.RunID == "" {
			continue
		}
		types[e.Type] = true
		if p, ok := events.ParseTraceparent(e.Traceparent); !ok || string(p.Trace) != trace {
			t.Errorf("%s of %s is of %q, not of the trace %s", e.Type, e.Source, e.Traceparent, trace)
		}
	}
	for _, want := range []events.Type{
		events.TypeRunRequested, events.TypeOfferCreated, events.TypeAssignmentCreated, events.TypeWorkerCreated,
		events.TypeJobStarted, events.TypeStepCompleted, events.TypeLogAppended, events.TypeJobEnded, events.TypeRunFailed,
	} {
		if !types[want] {
			t.Errorf("no %s was seen", want)
		}
	}
}

// same checks that the API shows what the collector has.
func same(t *testing.T, p *plant, spans collected) {
	t.Helper()
	run := ""
	for _, s := range spans {
		for _, a := range s.Attributes {
			if a.Key == "cicd.pipeline.run.id" {
				run = *a.Value.String
			}
		}
	}
	shown, err := p.client.Trace(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	list := shown.ResourceSpans[0].ScopeSpans[0].Spans
	for _, s := range list {
		if got := spans[s.SpanID]; got.Name != s.Name || got.Start != s.Start || got.End != s.End || got.Kind != s.Kind || len(got.Attributes) != len(s.Attributes) {
			t.Errorf("the API shows %+v, the collector has %+v", s, got)
		}
	}
	if len(list) != len(spans) {
		t.Errorf("the API shows %d spans, the collector has %d", len(list), len(spans))
	}
	w, err := p.client.Waterfall(t.Context(), run)
	if err != nil || len(w.Spans) != len(list) || w.Millis < 200 {
		t.Errorf("%+v, %v", w, err)
	}
}
