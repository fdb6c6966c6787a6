package workers_test

import (
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/workers"
)

// A token is good for one worker of one attempt under one fence and key.
func TestToken(t *testing.T) {
	ref := events.AttemptRef{JobRef: events.JobRef{Run: "R", Job: "a"}, Attempt: 1, Fence: events.Fence{Epoch: 1, Counter: 2}}
	key := []byte("key")
	token := workers.Token(key, ref, "w")
	if !workers.Authentic(key, ref, "w", token) {
		t.Fatal("its own token is refused")
	}
	other := func(change func(*events.AttemptRef)) events.AttemptRef {
		r := ref
		change(&r)
		return r
	}
	for name, ok := range map[string]bool{
		"key":     workers.Authentic([]byte("other"), ref, "w", token),
		"worker":  workers.Authentic(key, ref, "v", token),
		"run":     workers.Authentic(key, other(func(r *events.AttemptRef) { r.Run = "S" }), "w", token),
		"job":     workers.Authentic(key, other(func(r *events.AttemptRef) { r.Job = "b" }), "w", token),
		"attempt": workers.Authentic(key, other(func(r *events.AttemptRef) { r.Attempt = 2 }), "w", token),
		"fence":   workers.Authentic(key, other(func(r *events.AttemptRef) { r.Fence.Counter = 3 }), "w", token),
		"empty":   workers.Authentic(key, ref, "w", ""),
	} {
		if ok {
			t.Errorf("accepted for another %s", name)
		}
	}
}
