package pipeline_test

import (
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// TestEmitted: an event counts once, in order, while its attempt runs; the desk
// replays each time.
func TestEmitted(t *testing.T) {
	d := begin(t, job("a"))
	emitted := func(ref events.AttemptRef, index int) (counts bool) {
		d.do(func(em *events.Emitter) {
			counts = d.run.Emitted(em, events.EventEmitted{AttemptRef: ref, Index: index, Name: "a.b"})
		})
		return counts
	}
	if emitted(d.accept("a"), 1) {
		t.Error("before the hello")
	}
	d = begin(t, job("a"))
	ref := d.start("a")
	for i, want := range []struct {
		index  int
		counts bool
	}{{1, true}, {1, false}, {2, true}, {1, false}, {5, true}} {
		if emitted(ref, want.index) != want.counts {
			t.Errorf("%d: event %d: %v", i, want.index, !want.counts)
		}
	}
	stale := ref
	stale.Fence.Counter--
	if emitted(stale, 6) {
		t.Error("of a stale fence")
	}
	d.end(ref, events.Succeeded)
	if emitted(ref, 6) {
		t.Error("after the end")
	}
}
