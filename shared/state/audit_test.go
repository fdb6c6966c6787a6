package state_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

func TestAudit(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Audit{Committer: d.Committer}
		const n = 150
		for i := range n {
			res := must[state.Result](t)(a.Record(t.Context(), strconv.Itoa(i), did(i)))
			if len(res.Emitted) != 1 || res.Emitted[0].Type != events.TypeUIRecorded {
				t.Fatalf("entry %d told %v", i, res.Emitted)
			}
		}
		var got []string
		cursor, pages := "", 0
		for {
			list, next, err := a.Page(t.Context(), cursor, 40, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				got = append(got, e.Target)
			}
			if pages++; next == "" {
				break
			}
			cursor = next
		}
		if len(got) != n || pages != 4 || got[0] != "149" || got[n-1] != "0" {
			t.Errorf("%d entries on %d pages: %v", len(got), pages, got)
		}
		odd, _, err := a.Page(t.Context(), "", 10, func(e state.AuditEntry) bool { return e.Target == "7" })
		if err != nil || len(odd) != 1 {
			t.Errorf("wanted alone: %v, %v", odd, err)
		}
		for _, bad := range []string{"x", "1", "1.", "-1.0", "1.-1", "99.0", "01.1"} {
			if _, _, err := a.Page(t.Context(), bad, 10, nil); fn.KindOf(err) != fn.Invalid {
				t.Errorf("cursor %q: %v", bad, err)
			}
		}
	})
}

func did(i int) events.UIRecorded {
	return events.UIRecorded{Principal: "u-1", Action: "cancelPipeline", Target: strconv.Itoa(i)}
}

// TestAuditOfManyAtOnce: entries share commits, none is lost, none is twice,
// also where replies are lost.
func TestAuditOfManyAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Audit{Committer: d.Committer}
		d.store.after = []error{errAway, errAway}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if res, err := a.Record(t.Context(), strconv.Itoa(i), did(i)); err != nil || len(res.Emitted) != 1 {
					t.Errorf("entry %d: %v, %v", i, res, err)
				}
			})
		}
		wg.Wait()
		list, next, err := a.Page(t.Context(), "", 500, nil)
		if err != nil || next != "" || len(list) != 100 {
			t.Fatalf("%d entries, next %q, %v", len(list), next, err)
		}
		seen := map[string]bool{}
		for _, e := range list {
			seen[e.Target] = true
		}
		if len(seen) != 100 {
			t.Errorf("%d of them differ", len(seen))
		}
	})
}

func TestAuditIsRetired(t *testing.T) {
	d := inMemory()
	a := &state.Audit{Committer: d.Committer, Keep: 24 * time.Hour}
	for i := range 200 {
		if i == 130 {
			d.pass(23 * time.Hour)
		}
		must[state.Result](t)(a.Record(t.Context(), strconv.Itoa(i), did(i)))
	}
	d.pass(2 * time.Hour)
	if err := a.Retire(t.Context(), start.Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	list, _, err := a.Page(t.Context(), "", 500, nil)
	if err != nil || len(list) != 72 || list[len(list)-1].Target != "128" { // whole segments of 64
		t.Errorf("%d left, the last %v: %v", len(list), list[len(list)-1], err)
	}
	must[state.Result](t)(a.Record(t.Context(), "after", did(1000)))
	if list, _, err := a.Page(t.Context(), "", 1, nil); err != nil || list[0].Target != "1000" {
		t.Errorf("after: %v, %v", list, err)
	}
}
