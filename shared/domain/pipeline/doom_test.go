package pipeline_test

import (
	"encoding/json"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// doom tells that the platform is about to end an attempt's worker.
func (d *desk) doom(ref events.AttemptRef, reason string) (news bool) {
	d.t.Helper()
	failed := events.WorkerFailed{For: ref, Reason: reason, Doomed: true}
	raw, err := json.Marshal(failed)
	if err != nil {
		d.t.Fatal(err)
	}
	d.do(func(em *events.Emitter) {
		news = d.run.Doom(events.Envelope{ID: reason, Type: failed.EventType(), Time: em.Now, Data: raw}, failed)
	})
	return news
}

// TestDoom: a doomed attempt goes on; when it is lost, however that is told, it
// is for why it was doomed.
func TestDoom(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(d *desk, ref events.AttemptRef)
		state  pipeline.AttemptState
		reason string
	}{
		"its agent ends it": {func(d *desk, ref events.AttemptRef) { d.end(ref, events.Cancelled) }, pipeline.AttemptTerminated, "evicted"},
		"it is killed": {func(d *desk, ref events.AttemptRef) {
			d.do(func(em *events.Emitter) { d.run.Lose(em, ref, "its pod failed", false) })
		}, pipeline.AttemptTerminated, "evicted"},
		"it falls silent": {func(d *desk, _ events.AttemptRef) { d.fire(d.policy.Lease, "a", false) }, pipeline.AttemptTerminated, "evicted"},
		"it is through":   {func(d *desk, ref events.AttemptRef) { d.end(ref, events.Succeeded) }, pipeline.AttemptSucceeded, ""},
		"its step failed": {func(d *desk, ref events.AttemptRef) { d.end(ref, events.Failed) }, pipeline.AttemptFailed, "it says so"},
	} {
		t.Run(name, func(t *testing.T) {
			d := begin(t, job("a"))
			ref := d.start("a")
			stale := ref
			stale.Fence.Counter++
			if d.doom(stale, "another's") || !d.doom(ref, "evicted") || d.doom(ref, "told again") {
				t.Error("the first word on the attempt under way, and no other, is news")
			}
			d.wants("a", pipeline.Running)
			c.end(d, ref)
			if a := d.run.Job("a").Current(); a.State != c.state || a.Reason != c.reason {
				t.Errorf("the attempt is %s: %q", a.State, a.Reason)
			}
			if d.doom(ref, "late") {
				t.Error("what is over was doomed")
			}
		})
	}
}
