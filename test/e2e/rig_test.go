//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	corev1 "k8s.io/api/core/v1"

	"github.com/relevo-ci/relevo/shared/client"
)

// Where Relevo is installed, and what it is told there (overlay development).
const (
	namespace = "relevo"
	jobs      = "relevo-jobs"
	strangers = "relevo-jobs-untrusted" // of the component untrusted
	apiHost   = "api.relevo.relevo.test"
	token     = "development"
	redisURL  = "redis://:development@%s:6379/0"
)

// patience is how long anything may take; what takes longer fails.
const patience = 6 * time.Minute

// rig is one test against the cluster.
type rig struct {
	testing.TB
	ctx     context.Context
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	config  *rest.Config
	api     *client.Client
	server  string // the API's address, as people use it
}

// environment is a variable that test/e2e/run sets.
func environment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run these tests with make e2e", name)
	}
	return value
}

func begin(t testing.TB) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*patience) // clean-up needs it too
	t.Cleanup(cancel)
	r := &rig{TB: t, ctx: ctx}
	var err error
	if r.config, err = clientcmd.BuildConfigFromFlags("", environment(t, "KUBECONFIG")); err != nil {
		t.Fatal(err)
	}
	r.config.QPS, r.config.Burst = 50, 100
	if r.kube, err = kubernetes.NewForConfig(r.config); err != nil {
		t.Fatal(err)
	}
	if r.dynamic, err = dynamic.NewForConfig(r.config); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(ingress(environment(t, "RELEVO_CLUSTER_INGRESS"), apiHost))
	t.Cleanup(front.Close)
	r.server = front.URL
	if r.api, err = client.New(front.URL, token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.tell)
	return r
}

// ingress passes requests on to the cluster's ingress under a host's name, as a
// name server would.
func ingress(address, host string) http.Handler {
	to := &url.URL{Scheme: "http", Host: strings.TrimPrefix(address, "http://")}
	return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = host
	}}
}

// eventually polls until holds answers true, and ends the test where it never
// does.
func (r *rig) eventually(what string, holds func() bool) {
	r.Helper()
	r.within(patience, what, holds)
}

func (r *rig) within(most time.Duration, what string, holds func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, most)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			r.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// run runs a program and gives what it printed; it must succeed.
func (r *rig) run(name string, args ...string) string {
	r.Helper()
	out, err := r.try(name, args...)
	if err != nil {
		r.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (r *rig) try(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Env = append(os.Environ(), "RELEVO_API_TOKEN="+token)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// relevo runs the command line against the API.
func (r *rig) relevo(args ...string) string {
	r.Helper()
	return r.run(environment(r.TB, "RELEVO"), append(args, "--server", r.server)...)
}

// kubectl as people use it.
func (r *rig) kubectl(args ...string) string {
	r.Helper()
	return r.run(environment(r.TB, "RELEVO_CLUSTER_KUBECTL"), args...)
}

// submit posts a pipeline and gives its run's id.
func (r *rig) submit(pipeline string) string {
	r.Helper()
	key := fmt.Sprint(r.Name(), time.Now().UnixNano())
	accepted, err := r.api.Submit(r.ctx, client.Submission{File: ".relevo/e2e.yaml", Source: pipeline}, key)
	if err != nil {
		r.Fatalf("submit: %v", err)
	}
	r.Logf("run %s", accepted.Run)
	return accepted.Run
}

// finished waits until a run is done.
func (r *rig) finished(id string) client.Run {
	r.Helper()
	var run client.Run
	r.eventually("run "+id+" is done", func() bool {
		now, err := r.api.Run(r.ctx, id)
		if err != nil {
			r.Logf("get run: %v", err)
			return false
		}
		run = now
		return run.Final()
	})
	return run
}

// succeeded waits until a run is done and must have succeeded.
func (r *rig) succeeded(id string) client.Run {
	r.Helper()
	run := r.finished(id)
	if run.State != "SUCCEEDED" {
		for _, j := range run.Jobs {
			r.Logf("%s %s %s: %s", j.Key, j.State, j.Verdict, j.Reason)
		}
		r.Errorf("run %s is %s", id, run.State)
	}
	return run
}

// job waits until a job of a run is as wanted.
func (r *rig) job(run, key, what string, as func(client.Job) bool) client.Job {
	r.Helper()
	var job client.Job
	r.eventually(key+" "+what, func() bool {
		now, err := r.api.Job(r.ctx, run+"."+key)
		job = now
		return err == nil && as(job)
	})
	return job
}

func running(j client.Job) bool { return j.State == "RUNNING" }

// log is an attempt's log as the API keeps it.
func (r *rig) log(job string, attempt int) string {
	r.Helper()
	var b bytes.Buffer
	if _, err := r.api.Logs(r.ctx, job, client.LogOptions{Attempt: attempt}, &b); err != nil {
		r.Fatalf("log of %s: %v", job, err)
	}
	return b.String()
}

// functions are the pods of our Knative Services that are there.
func (r *rig) functions() []corev1.Pod {
	r.Helper()
	list, err := r.kube.CoreV1().Pods(namespace).List(r.ctx, v1.ListOptions{LabelSelector: "serving.knative.dev/service"})
	if err != nil {
		r.Fatal(err)
	}
	return list.Items
}

// workers are the pods of a job's worker, or of all where none is named.
func (r *rig) workers(of client.Attempt) []corev1.Pod {
	r.Helper()
	list, err := r.kube.CoreV1().Pods(jobs).List(r.ctx, v1.ListOptions{})
	if err != nil {
		r.Fatal(err)
	}
	var found []corev1.Pod
	for _, p := range list.Items {
		if of.Worker == "" || strings.Contains(fmt.Sprint(p.Labels, p.Annotations), string(of.Worker)) {
			found = append(found, p)
		}
	}
	return found
}

// tell prints what stands in the cluster when a test failed.
func (r *rig) tell() {
	if !r.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.ctx = ctx
	for _, args := range [][]string{
		{"get", "pods,jobs", "-A", "--no-headers"},
		{"get", "services.serving.knative.dev,triggers.eventing.knative.dev,brokers.eventing.knative.dev", "-n", namespace, "--no-headers"},
		{"get", "events", "-n", jobs, "--sort-by=.lastTimestamp"},
		{"logs", "-n", namespace, "-l", "serving.knative.dev/service", "-c", "user-container", "--tail=40", "--prefix"},
	} {
		out, err := r.try(environment(r.TB, "RELEVO_CLUSTER_KUBECTL"), args...)
		r.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
