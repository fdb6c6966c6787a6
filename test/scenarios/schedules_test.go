package scenarios_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/state"
)

// beat is how often the schedules of this test are due: cron's minutes would
// take long.
const (
	beat  = 4 * time.Second
	grace = beat / 10 // how late a tick still counts as on time
)

// keeper is a control plane with a clock, and nothing else.
type keeper struct {
	*testing.T
	front *state.Front
	clock *clockticked.Clock
	close func()
}

func keep(t *testing.T, url string) *keeper {
	t.Helper()
	store, err := redis.Open(t.Context(), url, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &state.Committer{Store: store}
	k := &keeper{T: t, close: func() { _ = store.Close() }, front: &state.Front{
		Committer: c, Grace: grace,
		Next: func(_, _ string, after time.Time) (time.Time, error) { return after.Truncate(beat).Add(beat), nil },
	}}
	none := func(context.Context, []events.Envelope) error { return nil }
	k.clock = &clockticked.Clock{
		Runs: &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}, Pools: &state.Pools{Committer: c}, Groups: &state.Groups{Committer: c},
		Front: k.front, Publish: none, Direct: func(context.Context, events.Envelope) error { return nil },
	}
	return k
}

// ticks lets the clock tick until a file has ticked as often, and gives all
// ticks by file.
func (k *keeper) ticks(file string, n int) map[string][]trigger.Tick {
	k.Helper()
	for until := time.Now().Add(time.Minute); ; {
		if _, _, err := k.clock.Tick(k.Context()); err != nil {
			k.Fatal(err)
		}
		all := k.seen()
		if len(all[file]) >= n {
			return all
		}
		if time.Now().After(until) {
			k.Fatalf("%s ticked %d times, want %d", file, len(all[file]), n)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (k *keeper) seen() map[string][]trigger.Tick {
	k.Helper()
	list, _, err := k.front.Deliveries(k.Context(), "", 10_000)
	if err != nil {
		k.Fatal(err)
	}
	all := map[string][]trigger.Tick{}
	for _, d := range slices.Backward(list) {
		_, body, err := k.front.Delivery(k.Context(), d.ID)
		var tick trigger.Tick
		if err != nil || json.Unmarshal(body, &tick) != nil {
			k.Fatalf("%s: %v", body, err)
		}
		all[tick.File] = append(all[tick.File], tick)
	}
	return all
}

// TestSchedulesOutliveACrash: Redis and the control plane are killed, and are
// away for longer than a tick may be late. What was missed is made up for once, or
// skipped, as the file says; two clocks at a time double nothing.
func TestSchedulesOutliveACrash(t *testing.T) {
	dir := t.TempDir()
	options := server.Options{Fsync: server.FsyncAlways}
	s, err := server.Start(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.WithoutCancel(t.Context())) })
	k := keep(t, s.URL())
	err = k.front.SetTimers(t.Context(), "github", "acme/shop", time.Now(), []trigger.Timer{
		{File: "once", Cron: "* * * * *", Missed: trigger.MissedOnce}, {File: "skip", Cron: "* * * * *", Missed: trigger.MissedSkip},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := k.ticks("skip", 1)

	if p, err := os.FindProcess(s.PID()); err != nil || p.Signal(syscall.SIGKILL) != nil {
		t.Fatalf("kill redis-server %d: %v", s.PID(), err)
	}
	k.close()
	back := time.Now().Truncate(beat).Add(3*beat + 2*grace) // two were missed, and the last is late
	for time.Now().Before(back) {
		<-time.After(grace / 4)
	}
	if s, err = server.Start(t.Context(), dir, options); err != nil {
		t.Fatal(err)
	}
	k, other := keep(t, s.URL()), keep(t, s.URL())
	t.Cleanup(k.close)
	t.Cleanup(other.close)
	both := make(chan error, 2)
	for _, one := range []*keeper{k, other} {
		go func() {
			_, _, err := one.clock.Tick(t.Context())
			both <- err
		}()
	}
	if err := errors.Join(<-both, <-both); err != nil {
		t.Error(err)
	}
	after := k.ticks("skip", len(before["skip"])+1)
	late := map[string][]trigger.Tick{}
	for file, ticks := range after {
		seen := map[int64]bool{}
		for _, tick := range ticks {
			if seen[tick.At.Unix()] {
				t.Errorf("%s ticked twice for %v", file, tick.At)
			}
			seen[tick.At.Unix()] = true
			if missed := tick.At.Add(beat).Before(back) && tick.At.Add(2*beat).After(back); missed {
				t.Errorf("%s ticked for %v, when nobody was there", file, tick.At)
			}
			if tick.At.Before(back) && tick.At.Add(beat).After(back) {
				late[file] = append(late[file], tick)
			}
		}
	}
	if len(late["skip"]) > 0 || len(late["once"]) != 1 || !late["once"][0].Late {
		t.Errorf("what was missed came to %+v, want one tick of once, late", late)
	}
}
