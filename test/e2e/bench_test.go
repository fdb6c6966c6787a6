//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

// The measures print ratios against a reference taken in the same run:
//
//	make bench-e2e

// coldStart is how long a function at zero takes to answer.
func (r *rig) coldStart(function string) time.Duration {
	r.Helper()
	host := function + "." + namespace + ".svc.cluster.local"
	front := httptest.NewServer(ingress(environment(r.TB, "RELEVO_CLUSTER_INGRESS"), host))
	defer front.Close()
	began := time.Now()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, front.URL+"/healthz", http.NoBody)
	if err != nil {
		r.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		r.Fatalf("%s answers %s", function, response.Status)
	}
	return time.Since(began)
}

const one = `
on: workflow_dispatch
jobs:
  one:
    container: dev.local/relevo/busybox:test
    steps:
      - run: echo here
`

// P10: everything at zero, a run is posted: how long until its worker is
// launched, and says hello, against one cold start of a function; with the
// functions of a job's way woken at once, and without.
func BenchmarkP10(b *testing.B) {
	for _, wake := range []string{"on", "off"} {
		var cold, launched, hello []float64 // the first, single, try counts too
		b.Run("wake="+wake, func(b *testing.B) {
			r := begin(b)
			r.kubectl("patch", "configmap", "relevo", "-n", namespace, "--type=merge", "-p", `{"data":{"RELEVO_HOST_WAKE":"`+wake+`"}}`)
			defer r.kubectl("patch", "configmap", "relevo", "-n", namespace, "--type=merge", "-p", `{"data":{"RELEVO_HOST_WAKE":"on"}}`)
			for range b.N {
				r.zero()
				cold = append(cold, r.coldStart("offer-expired").Seconds())
				r.zero()
				accepted, err := r.api.Submit(r.ctx, client.Submission{File: "one.yaml", Source: one}, fmt.Sprint("p10-", time.Now().UnixNano()))
				if err != nil {
					b.Fatal(err)
				}
				run := r.succeeded(accepted.Run)
				a := run.Jobs[0].Attempts[0]
				launched = append(launched, a.Scheduled.Sub(run.Requested).Seconds())
				hello = append(hello, a.Started.Sub(run.Requested).Seconds())
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(cold), "cold-s")
			b.ReportMetric(median(launched)/median(cold), "launched/cold")
			b.ReportMetric(median(hello)/median(cold), "hello/cold")
		})
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// heard is a trigger that tells this machine of a type of event.
const heard = `
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: heard-%[1]s, namespace: relevo, labels: {bench: "yes"}}
spec:
  broker: relevo
  filter: {attributes: {type: %[2]s}}
  subscriber: {uri: "http://%[3]s/"}
`

// plain is a function that does nothing but answer with another event.
const plain = `
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: plain, namespace: relevo, labels: {bench: "yes"}}
spec:
  broker: relevo
  filter: {attributes: {type: com.example.ping}}
  subscriber: {uri: "http://%s/answer"}
`

// P11: an event is posted to the broker, a function handles it and what it
// emits comes back by the broker; against an empty handler on this machine that
// answers at once, and so saves a pod's hop.
func BenchmarkP11(b *testing.B) {
	r := begin(b)
	arrived := make(chan string, 1024)
	listener, err := (&net.ListenConfig{}).Listen(r.ctx, "tcp", environment(b, "RELEVO_CLUSTER_NODE")+":0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: answering(arrived)}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	here := listener.Addr().String()
	r.apply(fmt.Sprintf(heard, "ours", events.TypeOfferCreated, here) + "---\n" +
		fmt.Sprintf(heard, "theirs", "com.example.pong", here) + "---\n" + fmt.Sprintf(plain, here))
	defer r.kubectl("delete", "triggers.eventing.knative.dev", "-n", namespace, "-l", "bench=yes", "--wait=false")
	r.kubectl("wait", "--for=condition=Ready", "triggers.eventing.knative.dev", "-n", namespace, "-l", "bench=yes", "--timeout=120s")
	hop := func(id, kind, data string) float64 {
		for {
			began := time.Now()
			r.post(id, kind, data)
			if arrives(r.ctx, arrived, id) {
				return time.Since(began).Seconds()
			}
			if r.ctx.Err() != nil {
				b.Fatalf("%s never arrived", id)
			}
			b.Logf("%s got lost: the channel did not know its subscriber yet", id)
		}
	}
	var ours, theirs []float64
	for i := range b.N + 3 { // the first ones warm up
		run := fmt.Sprintf("01BENCH%019d", time.Now().UnixNano())
		d := events.JobRequested{JobRef: events.JobRef{Run: events.RunID(run), Job: "j"}, Attempt: 1, Pool: "bench"}
		data, err := json.Marshal(d)
		if err != nil {
			b.Fatal(err)
		}
		offer := scheduling.Pools{}.Offer(d).Offer
		a := hop(string(offer), string(events.TypeJobRequested), string(data))
		t := hop("plain-"+run, "com.example.ping", `{"id":"plain-`+run+`"}`)
		if i >= 3 {
			ours, theirs = append(ours, a), append(theirs, t)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(theirs)*1000, "plain-ms")
	b.ReportMetric(median(ours)*1000, "ours-ms")
	b.ReportMetric(median(ours)/median(theirs), "ours/plain")
}

// arrives waits for an event, long enough for one that is not lost.
func arrives(ctx context.Context, arrived <-chan string, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		select {
		case got := <-arrived:
			if strings.Contains(got, id) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// answering tells of what comes, and answers a ping with a pong.
func answering(arrived chan<- string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /answer", func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": req.Header.Get("Ce-Id"), "Ce-Source": "/plain", "Ce-Type": "com.example.pong",
		} {
			w.Header().Set(name, value)
		}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, req *http.Request) {
		var body bytes.Buffer
		_, _ = io.Copy(&body, req.Body)
		w.WriteHeader(http.StatusAccepted)
		arrived <- body.String() + req.Header.Get("Ce-Id")
	})
	return mux
}

// P15: what is resident between two ticks of the clock, and what the floor is
// that Relevo needs and does not own.
func BenchmarkP15(b *testing.B) {
	r := begin(b)
	r.zero()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(r.functions())), "functions-pods")
	pods, err := r.kube.CoreV1().Pods(namespace).List(r.ctx, v1.ListOptions{LabelSelector: "!serving.knative.dev/service"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(pods.Items)), "redis-and-adapter-pods")
	floor := 0
	for _, ns := range []string{"knative-serving", "knative-eventing"} {
		list, err := r.kube.CoreV1().Pods(ns).List(r.ctx, v1.ListOptions{})
		if err != nil {
			b.Fatal(err)
		}
		floor += len(list.Items)
	}
	b.ReportMetric(float64(floor), "knative-pods")
}
