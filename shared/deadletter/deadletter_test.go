package deadletter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// stores are those that a box is tried on.
func stores(t *testing.T) map[string]protocol.Store {
	t.Helper()
	embedded, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(embedded.Close)
	inRedis, err := redis.Open(t.Context(), embedded.URL(), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inRedis.Close() })
	// Each call of its clock is a millisecond later, so that letters have an order.
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	return map[string]protocol.Store{"redis": inRedis, "memory": memory.New(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Millisecond)
		return now
	}, "test")}
}

func letter(n int, padding int) deadletter.Letter {
	raw := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"t","subject":"x","runid":"R","data":"%s"}`, n, strings.Repeat("x", padding))
	return deadletter.Letter{Event: json.RawMessage(raw), Destination: "d"}
}

func add(t *testing.T, b *deadletter.Box, l deadletter.Letter) deadletter.Letter {
	t.Helper()
	added, err := b.Add(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// ids are those of the events in the box, the one added last first.
func ids(t *testing.T, b *deadletter.Box) (list string, kept, dropped int) {
	t.Helper()
	got, err := b.List(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range got.Letters {
		all = append(all, l.Attributes().ID)
	}
	return strings.Join(all, " "), got.Kept, got.Dropped
}

func TestRoomIsBounded(t *testing.T) {
	// In memory, whose clock tells them apart: those of one millisecond have no
	// order.
	b := &deadletter.Box{Store: stores(t)["memory"], Most: 3}
	for n := 1; n <= 5; n++ {
		add(t, b, letter(n, 0))
	}
	if list, kept, dropped := ids(t, b); list != "5 4 3" || kept != 3 || dropped != 2 {
		t.Errorf("by count: %s, %d kept, %d dropped", list, kept, dropped)
	}
	add(t, b, letter(3, 0)) // again: the newest now
	add(t, b, letter(6, 0))
	if list, _, _ := ids(t, b); list != "6 3 5" {
		t.Errorf("one came again: %s", list)
	}
	one := int64(len(letter(0, 0).Event))
	b.Bytes = 1000 + 2*one
	add(t, b, letter(7, 1000))
	if list, _, _ := ids(t, b); list != "7 6" {
		t.Errorf("by bytes: %s", list)
	}
	b.Bytes = 1
	add(t, b, letter(8, 0))
	if list, kept, _ := ids(t, b); list != "8" || kept != 1 {
		t.Errorf("the newest is kept whatever its size: %s, %d kept", list, kept)
	}
	b.Most, b.Bytes = 200, 0
	for n := range 100 {
		add(t, b, letter(n, 0))
	}
	b.Most = 2 // set lower since
	add(t, b, letter(200, 0))
	if list, kept, _ := ids(t, b); list != "200 99" || kept != 2 {
		t.Errorf("with less room than before: %s, %d kept", list, kept)
	}
}

// TestManyAddAtOnce: every one that was taken counts.
func TestManyAddAtOnce(t *testing.T) {
	for name, store := range stores(t) {
		b := &deadletter.Box{Store: store, Most: 10}
		var taken atomic.Int32
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for range 5 {
					switch _, err := b.Add(t.Context(), letter(n, 10)); {
					case err == nil:
						taken.Add(1)
					case !errors.Is(err, protocol.ErrConflict):
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		wg.Wait()
		list, err := b.List(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, l := range list.Letters {
			counted += l.Count
		}
		if counted != int(taken.Load()) || counted == 0 || list.Kept != len(list.Letters) || list.Dropped > 0 {
			t.Errorf("%s: %d taken, %d counted in %d letters, %d kept, %d dropped", name, taken.Load(), counted, len(list.Letters), list.Kept, list.Dropped)
		}
	}
}

// TestAReplayThatFailsBesideAnother says so, whoever noted it first.
func TestAReplayThatFailsBesideAnother(t *testing.T) {
	b := &deadletter.Box{Store: memory.New(time.Now, "test")}
	one := add(t, b, letter(1, 0))
	b.Send = func(context.Context, deadletter.Letter) error {
		add(t, b, letter(1, 0))
		return errors.New("still broken")
	}
	if l, err := b.Replay(t.Context(), one.ID); !errors.Is(err, deadletter.ErrRefused) || l.Count != 2 || !l.Replayed.IsZero() {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestReplay(t *testing.T) {
	for name, store := range stores(t) {
		var sent []string
		var fail error
		var meanwhile func()
		b := &deadletter.Box{Store: store, Send: func(_ context.Context, l deadletter.Letter) error {
			sent = append(sent, l.Attributes().ID+" to "+l.Destination)
			if meanwhile != nil {
				meanwhile()
			}
			return fail
		}}
		one := add(t, b, letter(1, 0))
		fail = errors.New("still broken")
		if l, err := b.Replay(t.Context(), one.ID); !errors.Is(err, deadletter.ErrRefused) || !errors.Is(err, fail) || l.Count != 2 || l.Error != "still broken" {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		fail = nil
		// It fails again before the answer is known: then it is open.
		meanwhile = func() { add(t, b, letter(1, 0)) }
		if l, err := b.Replay(t.Context(), one.ID); err != nil || !l.Replayed.IsZero() || l.Count != 3 {
			t.Errorf("%s: it came back at once: %+v, %v", name, l, err)
		}
		meanwhile = nil
		if l, err := b.Replay(t.Context(), one.ID); err != nil || l.Replayed.IsZero() {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if _, err := b.Replay(t.Context(), one.ID); err != nil || len(sent) != 3 || sent[2] != "1 to d" {
			t.Errorf("%s: replayed twice: %q, %v", name, sent, err)
		}
		if _, err := b.Replay(t.Context(), "none"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("%s: a letter that is not there: %v", name, err)
		}
	}
}

func TestDiscard(t *testing.T) {
	for name, store := range stores(t) {
		b := &deadletter.Box{Store: store}
		one := add(t, b, letter(1, 0))
		add(t, b, letter(2, 0))
		if err := b.Discard(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		if err := b.Discard(t.Context(), one.ID); fn.KindOf(err) != fn.NotFound {
			t.Errorf("%s: discarded twice: %v", name, err)
		}
		if list, kept, dropped := ids(t, b); list != "2" || kept != 1 || dropped != 0 {
			t.Errorf("%s: %s, %d kept, %d dropped", name, list, kept, dropped)
		}
		if again := add(t, b, letter(1, 0)); again.Count != 1 || again.ID != one.ID {
			t.Errorf("%s: added after it was discarded: %+v", name, again)
		}
	}
}

func TestRefusesWhatNobodyCouldSend(t *testing.T) {
	b := &deadletter.Box{Store: memory.New(time.Now, "test")}
	for _, raw := range []string{``, `{}`, `{"id":"1","source":"/s"}`, `{"id":1,"source":"/s","type":"t"}`} {
		if _, err := b.Add(t.Context(), deadletter.Letter{Event: json.RawMessage(raw)}); fn.KindOf(err) != fn.Invalid {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
