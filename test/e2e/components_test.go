//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/relevo-ci/relevo/shared/client"
)

// with adds a component and settings ("NAME: value") to the installation, as
// people do in an overlay of their own. When the test ends both are taken away:
// what the component made, by its names, and from the pods what they were told.
func (r *rig) with(component string, settings, made []string) {
	r.Helper()
	dir, err := os.MkdirTemp(".", "overlay-")
	if err != nil {
		r.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text := "resources: [../install]\ncomponents:\n" +
		"  - ../../../deploy/knative/components/" + component + "\n" +
		"  - ../../../deploy/knative/components/local-images\n"
	if len(settings) > 0 {
		text += "patches:\n  - patch: |-\n      apiVersion: v1\n      kind: ConfigMap\n" +
			"      metadata: {name: relevo, namespace: relevo}\n      data:\n        " + strings.Join(settings, "\n        ") + "\n"
	}
	write(r.TB, filepath.Join(dir, "kustomization.yaml"), text)
	r.Cleanup(func() {
		r.kubectl("apply", "-k", "install")
		r.kubectl(append([]string{"delete", "-n", namespace, "--ignore-not-found"}, made...)...)
		r.anew()
	})
	r.kubectl("apply", "-k", dir)
}

// anew has the functions' pods that there are begin anew, by the document's
// command: what they are told of is read when they start.
func (r *rig) anew() {
	r.Helper()
	r.shell(shown(r.TB, "kubectl", 3))
}

// built builds a program of another module of the tests.
func (r *rig) built(module, pkg string) (program string) {
	r.Helper()
	program = filepath.Join(r.TempDir(), "program")
	r.run("go", "build", "-C", module, "-o", program, pkg)
	return program
}

// begun starts a program that ends with the test.
func (r *rig) begun(cmd *exec.Cmd) {
	r.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// collector runs a collector of OpenTelemetry where the cluster's pods reach it,
// and gives its address and what it takes.
func (r *rig) collector() (address string, requests <-chan client.OTLPTraces) {
	r.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(r.ctx), r.built("../otlp", "."), environment(r.TB, "RELEVO_CLUSTER_NODE"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	r.begun(cmd)
	lines := bufio.NewReader(out)
	if address, err = lines.ReadString('\n'); err != nil {
		r.Fatal(err)
	}
	took := make(chan client.OTLPTraces, 64)
	go func() {
		defer close(took)
		for in := json.NewDecoder(lines); ; {
			var one client.OTLPTraces
			if in.Decode(&one) != nil {
				return
			}
			took <- one
		}
	}()
	return strings.TrimSpace(address), took
}

// spans are those of requests, by id.
func spans(all map[string]client.OTLPSpan, t client.OTLPTraces) {
	for _, r := range t.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				all[span.SpanID] = span
			}
		}
	}
}

// ways are spans named by those above them, up to the roots.
func ways(all map[string]client.OTLPSpan) []string {
	var found []string
	for _, s := range all {
		way := s.Name
		for above, ok := all[s.ParentSpanID]; ok; above, ok = all[above.ParentSpanID] {
			way = above.Name + " → " + way
		}
		found = append(found, way)
	}
	slices.Sort(found)
	return found
}

// With the component a collector has the trace of a run that ended, as one tree
// and as the API shows it, and the function that sent it sleeps again.
func TestTracesReachACollector(t *testing.T) {
	r := begin(t)
	address, requests := r.collector()
	const service, trigger = "services.serving.knative.dev/run-completed-telemetry", "triggers.eventing.knative.dev/run-completed-telemetry"
	r.with("telemetry", []string{"OTEL_EXPORTER_OTLP_ENDPOINT: " + address}, []string{service, trigger, "serviceaccount/run-completed-telemetry"})
	r.ready(service, trigger)
	id := r.submit(`
name: told
on: workflow_dispatch
jobs:
  build:
    container: dev.local/relevo/busybox:test
    steps:
      - {name: compile, run: echo compiled}
      - {name: pack, run: echo packed}
  test:
    needs: build
    container: dev.local/relevo/busybox:test
    steps: [{name: try, run: echo tried}]
`)
	r.succeeded(id)
	shown, err := r.api.Trace(r.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]client.OTLPSpan{}, map[string]client.OTLPSpan{}
	spans(want, shown)
	r.within(patience/2, "the collector has all spans of the run", func() bool {
		for range len(requests) {
			spans(got, <-requests)
		}
		for span := range want {
			if _, ok := got[span]; !ok {
				return false
			}
		}
		return true
	})
	// What came of other runs is not looked at.
	for span, s := range got {
		if _, ours := want[span]; !ours {
			delete(got, span)
		} else if s.TraceID != want[span].TraceID || s.Start != want[span].Start || s.End != want[span].End {
			t.Errorf("the collector has %+v, the API shows %+v", s, want[span])
		}
	}
	tree := []string{"RUN told"}
	for job, steps := range map[string][]string{"build": {"compile", "pack"}, "test": {"try"}} {
		worker := "RUN told → " + job + " → worker kubernetes"
		tree = append(tree, "RUN told → "+job, "RUN told → "+job+" → queued", worker, worker+" → launching")
		for _, step := range steps {
			tree = append(tree, worker+" → "+step)
		}
	}
	slices.Sort(tree)
	if has := ways(got); !slices.Equal(has, tree) {
		t.Errorf("the collector has\n%s\nwant\n%s", strings.Join(has, "\n"), strings.Join(tree, "\n"))
	}
	r.eventually("the function sleeps, or was told to end", func() bool {
		pods, err := r.kube.CoreV1().Pods(namespace).List(r.ctx, v1.ListOptions{LabelSelector: "serving.knative.dev/service=run-completed-telemetry"})
		return err == nil && !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil })
	})
	r.audit(id)
}

// port is one at the node's address that nobody listens on.
func (r *rig) port() (address string) {
	r.Helper()
	l := r.listens(net.JoinHostPort(environment(r.TB, "RELEVO_CLUSTER_NODE"), "0"))
	defer l.Close()
	return l.Addr().String()
}
