//go:build e2e

package kubernetes

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/agent"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// plane is a control plane that hears agents out; the first nonce wins.
type plane struct {
	mu     sync.Mutex
	nonces []string
	logs   strings.Builder
	ending *execution.Ending
	finish bool // the job's step may end
}

// serve listens where pods reach this machine, which is the cluster's node, and
// gives the address.
func (h *plane) serve(t *testing.T, p *Provider) string {
	t.Helper()
	nodes, err := p.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := os.Getenv("RELEVO_TEST_ADDRESS") // for nodes that are other machines
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP && address == "" {
			address = a.Address
		}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /worker/report", h.report)
	mux.HandleFunc("GET /finish", func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.finish {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}

func (h *plane) report(w http.ResponseWriter, req *http.Request) {
	var r execution.Report
	if err := json.NewDecoder(req.Body).Decode(&r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.nonces, r.Nonce) {
		h.nonces = append(h.nonces, r.Nonce)
	}
	var reply execution.Reply
	if h.nonces[0] != r.Nonce {
		reply.Gone = "another agent was first"
		json.NewEncoder(w).Encode(reply)
		return
	}
	for _, c := range r.Logs {
		if seen := int64(h.logs.Len()); c.Offset <= seen && c.Offset+int64(len(c.Data)) > seen {
			h.logs.Write(c.Data[seen-c.Offset:])
		}
	}
	if r.End != nil {
		h.ending = r.End
	}
	reply.Acknowledged = int64(h.logs.Len())
	json.NewEncoder(w).Encode(reply)
}

// heard waits until a condition on what was heard holds.
func (h *plane) heard(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return holds()
	})
}

// TestTwoPodsForOneJob has the real agent, and a second pod of a Job's template
// while the first one runs: one does the job, the other one ends.
func TestTwoPodsForOneJob(t *testing.T) {
	binary := image(t, "agent", func() string {
		path := filepath.Join(t.TempDir(), "agent")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/relevo-ci/relevo/deploy/agent")
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the agent: %v\n%s", err, out)
		}
		return path
	})
	p := secured(t, func(c *Config) { c.AgentImage = binary })
	h := &plane{}
	address := h.serve(t, p)
	l := conformance.Launch(1)
	l.Report, l.Heartbeat = address, time.Second
	l.Job = pipeline.JobSpec{Key: "build", ID: "build", Steps: []pipeline.StepSpec{{Run: expression.Text(
		"echo begun as $(id -u) at home in $HOME; touch here $HOME/there; until wget -q -O /dev/null " + address + "/finish; do sleep 1; done; echo done",
	)}}}
	changes := told(t, p)
	launched(t, p, l)
	h.heard(t, "the job begins", func() bool { return strings.Contains(h.logs.String(), "\nbegun as 1000 at home in /relevo/home") })

	pod, _, err := p.latest(t.Context(), l.Worker)
	if err != nil {
		t.Fatal(err)
	}
	second := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "second-", Labels: map[string]string{keyManager: manager}, Annotations: pod.Annotations,
	}, Spec: p.template(l).Spec}
	second, err = p.client.CoreV1().Pods(pod.Namespace).Create(t.Context(), second, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second agent ends", func() bool {
		now, err := p.client.CoreV1().Pods(pod.Namespace).Get(t.Context(), second.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := containerStatus(now)
		if c == nil || c.State.Terminated == nil {
			return false
		}
		if c.State.Terminated.ExitCode != agent.ExitGone {
			t.Errorf("the second agent ended with %+v, want exit %d", c.State.Terminated, agent.ExitGone)
		}
		return true
	})
	if st, err := p.List(t.Context()); err != nil || len(st) != 1 || !st[0].Running {
		t.Errorf("the first one is %+v, %v: want it to go on", st, err)
	}
	h.heard(t, "two agents said hello", func() bool { h.finish = true; return len(h.nonces) == 2 })
	h.heard(t, "the job ends", func() bool { return h.ending != nil })
	if h.ending.Verdict != events.Succeeded || strings.Count(h.logs.String(), "\nbegun as") != 1 || !strings.Contains(h.logs.String(), "\ndone") {
		t.Errorf("the job ended as %+v, with the log\n%s", h.ending, &h.logs)
	}
	if c := first(t, changes); c.Exit != agent.ExitDone || c.Failed != nil {
		t.Errorf("Watch told %s", fmt.Sprintf("%+v", c))
	}
}

// TestCreateAfterACrash begins where a control plane died between making the
// Job and its Secret.
func TestCreateAfterACrash(t *testing.T) {
	p := secured(t, nil)
	l := conformance.Launch(1)
	l.Installation = p.cfg.Installation
	job, err := p.client.BatchV1().Jobs(p.cfg.Namespace).Create(t.Context(), p.job(l), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if st := status(t, p); st.Running || st.Preparing == "" || st.Handle != string(job.UID) {
		t.Errorf("List gives %+v, want one that is prepared", st)
	}
	launched(t, p, l)
	ready(t, p, l)
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
	if names := left(t, p); len(names) > 0 {
		t.Errorf("left: %q", names)
	}
}
