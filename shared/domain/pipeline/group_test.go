package pipeline_test

import (
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// told writes what a decision emitted: acquired X, cancel Y.
func told(t *testing.T, em *events.Emitter) string {
	t.Helper()
	var out []string
	for _, e := range em.Emitted() {
		verb := "cancel "
		if e.Type == events.TypeConcurrencyAcquired {
			verb = "acquired "
		}
		out = append(out, verb+e.RunID)
	}
	return strings.Join(out, ", ")
}

func TestGroup(t *testing.T) {
	type move struct {
		enter, leave events.RunID
		cancel       bool // in progress
		want         string
	}
	for name, moves := range map[string][]move{
		"one holds, one waits": {{enter: "a", want: "acquired a"}, {enter: "b"}, {leave: "a", want: "acquired b"}, {leave: "b"}},
		"the newer waiter takes the place": {
			{enter: "a", want: "acquired a"},
			{enter: "b"},
			{enter: "c", want: "cancel b"},
			{enter: "b", want: "cancel b"},
			{leave: "b"},
			{leave: "a", want: "acquired c"},
		},
		"cancel in progress": {
			{enter: "a", want: "acquired a"},
			{enter: "b", cancel: true, want: "cancel a"},
			{enter: "b", cancel: true},
			{leave: "a", want: "acquired b"},
		},
		"asked again, the holder is answered again": {{enter: "a", want: "acquired a"}, {enter: "a", want: "acquired a"}},
		"a stranger cannot give it back":            {{enter: "a", want: "acquired a"}, {leave: "b"}, {enter: "c"}, {leave: "a", want: "acquired c"}},
		"a waiter may give up":                      {{enter: "a", want: "acquired a"}, {enter: "b"}, {leave: "b"}, {leave: "a"}, {enter: "c", want: "acquired c"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &pipeline.Group{Name: "g"}
			for i, m := range moves {
				em := &events.Emitter{Function: "test", Cause: events.Envelope{ID: string(rune('a' + i))}}
				if m.enter != "" {
					g.Enter(em, events.GroupRef{Group: "g", Run: m.enter}, m.cancel)
				} else {
					g.Leave(em, events.GroupRef{Group: "g", Run: m.leave})
				}
				if got := told(t, em); got != m.want {
					t.Fatalf("move %d told %q, want %q", i, got, m.want)
				}
			}
		})
	}
}
