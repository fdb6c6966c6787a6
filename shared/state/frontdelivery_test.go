package state_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

func TestDeliveryIsKeptAndGivenBack(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		body := "\x00\xff{\"ref\": \"refs/heads/main\"}|" + strings.Repeat("x", 100_000)
		a := sent("1")
		a.Header = map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=s3cret", "Authorization": "Bearer s3cret", "Cookie": "s3cret", "X-Gitlab-Token": "s3cret"}
		r, err := d.Receive(t.Context(), "webhook", a, []byte(body))
		if err != nil || r.Arrived != state.Accepted || len(r.Emitted) != 1 || r.Emitted[0].Type != events.TypeDeliveryReceived || r.Emitted[0].Source != "/relevo/webhook" {
			t.Fatalf("%+v, %v", r, err)
		}
		got, back, err := d.Delivery(t.Context(), r.Delivery.ID)
		if err != nil || string(back) != body || got.Size != len(body) || got.State != trigger.Received || got.Header["x-github-event"] != "push" || len(got.Header) != 1 {
			t.Fatalf("%+v, %d bytes, %v", got, len(back), err)
		}
		if all := d.everything(t); strings.Contains(all, "s3cret") || len(all) > 10_000 {
			t.Errorf("stored %d bytes: %.3000s", len(all), all)
		}
		if _, _, err := d.Delivery(t.Context(), "nobody"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("error %v", err)
		}
		if _, err := d.Receive(t.Context(), "webhook", sent("2"), make([]byte, state.MostBody+1)); fn.KindOf(err) != fn.Invalid {
			t.Errorf("error %v", err)
		}
	})
}

// TestOneRunOfManyDuplicatesAndReplays: 1,000 duplicates and 10,000 replays of
// a delivery, worked on each time, are one run.
func TestOneRunOfManyDuplicatesAndReplays(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		duplicates, replays := 1000, 10_000
		if d.pass == nil {
			replays = 500 // the rest is the same, and a Redis takes its time
		}
		first := d.receive(t, "1", "{}")
		id := first.Delivery.ID
		runs := map[events.RunID]bool{}
		work := func(round int) {
			t.Helper()
			got, _, work, err := d.Work(t.Context(), events.Envelope{}, id, round)
			if err != nil || !work {
				t.Fatalf("round %d: %v, %v", round, work, err)
			}
			run := events.RunID(events.DeriveID(string(got.ID), "ci.yaml"))
			runs[run] = true
			if _, err := d.Finish(t.Context(), events.Envelope{}, id, round, trigger.Ending{Outcomes: []trigger.Outcome{{File: "ci.yaml", Result: trigger.Started, Run: run}}}); err != nil {
				t.Fatal(err)
			}
		}
		for range duplicates / 2 {
			if r := d.receive(t, "1", "{}"); r.Arrived != state.Duplicate || r.Emitted[0].ID != first.Emitted[0].ID {
				t.Fatalf("%+v", r)
			}
		}
		work(1)
		for range duplicates / 2 {
			if r := d.receive(t, "1", "{}"); r.Arrived != state.Duplicate || len(r.Emitted) != 0 {
				t.Fatalf("%+v", r)
			}
		}
		for i := range replays {
			got, res, err := d.Replay(t.Context(), "api", id, "alice")
			if err != nil || got.Round != i+2 || len(res.Emitted) != 1 {
				t.Fatalf("replay %d: %+v, %v", i, got, err)
			}
			work(got.Round)
		}
		got, _, err := d.Delivery(t.Context(), id)
		if err != nil || got.Repeats != duplicates || got.Round != replays+1 || len(got.Outcomes) != 1 || len(runs) != 1 {
			t.Errorf("%+v, %v: %d runs", got, err, len(runs))
		}
		if list, next, err := d.Deliveries(t.Context(), "", 10); err != nil || len(list) != 1 || next != "" {
			t.Errorf("%d deliveries, %v", len(list), err)
		}
	})
}

func TestManyAtOnceAreOne(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		other := newDoor(d.store.Store) // another process
		var accepted sync.Map
		var wg sync.WaitGroup
		for i := range 32 {
			front := []*door{d, other}[i%2]
			wg.Go(func() {
				for {
					r, err := front.Receive(t.Context(), "webhook", sent("1"), []byte("{}"))
					if errors.Is(err, protocol.ErrConflict) {
						continue // the sender comes again
					}
					if err != nil {
						t.Error(err)
					} else if r.Arrived == state.Accepted {
						accepted.Store(i, true)
					}
					return
				}
			})
		}
		wg.Wait()
		count := 0
		accepted.Range(func(any, any) bool { count++; return true })
		if list, _, err := d.Deliveries(t.Context(), "", 10); err != nil || count != 1 || len(list) != 1 {
			t.Errorf("accepted %d times, %d deliveries, %v", count, len(list), err)
		}
	})
}

