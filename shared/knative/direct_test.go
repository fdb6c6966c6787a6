package knative_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

func TestDirectFollowsReplies(t *testing.T) {
	next := func(typ events.Type) []events.Envelope {
		e := small
		e.ID, e.Type = string(typ), typ
		return []events.Envelope{e}
	}
	a, b, circle := &record{emit: next("t.b")}, &record{err: errors.New("away")}, &record{emit: next("t.circle")}
	everything := &record{}
	functions := []fn.Function{
		a.function("a", "t.a"), b.function("b", "t.b"), circle.function("circle", "t.b"),
		circle.function("again", "t.circle"), everything.function("everything", fn.Everything), page("page", says("x")),
	}
	address := map[string]string{}
	for _, f := range functions {
		address[f.Name] = host(t, knative.Options{}, f).URL
	}
	var published []string
	d := &knative.Direct{
		Functions: functions, Address: func(name string) string { return address[name] },
		Sender:    &knative.Sender{Tries: 2, Backoff: time.Microsecond},
		Published: func(id string) { published = append(published, id) },
	}
	err := d.Deliver(t.Context(), small)
	if err == nil || fn.KindOf(err) != fn.Transient || !strings.Contains(err.Error(), "away") {
		t.Errorf("got %v", err)
	}
	// The circle: once for t.b, then for t.circle down to the bound.
	for what, counts := range map[string][2]int{
		"a": {len(a.all()), 1}, "b": {len(b.all()), 2}, "circle": {len(circle.all()), 16},
		"everything": {len(everything.all()), 17}, "published": {len(published), 16},
	} {
		if counts[0] != counts[1] {
			t.Errorf("%s: %d, want %d", what, counts[0], counts[1])
		}
	}
}

// TestDirectLeavesOthersToTheBroker: a reply that no function is for goes to the
// broker, and is struck by whoever sends it there.
func TestDirectLeavesOthersToTheBroker(t *testing.T) {
	e := small
	e.ID, e.Type = "others", "com.example.done"
	a, everything := &record{emit: []events.Envelope{e}}, &record{}
	functions := []fn.Function{a.function("a", "t.a"), everything.function("everything", fn.Everything)}
	address := map[string]string{}
	for _, f := range functions {
		address[f.Name] = host(t, knative.Options{}, f).URL
	}
	var published, sent []string
	d := &knative.Direct{
		Functions: functions, Address: func(name string) string { return address[name] },
		Published: func(id string) { published = append(published, id) },
		Others: func(_ context.Context, es []events.Envelope) error {
			sent = append(sent, es[0].ID)
			return nil
		},
	}
	if err := d.Deliver(t.Context(), small); err != nil || len(published) > 0 || len(sent) != 1 || sent[0] != "others" {
		t.Errorf("struck %q, sent %q, %v", published, sent, err)
	}
	d.Others = nil
	if err := d.Deliver(t.Context(), small); err != nil || len(published) > 0 {
		t.Errorf("struck %q, %v", published, err)
	}
}
