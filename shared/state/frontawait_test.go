package state_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
)

func jobOf(i int) events.JobRef {
	return events.JobRef{Run: events.RunID(fmt.Sprint("R", i)), Job: "wait"}
}

func (d *door) await(t *testing.T, kind string, job events.JobRef) []events.Envelope {
	t.Helper()
	res, err := d.AddAwait(t.Context(), "await-requested", events.Envelope{ID: "asked"}, trigger.Await{JobRef: job, Type: kind, Where: "true", Deadline: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Emitted
}

func (d *door) awaits(t *testing.T, kind string) []trigger.Await {
	t.Helper()
	list, err := d.Awaits(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAwaitIsWokenOnce(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		for i := range 3 {
			d.await(t, "com.acme.done", jobOf(i))
		}
		d.await(t, "com.acme.other", jobOf(0))
		if list := d.awaits(t, "com.acme.done"); len(list) != 3 || list[0].Where != "true" {
			t.Fatalf("%+v", list)
		}
		other := newDoor(d.store.Store)
		cause := events.Envelope{ID: "came"}
		answer := trigger.Answer{Event: json.RawMessage(`{"id": "1"}`), By: "/acme"}
		var mu sync.Mutex
		var wg sync.WaitGroup
		ids := map[string]bool{}
		first := 0
		for i := range 16 {
			front := []*door{d, other}[i%2]
			wg.Go(func() {
				res, woken, err := front.Wake(t.Context(), "f", cause, "com.acme.done", jobOf(1), answer)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				for _, e := range res.Emitted {
					ids[e.ID] = true
				}
				if woken && !res.Duplicate {
					first++
				}
			})
		}
		wg.Wait()
		if first != 1 || len(ids) != 1 {
			t.Errorf("woken %d times, events %v", first, ids)
		}
		if list := d.awaits(t, "com.acme.done"); len(list) != 2 || list[0].Job != "wait" || list[0].Run == "R1" || list[1].Run == "R1" {
			t.Errorf("%+v", list)
		}
		// The same event wakes the others, too: one cause, several jobs.
		res, woken, err := d.Wake(t.Context(), "f", cause, "com.acme.done", jobOf(2), answer)
		if err != nil || !woken || len(res.Emitted) != 1 || res.Emitted[0].Subject != "run/R2/job/wait" || ids[res.Emitted[0].ID] {
			t.Errorf("%+v, %v, %v", res, woken, err)
		}
		// Who asks again for a wait that is over hears what came.
		if told := d.await(t, "com.acme.done", jobOf(1)); len(told) != 1 || told[0].Type != events.TypeAwaitMatched {
			t.Errorf("%+v", told)
		}
		if res, woken, err := d.Wake(t.Context(), "f", events.Envelope{ID: "another"}, "com.acme.done", jobOf(1), trigger.Answer{By: "/late"}); err != nil || woken || len(res.Emitted) != 0 {
			t.Errorf("%+v, %v, %v: it was woken before", res, woken, err)
		}
		a, err := d.Await(t.Context(), "com.acme.done", jobOf(1))
		if err != nil || a.Matched == nil || a.Matched.By != "/acme" {
			t.Errorf("%+v, %v", a, err)
		}
		if err := d.RemoveAwait(t.Context(), "com.acme.done", jobOf(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Await(t.Context(), "com.acme.done", jobOf(1)); fn.KindOf(err) != fn.NotFound {
			t.Errorf("error %v", err)
		}
		if _, woken, err := d.Wake(t.Context(), "f", events.Envelope{ID: "later"}, "com.acme.done", jobOf(1), answer); err != nil || woken {
			t.Errorf("%v, %v: nobody waits", woken, err)
		}
		if len(d.awaits(t, "com.acme.other")) != 1 {
			t.Error("an await of another type is gone")
		}
	})
}

func TestAwaitOfNothingIsRefused(t *testing.T) {
	d := inMemory()
	if _, err := d.AddAwait(t.Context(), "f", events.Envelope{}, trigger.Await{JobRef: jobOf(0)}); fn.KindOf(err) != fn.Invalid {
		t.Errorf("error %v", err)
	}
	if _, err := d.AddAwait(t.Context(), "f", events.Envelope{}, trigger.Await{JobRef: jobOf(0), Approval: true, Deadline: start}); err != nil || len(d.awaits(t, trigger.ApprovalType)) != 1 {
		t.Errorf("error %v", err)
	}
}

// TestManyAwaits: a thousand cost documents, and leave by themselves.
func TestManyAwaits(t *testing.T) {
	d := inMemory()
	before := runtime.NumGoroutine()
	for i := range 1000 {
		d.await(t, "com.acme.done", jobOf(i))
	}
	if list := d.awaits(t, "com.acme.done"); len(list) != 1000 || runtime.NumGoroutine() > before {
		t.Errorf("%d wait, %d goroutines more", len(list), runtime.NumGoroutine()-before)
	}
	d.pass(2 * time.Hour)
	for range 2 {
		d.fire(t)
	}
	if list := d.awaits(t, "com.acme.done"); len(list) != 0 || len(d.due(t)) != 0 {
		t.Errorf("%d wait beyond their deadline", len(list))
	}
}

func TestSubscriptions(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		set := func(repository string, asOf time.Time, types ...string) {
			t.Helper()
			var list []trigger.Subscription
			for i, kind := range types {
				list = append(list, trigger.Subscription{File: fmt.Sprintf("%d.yaml", i), Type: kind, Where: "true"})
			}
			if err := d.SetSubscriptions(t.Context(), "github", repository, asOf, list); err != nil {
				t.Fatal(err)
			}
		}
		want := func(kind string, files ...string) {
			t.Helper()
			list, err := d.Subscriptions(t.Context(), kind)
			if err != nil || len(list) != len(files) {
				t.Fatalf("%s: %+v, %v", kind, list, err)
			}
			for i, s := range list {
				if s.Repository+" "+s.File != files[i] || s.Forge != "github" || s.Type != kind || s.Where != "true" {
					t.Errorf("%s: %+v, want %s", kind, s, files[i])
				}
			}
		}
		set("acme/app", start, "a", "b", "a")
		set("acme/lib", start, "a")
		want("a", "acme/app 0.yaml", "acme/app 2.yaml", "acme/lib 0.yaml")
		want("b", "acme/app 1.yaml")
		set("acme/app", start.Add(time.Hour), "c")
		want("a", "acme/lib 0.yaml")
		want("b")
		want("c", "acme/app 0.yaml")
		set("acme/app", start, "a") // a push of before
		want("a", "acme/lib 0.yaml")
		before := d.store.commits
		set("acme/none", start)
		if d.store.commits != before {
			t.Errorf("a repository without subscriptions costs %d commits", d.store.commits-before)
		}
		// Broken off anywhere, it is whole once repeated.
		for n := range 5 {
			d.store.before = make([]error, n)
			d.store.before = append(d.store.before, errAway, errAway, errAway)
			list := []trigger.Subscription{{File: "x", Type: "d", Where: "true"}}
			if n%2 == 1 {
				list[0].Type = "e"
			}
			asOf := start.Add(time.Duration(2+n) * time.Hour)
			_ = d.SetSubscriptions(t.Context(), "github", "acme/app", asOf, list)
			d.store.before = nil
			if err := d.SetSubscriptions(t.Context(), "github", "acme/app", asOf, list); err != nil {
				t.Fatal(err)
			}
			want("c")
			want(map[bool]string{true: "e", false: "d"}[n%2 == 1], "acme/app x")
			want(map[bool]string{true: "d", false: "e"}[n%2 == 1])
		}
		if err := d.SetSubscriptions(t.Context(), "github", "acme/app", start.Add(99*time.Hour), []trigger.Subscription{{File: "x"}}); fn.KindOf(err) != fn.Invalid {
			t.Errorf("error %v", err)
		}
	})
}
