package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

const (
	parked     = 1000
	parkedType = "com.example.deployed"
	parkedFor  = 2 * time.Hour
)

func parkedID(i int) events.RunID { return events.RunID(fmt.Sprintf("01J000000000000000000%05d", i)) }

// park starts runs of one job, which awaits the event about its run, and of one
// that follows it.
func park(t *testing.T, h *inprocess.Host, n int) {
	t.Helper()
	run := &expression.Node{Op: expression.Prop, Name: "run_id", Args: []*expression.Node{{Op: expression.Var, Name: "github"}}}
	where := expression.Template{Parts: []expression.Part{{Text: "subject = '"}, {Expr: run}, {Text: "'"}}}
	spec, err := json.Marshal(pipeline.Spec{Name: "parked", Jobs: []pipeline.JobSpec{
		{ID: "gate", Key: "gate", Name: expression.Text("gate"), Await: &pipeline.Await{Type: parkedType, Where: &where, TimeoutSeconds: parkedFor.Seconds()}},
		{ID: "after", Key: "after", Name: expression.Text("after"), Needs: []string{"gate"}, Steps: []pipeline.StepSpec{{Run: expression.Text("true")}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		res, err := h.Deps.Runs.Create(t.Context(), "api", events.RunRequested{
			RunRef: events.RunRef{Run: parkedID(i)}, Pipeline: "parked", Spec: spec, Trigger: events.Trigger{Event: "manual"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Publish(t.Context(), res.Emitted); err != nil {
			t.Fatal(err)
		}
	}
}

// deployed sends the event about a run.
func deployed(t *testing.T, h *inprocess.Host, run events.RunID) {
	t.Helper()
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":"of %s","source":"/shop","type":%q,"subject":%q}`, run, parkedType, run)
	got, err := h.Deps.Doors.Receive(t.Context(), "api", trigger.Arrival{Source: pipeline.CloudEvent, Sender: "/shop " + string(run), Event: parkedType}, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Publish(t.Context(), got.Emitted); err != nil {
		t.Fatal(err)
	}
}

// states counts the runs by state and verdict.
func states(t *testing.T, h *inprocess.Host) map[string]int {
	t.Helper()
	count := map[string]int{}
	for i := range parked {
		run, _, err := h.Deps.Runs.Load(t.Context(), parkedID(i))
		if err != nil {
			t.Fatal(err)
		}
		count[strings.TrimSpace(string(run.State)+" "+string(run.Verdict))]++
	}
	return count
}

// TestParkedRunsHoldNothing: a thousand runs wait for an event each, without a
// worker, a place in a pool or a goroutine. An event wakes the one that it is
// about; their time ends the others.
func TestParkedRunsHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHost(t, 4, inprocess.Options{})
		synctest.Wait()
		before := runtime.NumGoroutine()
		park(t, h.Host, parked)
		time.Sleep(time.Minute)
		synctest.Wait()
		more := runtime.NumGoroutine() - before
		t.Logf("%d runs wait: %d goroutines more, %d workers", parked, more, h.peak)
		if more > 10 || h.peak > 0 {
			t.Errorf("%d goroutines more and %d workers for %d runs that wait", more, h.peak, parked)
		}
		if got := states(t, h.Host); got["RUNNING"] != parked {
			t.Errorf("runs are %v", got)
		}
		for _, kind := range []string{"held", "offer"} {
			if docs, err := h.Deps.Runs.Store.List(t.Context(), protocol.PoolPartition(pool), kind); err != nil || len(docs) > 0 {
				t.Errorf("the pool has %d of %s (%v)", len(docs), kind, err)
			}
		}

		deployed(t, h.Host, parkedID(417))
		woken := h.await(t, parkedID(417))
		if woken.State != pipeline.RunSucceeded || woken.Job("gate").Outputs["subject"] != string(parkedID(417)) {
			t.Errorf("the run that was woken is %s: %+v", woken.State, woken.Job("gate"))
		}
		if got := states(t, h.Host); got["RUNNING"] != parked-1 {
			t.Errorf("after the event runs are %v", got)
		}

		time.Sleep(parkedFor + time.Minute)
		if got := states(t, h.Host); got["FAILED timeout"] != parked-1 || got["SUCCEEDED succeeded"] != 1 {
			t.Errorf("after their time runs are %v", got)
		}
		time.Sleep(2 * time.Hour)
		if left, err := h.Deps.Doors.Awaits(t.Context(), parkedType); err != nil || len(left) > 0 {
			t.Errorf("%d waits are left (%v)", len(left), err)
		}
		if h.peak != 1 {
			t.Errorf("%d workers at once, want the one of the job that went on", h.peak)
		}
		h.Close(context.WithoutCancel(t.Context()))
		h.tasks.Wait()
	})
}

// TestParkedRunsInRedis says what a run that waits costs.
func TestParkedRunsInRedis(t *testing.T) {
	s, err := server.Start(t.Context(), t.TempDir(), server.Options{Fsync: server.FsyncNever})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.WithoutCancel(t.Context())) })
	store, err := redis.Open(t.Context(), s.URL(), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h, err := inprocess.Start(t.Context(), inprocess.Options{
		Store: store, Fresh: true, Logs: logs.NewMemory(1 << 20), Providers: map[string]provider.Provider{"fake": fake.New()},
		Policy: pipeline.DefaultPolicy(), OfferTTL: time.Hour, Workers: settings, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(context.WithoutCancel(t.Context())) })
	before, goroutines := used(t, s.URL()), runtime.NumGoroutine()
	park(t, h, parked)
	waiting := 0
	for until := time.Now().Add(2 * time.Minute); waiting < parked && time.Now().Before(until); {
		list, err := h.Deps.Doors.Awaits(t.Context(), parkedType)
		if err != nil {
			t.Fatal(err)
		}
		waiting = len(list)
		<-time.After(100 * time.Millisecond)
	}
	each := (used(t, s.URL()) - before) / parked
	t.Logf("%d runs wait in Redis: %d bytes each, ledger and inbox included; %d goroutines more", waiting, each, runtime.NumGoroutine()-goroutines)
	if waiting != parked || each > 16<<10 {
		t.Errorf("%d of %d runs wait, %d bytes each", waiting, parked, each)
	}
}

// used is the memory of Redis, in bytes.
func used(t *testing.T, url string) int64 {
	t.Helper()
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(options)
	defer c.Close()
	info, err := c.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	line, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatalf("%v in %s", err, info)
	}
	return n
}
