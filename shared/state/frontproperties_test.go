package state_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/state"
)

// book is a model of some deliveries, held against the store.
type book struct {
	*door
	t      *testing.T
	rounds map[string]int
	ids    map[string]events.DeliveryID
}

// hurt lets the next commit fail, before or after its effect, or both, or not.
func (b *book) hurt(rt *rapid.T) {
	b.store.before, b.store.after = nil, nil
	for _, list := range []*[]error{&b.store.before, &b.store.after} {
		if rapid.IntRange(0, 3).Draw(rt, "hurt") == 0 {
			*list = []error{errAway}
		}
	}
}

func (b *book) pick(rt *rapid.T) (string, bool) {
	s := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "sender")
	return s, b.rounds[s] > 0
}

func (b *book) arrive(rt *rapid.T) {
	b.hurt(rt)
	s, known := b.pick(rt)
	r := b.receive(b.t, s, "{}")
	if known && (r.Arrived != state.Duplicate || b.ids[s] != r.Delivery.ID) {
		rt.Fatalf("%s was %s, and is %s %s", s, b.ids[s], r.Arrived, r.Delivery.ID)
	}
	if !known {
		b.rounds[s], b.ids[s] = 1, r.Delivery.ID
	}
}

func (b *book) work(rt *rapid.T) {
	if s, ok := b.pick(rt); ok {
		b.hurt(rt)
		b.finish(b.t, b.ids[s], rapid.IntRange(1, b.rounds[s]).Draw(rt, "round"))
	}
}

func (b *book) replay(rt *rapid.T) {
	if s, ok := b.pick(rt); ok {
		b.hurt(rt)
		got, _, err := b.Replay(b.t.Context(), "api", b.ids[s], "alice")
		if err != nil || got.Round > b.rounds[s]+1 || got.Round < b.rounds[s] {
			rt.Fatalf("%+v, %v", got, err)
		}
		b.rounds[s] = got.Round
	}
}

func (b *book) time(rt *rapid.T) {
	b.hurt(rt)
	b.pass(time.Duration(rapid.IntRange(0, 3600).Draw(rt, "seconds")) * time.Second)
	for _, e := range b.fire(b.t) {
		got, err := events.Decode[events.DeliveryReceived](e)
		if err != nil || got.Data.Round != b.rounds[sentBy(b.ids, got.Data.Delivery)] {
			rt.Fatalf("%+v, %v", got, err)
		}
	}
}

func (b *book) agrees(rt *rapid.T) {
	list, _, err := b.Deliveries(b.t.Context(), "", 10)
	if err != nil || len(list) != len(b.rounds) {
		rt.Fatalf("%d deliveries, want %d, %v", len(list), len(b.rounds), err)
	}
	for _, x := range list {
		if x.Round != b.rounds[x.Sender] {
			rt.Fatalf("%s is in round %d, not %d", x.Sender, x.Round, b.rounds[x.Sender])
		}
	}
}

// TestFrontProperties: with commits that fail before and after their effect,
// deliveries that repeat, are replayed, worked on and fired for in any order,
// the model and the store agree, and in the end all are done.
func TestFrontProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := &book{door: inMemory(), t: t, rounds: map[string]int{}, ids: map[string]events.DeliveryID{}}
		rt.Repeat(map[string]func(*rapid.T){
			"receive": b.arrive, "finish": b.work, "replay": b.replay, "time": b.time, "": b.agrees,
		})
		b.store.before, b.store.after = nil, nil
		for s, round := range b.rounds {
			b.finish(t, b.ids[s], round)
		}
		b.pass(time.Hour)
		if left := b.fire(t); len(left) != 0 || len(b.due(t)) != 0 {
			rt.Fatalf("there is work left: %v", left)
		}
	})
}

func sentBy(ids map[string]events.DeliveryID, id events.DeliveryID) string {
	for s, known := range ids {
		if known == id {
			return s
		}
	}
	return "?"
}
