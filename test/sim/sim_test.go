package main

import (
	"context"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/redis/server"
)

// Every property holds on every seed, and every seed plays the same twice.
func TestSeeds(t *testing.T) {
	var out strings.Builder
	if (Battery{First: 1, Seeds: 300}).Run(&out) != 0 {
		t.Error(out.String())
	}
}

// The store in Redis leads to the same events as the one in memory.
func TestSeedsOnRedis(t *testing.T) {
	s, err := server.Start(t.Context(), t.TempDir(), server.Options{Fsync: server.FsyncNever})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.WithoutCancel(t.Context())) })
	b, closing, err := onRedis(t.Context(), s.URL(), Battery{First: 1, Seeds: 12})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if b.Run(&out) != 0 {
		t.Error(out.String())
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
}

// Faults of every kind are provoked: a battery that met none would prove
// nothing.
func TestSeedsMeetFaults(t *testing.T) {
	var out strings.Builder
	if (Battery{First: 1000, Seeds: 150, Once: true}).Run(&out) != 0 {
		t.Fatal(out.String())
	}
	for _, fault := range []string{
		"event lost after acceptance", "event lost for one subscriber", "event refused by the broker",
		"event duplicated", "event reordered", "event delayed",
		"delivery dropped, sent again", "crash between commit and publish", "crash between two publications",
		"crash right after a commit", "reply to a commit lost", "reply to a report lost", "store not reached",
		"store away for a while", "store restarted, last milliseconds lost", "store restarted between a load and its commit",
		"other processes act between load and commit", "process suspended past a lease", "commit refused: conflict",
		"worker lost", "loss of a worker not told", twins, "worker silent past its lease, then late", "worker goes on after its removal",
		"lease ran out", "worker not heard of in time", "job ran into its timeout",
		"provider: worker not to be had", "provider: worker made, reply lost", "provider: slow to make a worker",
		"provider: removal failed", "provider: removal delayed past its time-out",
		"cancel while the run is REQUESTED", "cancel while a job is not asked for yet", "cancel while a job is PENDING",
		"cancel while a job is SCHEDULED", "cancel while a job is RUNNING", "cancel while the run is SUCCEEDED",
		"jobs that ended as SUCCEEDED", "jobs that ended as FAILED", "jobs that ended as CANCELLED",
		"jobs that ended as TERMINATED", "jobs that ended as SKIPPED",
		"job carried over", "job carried over twice", "retry refused: nothing of the run failed: it succeeded",
		"gate passed by its event", "gate approved", "gate refused", "gate ran into its timeout", "event from outside came twice",
	} {
		if !strings.Contains(out.String(), "  "+fault+"\n") {
			t.Errorf("no seed met %q", fault)
		}
	}
}