func TestAnIDWithAnotherBodyIsRefused(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		first := d.receive(t, "1", "{}")
		r := d.receive(t, "1", `{"forged": true}`)
		if r.Arrived != state.Altered || len(r.Emitted) != 0 || r.Delivery.Altered != 1 {
			t.Errorf("%+v", r)
		}
		if _, body, err := d.Delivery(t.Context(), first.Delivery.ID); err != nil || string(body) != "{}" {
			t.Errorf("%s, %v", body, err)
		}
		// Without an id the body is the id.
		a, b := sent(""), sent("")
		one, err1 := d.Receive(t.Context(), "webhook", a, []byte("1"))
		two, err2 := d.Receive(t.Context(), "webhook", b, []byte("2"))
		again, err3 := d.Receive(t.Context(), "webhook", a, []byte("1"))
		if err := errors.Join(err1, err2, err3); err != nil || one.Arrived != state.Accepted || two.Arrived != state.Accepted || again.Arrived != state.Duplicate {
			t.Errorf("%s %s %s, %v", one.Arrived, two.Arrived, again.Arrived, err)
		}
	})
}

func TestDeliveriesAreListedNewestFirst(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		for i := range 25 {
			d.receive(t, strconv.Itoa(i), "{}")
			if d.pass != nil {
				d.pass(time.Second)
			}
		}
		var got []trigger.Delivery
		cursor, pages := "", 0
		for {
			page, next, err := d.Deliveries(t.Context(), cursor, 10)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			pages++
			if cursor = next; next == "" {
				break
			}
		}
		seen := map[string]bool{}
		for i, x := range got {
			if i > 0 && got[i-1].Received.Before(x.Received) {
				t.Errorf("%v before %v", got[i-1].Received, x.Received)
			}
			seen[x.Sender] = true
		}
		if len(got) != 25 || len(seen) != 25 || pages != 3 || d.pass != nil && got[0].Sender != "24" {
			t.Errorf("%d deliveries, %d different, on %d pages", len(got), len(seen), pages)
		}
		if page, next, err := d.Deliveries(t.Context(), "0", 10); err != nil || len(page) != 0 || next != "" {
			t.Errorf("behind the last: %d, %v", len(page), err)
		}
	})
}

// TestWorkThatIsLostIsAskedForAgain: the clock alone gets a delivery done,
// with the same event each time, and gives up what nobody can do.
func TestWorkThatIsLostIsAskedForAgain(t *testing.T) {
	d := inMemory()
	first := d.receive(t, "1", "{}")
	id := first.Delivery.ID
	if told := d.fire(t); len(told) != 0 {
		t.Fatalf("told at once: %v", told)
	}
	for range 3 {
		d.pass(10 * time.Minute)
		told := d.fire(t)
		if len(told) != 1 || told[0].ID != first.Emitted[0].ID || !told[0].Time.Equal(first.Emitted[0].Time) {
			t.Fatalf("%+v, first %+v", told, first.Emitted)
		}
		if _, _, work, err := d.Work(t.Context(), told[0], id, 1); err != nil || !work { // and dies
			t.Fatalf("%v, %v", work, err)
		}
	}
	if err := d.Defer(t.Context(), events.Envelope{}, id, 1, time.Hour, "429"); err != nil {
		t.Fatal(err)
	}
	d.pass(59 * time.Minute)
	if _, _, work, err := d.Work(t.Context(), events.Envelope{}, id, 1); err != nil || work || len(d.fire(t)) != 0 {
		t.Fatalf("the forge asked for an hour: %v, %v", work, err)
	}
	d.pass(time.Minute)
	if told := d.fire(t); len(told) != 1 {
		t.Fatalf("%v", told)
	}
	d.pass(protocol.Horizon)
	if told := d.fire(t); len(told) != 0 {
		t.Fatalf("%v", told)
	}
	got, _, err := d.Delivery(t.Context(), id)
	if err != nil || got.State != trigger.Refused || got.Reason != "given up: 429, for 7 days" || got.Tries != 3 || len(d.due(t)) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAStaleRoundChangesNothing(t *testing.T) {
	d := inMemory()
	id := d.receive(t, "1", "{}").Delivery.ID
	d.finish(t, id, 1)
	if _, _, err := d.Replay(t.Context(), "api", id, "alice"); err != nil {
		t.Fatal(err)
	}
	before := d.store.commits
	if _, _, work, err := d.Work(t.Context(), events.Envelope{}, id, 1); err != nil || work {
		t.Errorf("%v, %v", work, err)
	}
	if _, err := d.Finish(t.Context(), events.Envelope{}, id, 1, trigger.Ending{Refused: true}); err != nil || d.store.commits != before {
		t.Errorf("%d commits, %v", d.store.commits-before, err)
	}
	if _, res, err := d.Replay(t.Context(), "api", id, "bob"); err != nil || len(res.Emitted) != 0 {
		t.Errorf("what is under way was replayed: %+v, %v", res, err)
	}
	if _, _, err := d.Replay(t.Context(), "api", "nobody", "bob"); fn.KindOf(err) != fn.NotFound {
		t.Errorf("error %v", err)
	}
	old := events.Envelope{ID: "e", Time: start.Add(-protocol.Horizon - time.Second)}
	if _, _, _, err := d.Work(t.Context(), old, id, 2); fn.KindOf(err) != fn.Invalid {
		t.Errorf("error %v", err)
	}
}
