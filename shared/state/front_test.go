package state_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cron"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/state"
)

// door is a Front over a store that can be made to fail.
type door struct {
	*state.Front
	store *rough
	pass  func(time.Duration) // lets time go by; nil where it cannot be made to
}

func newDoor(store protocol.Store) *door {
	r := &rough{Store: store}
	c := &state.Committer{Store: r, Pause: func(context.Context, time.Duration) error { return nil }}
	return &door{Front: &state.Front{Committer: c, Next: cron.Next}, store: r}
}

func inMemory() *door {
	var mu sync.Mutex
	now := start
	d := newDoor(memory.New(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}, "test"))
	d.pass = func(by time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(by)
	}
	return d
}

// onStores runs a test on the store in memory and on a Redis.
func onStores(t *testing.T, test func(t *testing.T, d *door)) {
	t.Run("memory", func(t *testing.T) { test(t, inMemory()) })
	t.Run("redis", func(t *testing.T) {
		e, err := server.StartEmbedded()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		s, err := redis.Open(t.Context(), e.URL(), redis.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, newDoor(s))
	})
}

func sent(sender string) trigger.Arrival {
	return trigger.Arrival{Source: "github", Sender: sender, Event: "push", Repository: "acme/app"}
}

func (d *door) receive(t *testing.T, sender, body string) state.Receipt {
	t.Helper()
	r, err := d.Receive(t.Context(), "webhook", sent(sender), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// due gives what is due in the partitions of the front doors.
func (d *door) due(t *testing.T) []protocol.DueIn {
	t.Helper()
	ps, err := d.store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := d.store.Overdue(t.Context(), ps, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// fire lets everything fire that is due, and gives what it asks to be sent.
func (d *door) fire(t *testing.T) []events.Envelope {
	t.Helper()
	var told []events.Envelope
	for _, due := range d.due(t) {
		res, again, err := d.Fire(t.Context(), due.Partition, due.Name)
		if err != nil {
			t.Fatal(err)
		}
		told = append(append(told, res.Emitted...), again...)
	}
	return told
}

// finish works on a delivery as its function does.
func (d *door) finish(t *testing.T, id events.DeliveryID, round int) {
	t.Helper()
	_, _, work, err := d.Work(t.Context(), events.Envelope{}, id, round)
	if err == nil && work {
		_, err = d.Finish(t.Context(), events.Envelope{}, id, round, trigger.Ending{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// everything is all that the store holds: documents and ledgers.
func (d *door) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	ps, err := d.store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps[protocol.RunPartitions:] {
		for _, kind := range []string{"delivery", "body", "index", "report", "pull", "schedule"} {
			docs, err := d.store.List(t.Context(), p, kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range docs {
				fmt.Fprintf(&all, "%s %s\n", doc.ID, doc.Body)
			}
		}
		records, err := d.store.Ledger(t.Context(), p, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			for _, e := range r.Emitted {
				fmt.Fprintf(&all, "%s %s\n", e.Subject, e.Data)
			}
		}
	}
	return all.String()
}
