package views_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/workers"
)

// rig is an installation in this process over a redis-server, whose workers do as
// their step's script says.
type rig struct {
	*testing.T
	host   *inprocess.Host
	store  *redis.Store
	view   view.Store
	client *client.Client
}

func newRig(t *testing.T) *rig {
	srv, err := server.Start(t.Context(), t.TempDir(), server.Options{Fsync: server.FsyncNever})
	if err != nil {
		t.Fatal(err)
	}
	ending := context.WithoutCancel(t.Context())
	t.Cleanup(func() { _ = srv.Stop(ending) })
	r := &rig{T: t}
	if r.store, err = redis.Open(t.Context(), srv.URL(), redis.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	r.view = r.store.View()
	policy := pipeline.DefaultPolicy()
	policy.InfraBackoff, policy.InfraRetries = time.Millisecond, 1
	p := fake.New()
	p.Refuse = refuse
	p.Launched = func(l execution.Launch) { go r.work(l) }
	r.host, err = inprocess.Start(t.Context(), inprocess.Options{
		Store: r.store, Logs: logs.NewMemory(64 << 20), View: r.view, API: &api.API{}, Policy: policy, OfferTTL: time.Hour,
		Providers: map[string]provider.Provider{"fake": p}, Workers: workers.Settings{Key: []byte("views")},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ending, 10*time.Second)
		defer cancel()
		_ = r.host.Close(ctx)
	})
	if err := r.host.Declare(t.Context(), events.CapacityUpdated{
		Node: "n", Provider: "fake", Capacity: events.Resources{CPU: 8000, Memory: 8 << 30, Slots: 8}, Since: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r.host.Function("api").HTTP)
	t.Cleanup(s.Close)
	r.client = &client.Client{BaseURL: s.URL}
	return r
}

// script is what the only step of a launch runs.
func script(l execution.Launch) string {
	raw, err := json.Marshal(l.Job.Steps)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// refuse makes no worker for the first attempt of the unlucky, and none at all
// for the doomed.
func refuse(l execution.Launch) error {
	if s := script(l); strings.Contains(s, "unlucky") && l.Attempt == 1 || strings.Contains(s, "doomed") {
		return &provider.Failure{Reason: "the node is out of space"}
	}
	return nil
}

// work is a worker: it says hello, and ends as its step says.
func (r *rig) work(l execution.Launch) {
	ctx := context.Background()
	report := execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: string(l.Worker), Kind: execution.Hello}
	if _, err := r.host.Deps.Reports.Report(ctx, report); err != nil {
		return // cancelled meanwhile
	}
	report.Kind, report.End = execution.End, &execution.Ending{Verdict: events.Succeeded}
	if s := script(l); strings.Contains(s, "broken") || strings.Contains(s, "flaky") && l.Attempt < 3 {
		report.End = &execution.Ending{Verdict: events.Failed, Reason: "exit status 1"}
	}
	_, _ = r.host.Deps.Reports.Report(ctx, report)
}

// deliver sends an event of another system, twice.
func (r *rig) deliver(n int) {
	r.Helper()
	for range 2 {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/there","type":"com.example.thing"}`, n)
		res, err := http.Post(r.client.BaseURL+"/v1/events", "application/cloudevents+json", strings.NewReader(body))
		if err != nil {
			r.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode/100 != 2 {
			r.Fatalf("status %s", res.Status)
		}
	}
}

// cancel cancels a run, unless it is over.
func (r *rig) cancel(id string) {
	r.Helper()
	if _, err := r.client.CancelRun(r.Context(), id, "no longer wanted"); err != nil && !errors.Is(err, client.ErrConflict) {
		r.Fatal(err)
	}
}

// answer approves what a run waits for, if it does.
func (r *rig) answer(id string) {
	res, err := http.Post(r.client.BaseURL+"/v1/jobs/"+id+".approve/approve", "application/json", nil)
	if err != nil {
		r.Fatal(err)
	}
	_ = res.Body.Close() // 404 and 409 where it waits for nothing
}

// rest waits until every run is over, answering whatever still waits for people.
func (r *rig) rest(ids []string) {
	r.Helper()
	for end := time.Now().Add(60 * time.Second); ; {
		open := ""
		for _, id := range ids {
			run, err := r.client.Run(r.Context(), id)
			if err != nil {
				r.Fatal(err)
			}
			if !run.Final() {
				open = id
				r.answer(id)
			}
		}
		if open == "" {
			return
		}
		if time.Now().After(end) {
			why, err := r.client.Explain(r.Context(), open)
			r.Fatalf("a run is not over: %+v, %v", why, err)
		}
		r.pause()
	}
}

// pause lets others go on.
func (r *rig) pause() {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	<-t.C
}
