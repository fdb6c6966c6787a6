package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

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
			run := trigger.RunOf(got.ID, "ci.yaml")
			runs[run] = true
			if err := d.Finish(t.Context(), events.Envelope{}, id, round, trigger.Ending{Outcomes: []trigger.Outcome{{File: "ci.yaml", Result: trigger.Started, Run: run}}}); err != nil {
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
			d.receive(t, fmt.Sprint(i), "{}")
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
	if err := d.Finish(t.Context(), events.Envelope{}, id, 1, trigger.Ending{Refused: true}); err != nil || d.store.commits != before {
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

// TestRoom: what is finished makes room, the oldest first; where nothing is,
// nothing more is taken in. What had to go is still known.
func TestRoom(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		d.Most = 16 * 4
		ids := map[events.DeliveryID]string{}
		refused := 0
		for i := range 400 {
			r, err := d.Receive(t.Context(), "webhook", sent(fmt.Sprint(i)), []byte("{}"))
			if fn.KindOf(err) == fn.Exhausted && err != nil {
				refused++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			ids[r.Delivery.ID] = fmt.Sprint(i)
		}
		if len(ids) != d.Most || refused != 400-d.Most {
			t.Fatalf("%d were taken, %d refused", len(ids), refused)
		}
		for id := range ids {
			d.finish(t, id, 1)
		}
		for i := range 400 {
			d.receive(t, fmt.Sprint("later", i), "{}")
			list, _, err := d.Deliveries(t.Context(), "", 1000)
			if err != nil || len(list) > d.Most {
				t.Fatalf("%d are kept, %v", len(list), err)
			}
			if i%8 == 0 {
				for _, x := range list {
					d.finish(t, x.ID, 1)
				}
			}
			if d.pass != nil {
				d.pass(time.Millisecond)
			}
		}
		for id, sender := range ids {
			if _, _, err := d.Delivery(t.Context(), id); fn.KindOf(err) == fn.NotFound {
				if r := d.receive(t, sender, "{}"); r.Arrived != state.Duplicate || r.Delivery.ID != id {
					t.Errorf("%+v: what was dropped is taken for new", r)
				}
				return
			}
		}
		t.Error("none of the first ones had to go")
	})
}

func TestBytesAreBounded(t *testing.T) {
	d := inMemory()
	d.Bytes = 16 * 64 << 10
	noise := func(i int) string {
		var b bytes.Buffer
		for b.Len() < 20<<10 {
			b.WriteString(string(trigger.RunOf(events.DeliveryID(fmt.Sprint(i)), fmt.Sprint(b.Len()))))
		}
		return b.String()
	}
	for i := range 300 {
		r := d.receive(t, fmt.Sprint(i), noise(i))
		d.finish(t, r.Delivery.ID, 1)
		d.pass(time.Second)
		if n := int64(len(d.everything(t))); n > d.Bytes+d.Bytes/2 {
			t.Fatalf("%d bytes are kept of %d", n, d.Bytes)
		}
	}
	if list, _, err := d.Deliveries(t.Context(), "", 1000); err != nil || len(list) < 20 || list[0].Sender != "299" {
		t.Errorf("%d are kept, %v", len(list), err)
	}
	d.receive(t, "huge", strings.Repeat(noise(1000), 10)) // larger than its share: the newest is kept whatever its size
}

func TestRetireDeliveries(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		done, open := d.receive(t, "1", "{}").Delivery, d.receive(t, "2", "{}").Delivery
		d.finish(t, done.ID, 1)
		retire := func(before time.Time) int {
			t.Helper()
			ps, err := d.store.Partitions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range ps[protocol.RunPartitions:] {
				if err := d.Retire(t.Context(), p, before); err != nil {
					t.Fatal(err)
				}
			}
			list, _, err := d.Deliveries(t.Context(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if n := retire(done.Received); n != 2 {
			t.Fatalf("%d are left before their time", n)
		}
		if n := retire(open.Received.Add(time.Second)); n != 1 {
			t.Fatalf("%d are left", n)
		}
		if _, _, err := d.Delivery(t.Context(), open.ID); err != nil {
			t.Errorf("what nobody worked on was dropped: %v", err)
		}
		d.finish(t, open.ID, 1)
		if n := retire(open.Received.Add(time.Second)); n != 0 || strings.Contains(d.everything(t), `"bytes":1`) {
			t.Errorf("%d are left: %s", n, d.everything(t))
		}
	})
}

// TestFrontProperties: with commits that fail before and after their effect,
// deliveries that repeat, are replayed, worked on and fired for in any order,
// the model and the store agree, and in the end all are done.
func TestFrontProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := inMemory()
		type known struct{ round int }
		model := map[string]*known{}
		ids := map[string]events.DeliveryID{}
		sender := rapid.SampledFrom([]string{"a", "b", "c"})
		hurt := func(rt *rapid.T) {
			d.store.before, d.store.after = nil, nil
			for _, list := range []*[]error{&d.store.before, &d.store.after} {
				if rapid.IntRange(0, 3).Draw(rt, "hurt") == 0 {
					*list = []error{errAway}
				}
			}
		}
		pick := func(rt *rapid.T) (string, bool) {
			s := sender.Draw(rt, "sender")
			return s, model[s] != nil
		}
		rt.Repeat(map[string]func(*rapid.T){
			"receive": func(rt *rapid.T) {
				hurt(rt)
				s := sender.Draw(rt, "sender")
				r := d.receive(t, s, "{}")
				if model[s] == nil {
					model[s] = &known{round: 1}
					ids[s] = r.Delivery.ID
				} else if r.Arrived != state.Duplicate {
					rt.Fatalf("%s was taken for new", s)
				}
				if ids[s] != r.Delivery.ID {
					rt.Fatalf("%s is %s and %s", s, ids[s], r.Delivery.ID)
				}
			},
			"finish": func(rt *rapid.T) {
				if s, ok := pick(rt); ok {
					hurt(rt)
					d.finish(t, ids[s], rapid.IntRange(1, model[s].round).Draw(rt, "round"))
				}
			},
			"replay": func(rt *rapid.T) {
				if s, ok := pick(rt); ok {
					hurt(rt)
					got, _, err := d.Replay(t.Context(), "api", ids[s], "alice")
					if err != nil || got.Round > model[s].round+1 || got.Round < model[s].round {
						rt.Fatalf("%+v, %v", got, err)
					}
					model[s].round = got.Round
				}
			},
			"time": func(rt *rapid.T) {
				hurt(rt)
				d.pass(time.Duration(rapid.IntRange(0, 3600).Draw(rt, "seconds")) * time.Second)
				for _, e := range d.fire(t) {
					got, err := events.Decode[events.DeliveryReceived](e)
					if err != nil || got.Data.Round != model[sentBy(ids, got.Data.Delivery)].round {
						rt.Fatalf("%+v, %v", got, err)
					}
				}
			},
			"": func(rt *rapid.T) {
				list, _, err := d.Deliveries(t.Context(), "", 10)
				if err != nil || len(list) != len(model) {
					rt.Fatalf("%d deliveries, want %d, %v", len(list), len(model), err)
				}
				for _, x := range list {
					if m := model[x.Sender]; x.Round != m.round {
						rt.Fatalf("%s is in round %d, not %d", x.Sender, x.Round, m.round)
					}
				}
			},
		})
		d.store.before, d.store.after = nil, nil
		for s, m := range model {
			d.finish(t, ids[s], m.round)
		}
		d.pass(time.Hour)
		if left := d.fire(t); len(left) != 0 || len(d.due(t)) != 0 {
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
