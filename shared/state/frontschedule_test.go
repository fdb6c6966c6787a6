package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func (d *door) timers(t *testing.T, asOf time.Time, timers ...trigger.Timer) {
	t.Helper()
	if err := d.SetTimers(t.Context(), "github", "acme/app", asOf, timers); err != nil {
		t.Fatal(err)
	}
}

// ticks reads the deliveries that are ticks, the oldest first.
func (d *door) ticks(t *testing.T) []trigger.Tick {
	t.Helper()
	list, _, err := d.Deliveries(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var ticks []trigger.Tick
	for i := len(list) - 1; i >= 0; i-- {
		got, body, err := d.Delivery(t.Context(), list[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		var tick trigger.Tick
		if err := json.Unmarshal(body, &tick); err != nil || got.Source != "schedule" || got.Action != tick.Cron {
			t.Fatalf("%+v, %v", got, err)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

func TestTickBecomesADelivery(t *testing.T) {
	d := inMemory()
	d.timers(t, start, trigger.Timer{File: ".relevo/nightly.yaml", Cron: "30 2 * * *", Zone: "Europe/Berlin"})
	if s, err := d.Schedule(t.Context(), "github", "acme/app"); err != nil || !s.Due().Equal(start.Add(90*time.Minute)) {
		t.Fatalf("%+v, %v", s, err)
	}
	d.pass(90 * time.Minute)
	told := d.fire(t)
	if len(told) != 1 || told[0].Type != events.TypeDeliveryReceived {
		t.Fatalf("%+v", told)
	}
	if again := d.fire(t); len(again) != 0 {
		t.Fatalf("%+v: it comes twice", again)
	}
	d.pass(24 * time.Hour)
	d.fire(t)
	ticks := d.ticks(t)
	if len(ticks) != 2 || ticks[0].File != ".relevo/nightly.yaml" || ticks[0].Zone != "Europe/Berlin" || !ticks[1].At.Equal(start.Add(25*time.Hour+30*time.Minute)) {
		t.Errorf("%+v", ticks)
	}
}

// TestSummerTime: a year of a nightly schedule, looked after each minute around
// the changes and now and then else, is one run a night.
func TestSummerTime(t *testing.T) {
	d := inMemory()
	d.timers(t, start, trigger.Timer{File: "n", Cron: "30 2 * * *", Zone: "Europe/Berlin"})
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	nights := map[string]int{}
	for day := range 365 {
		step := 30 * time.Minute
		if date := start.AddDate(0, 0, day); date.Month() == 3 || date.Month() == 10 {
			step = 5 * time.Minute
		}
		for passed := time.Duration(0); passed < 24*time.Hour; passed += step {
			d.pass(step)
			for _, e := range d.fire(t) {
				got, err := events.Decode[events.DeliveryReceived](e)
				if err != nil {
					t.Fatal(err)
				}
				_, body, err := d.Delivery(t.Context(), got.Data.Delivery)
				var tick trigger.Tick
				if err = errors.Join(err, json.Unmarshal(body, &tick)); err != nil {
					t.Fatal(err)
				}
				nights[tick.At.In(berlin).Format(time.DateOnly)]++
				d.finish(t, got.Data.Delivery, 1)
			}
		}
	}
	for night, n := range nights {
		if n != 1 {
			t.Errorf("%d runs in the night of %s", n, night)
		}
	}
	if len(nights) != 365 {
		t.Errorf("%d nights", len(nights))
	}
}

// TestTickIsNeverDoubled: what fails between the delivery and the schedule, and
// two clocks at once, are one tick.
func TestTickIsNeverDoubled(t *testing.T) {
	d := inMemory()
	d.timers(t, start, trigger.Timer{File: "a", Cron: "0 * * * *"})
	d.pass(time.Hour)
	due := d.due(t)
	d.store.before = []error{nil, errAway, errAway, errAway} // the delivery stands, the schedule does not move
	if _, _, err := d.Fire(t.Context(), due[0].Partition, due[0].Name); !errors.Is(err, errAway) {
		t.Fatalf("error %v", err)
	}
	other := newDoor(d.store.Store)
	var wg sync.WaitGroup
	for i := range 16 {
		clock := []*door{d, other}[i%2]
		wg.Go(func() {
			if _, _, err := clock.Fire(t.Context(), due[0].Partition, due[0].Name); err != nil && !errors.Is(err, protocol.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ticks := d.ticks(t); len(ticks) != 1 || !ticks[0].At.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", ticks)
	}
	s, err := d.Schedule(t.Context(), "github", "acme/app")
	if err != nil || !s.Due().Equal(start.Add(2*time.Hour)) {
		t.Errorf("%+v, %v", s, err)
	}
}

// meddled is a store in which something happens after a commit.
type meddled struct {
	protocol.Store
	then func()
}

func (s *meddled) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	r, err := s.Store.Commit(ctx, c)
	if then := s.then; then != nil {
		s.then = nil
		then()
	}
	return r, err
}

// TestPushDuringATick: what a push sets while a tick fires stands, and the tick
// does not come twice.
func TestPushDuringATick(t *testing.T) {
	d := inMemory()
	d.timers(t, start, trigger.Timer{File: "a", Cron: "0 * * * *"})
	d.pass(time.Hour)
	store := &meddled{Store: d.store.Store, then: func() {
		d.timers(t, start.Add(time.Hour), trigger.Timer{File: "a", Cron: "0 * * * *"}, trigger.Timer{File: "b", Cron: "30 * * * *"})
	}}
	newDoor(store).fire(t)
	d.fire(t)
	s, err := d.Schedule(t.Context(), "github", "acme/app")
	if err != nil || len(s.Timers) != 2 || !s.Due().Equal(start.Add(90*time.Minute)) || len(d.ticks(t)) != 1 {
		t.Errorf("%+v, %v, ticks %+v", s, err, d.ticks(t))
	}
}

// TestAnOlderPushSetsNothing: pushes are worked on in any order.
func TestAnOlderPushSetsNothing(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		d.timers(t, start.Add(2*time.Hour), trigger.Timer{File: "new", Cron: "0 * * * *"})
		d.timers(t, start.Add(time.Hour), trigger.Timer{File: "old", Cron: "0 * * * *"})
		if s, err := d.Schedule(t.Context(), "github", "acme/app"); err != nil || len(s.Timers) != 1 || s.Timers[0].File != "new" {
			t.Fatalf("%+v, %v", s, err)
		}
		d.timers(t, start.Add(3*time.Hour))
		if s, err := d.Schedule(t.Context(), "github", "acme/app"); err != nil || len(s.Timers) != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		before := d.store.commits
		if err := d.SetTimers(t.Context(), "github", "acme/other", start, nil); err != nil || d.store.commits != before {
			t.Errorf("a repository without schedules costs %d commits, %v", d.store.commits-before, err)
		}
	})
}

func TestScheduleThatCannotBe(t *testing.T) {
	d := inMemory()
	d.timers(t, start, trigger.Timer{File: "a", Cron: "0 0 30 2 *"}, trigger.Timer{File: "b", Cron: "* * * *"}, trigger.Timer{File: "c", Cron: "0 0 * * *", Zone: "Mars/Olympus"})
	s, err := d.Schedule(t.Context(), "github", "acme/app")
	if err != nil || s.Timers[0].Error != "" || s.Timers[1].Error == "" || s.Timers[2].Error == "" || !s.Due().IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	d.Next = nil
	d.timers(t, start.Add(time.Second), trigger.Timer{File: "x", Cron: "0 0 * * *"})
	if s, err := d.Schedule(t.Context(), "github", "acme/app"); err != nil || s.Timers[0].Error == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestSchedulesSurvive: with commits that fail, clocks that come late, and
// pushes that set the same again, every hour of a schedule that makes up for what
// it missed is run at most once, and none is missed while the clock is there.
func TestSchedulesSurvive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := inMemory()
		timer := trigger.Timer{File: "a", Cron: "0 * * * *"}
		asOf := start
		d.timers(t, asOf, timer)
		now := start
		rt.Repeat(map[string]func(*rapid.T){
			"time": func(rt *rapid.T) {
				by := time.Duration(rapid.IntRange(1, 200).Draw(rt, "minutes")) * time.Minute
				now = now.Add(by)
				d.pass(by)
			},
			"fire": func(rt *rapid.T) {
				for _, list := range []*[]error{&d.store.before, &d.store.after} {
					*list = nil
					for range rapid.IntRange(0, 4).Draw(rt, "failures") {
						*list = append(*list, rapid.SampledFrom([]error{nil, errAway}).Draw(rt, "failure"))
					}
				}
				for _, due := range d.due(t) {
					_, _, err := d.Fire(t.Context(), due.Partition, due.Name)
					if err != nil && !errors.Is(err, errAway) && !errors.Is(err, protocol.ErrConflict) {
						rt.Fatal(err)
					}
				}
				d.store.before, d.store.after = nil, nil
			},
			"push": func(*rapid.T) {
				asOf = asOf.Add(time.Second)
				d.timers(t, asOf, timer)
			},
			"": func(rt *rapid.T) {
				seen := map[int64]bool{}
				for _, tick := range d.ticks(t) {
					if seen[tick.At.Unix()] || tick.At.Minute() != 0 || tick.At.After(now) {
						rt.Fatalf("%+v at %v", tick, now)
					}
					seen[tick.At.Unix()] = true
				}
			},
		})
		d.fire(t)
		if now.Sub(start) >= time.Hour {
			last := now.Truncate(time.Hour)
			ticks := d.ticks(t)
			if len(ticks) == 0 || ticks[len(ticks)-1].At.Before(last.Add(-time.Hour)) && len(d.due(t)) > 0 {
				rt.Fatalf("at %v the last tick is of %v", now, ticks)
			}
			s, err := d.Schedule(t.Context(), "github", "acme/app")
			if err != nil || !s.Due().Equal(last.Add(time.Hour)) {
				rt.Fatalf("due %v at %v, %v", s.Due(), now, err)
			}
		}
	})
}
