package state_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

var commit = events.ReportRef{Forge: "gitlab", Repository: "group/sub/app", SHA: "abc"}

func newsOf(sequence uint64, s trigger.State) trigger.News {
	return trigger.News{Status: trigger.Status{Context: "relevo/ci", Run: "R", State: s}, Requested: start, Epoch: 1, Sequence: sequence}
}

func (d *door) learn(t *testing.T, n trigger.News) state.Result {
	t.Helper()
	res, err := d.Learn(t.Context(), "run-completed", events.Envelope{ID: fmt.Sprintf("%s %s %d", n.Run, n.State, n.Sequence), Type: "t"}, commit, n)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// tell does what status-requested does, with a forge that says as told.
func (d *door) tell(t *testing.T, e events.Envelope, failure string, after time.Duration) ([]trigger.Status, state.Result) {
	t.Helper()
	telling, err := d.Take(t.Context(), e, commit)
	if err != nil {
		t.Fatal(err)
	}
	if telling.Statuses == nil {
		return nil, state.Result{}
	}
	tellings := make([]trigger.Telling, len(telling.Statuses))
	for i, s := range telling.Statuses {
		tellings[i] = trigger.Telling{Status: s, Failure: failure}
	}
	res, err := d.Told(t.Context(), e, commit, telling.Claim, tellings, after)
	if err != nil {
		t.Fatal(err)
	}
	return telling.Statuses, res
}

func TestReportIsToldOnceAndInOrder(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		pending := d.learn(t, newsOf(1, trigger.Pending))
		if again := d.learn(t, newsOf(1, trigger.Pending)); len(again.Emitted) != 0 {
			t.Fatalf("%+v", again)
		}
		e := pending.Emitted[0]
		if e.Subject != "report/gitlab/group/sub/app/abc" || e.Sequence == 0 {
			t.Fatalf("%+v", e)
		}
		if got, res := d.tell(t, e, "", 0); len(got) != 1 || got[0].State != trigger.Pending || len(res.Emitted) != 0 {
			t.Fatalf("%+v, %+v", got, res)
		}
		if got, _ := d.tell(t, e, "", 0); got != nil {
			t.Fatalf("%+v was told twice", got)
		}
		done := d.learn(t, newsOf(2, trigger.Succeeded))
		if late := d.learn(t, newsOf(1, trigger.Pending)); len(late.Emitted) != 0 {
			t.Errorf("%+v", late)
		}
		if got, _ := d.tell(t, done.Emitted[0], "", 0); len(got) != 1 || got[0].State != trigger.Succeeded {
			t.Fatalf("%+v", got)
		}
		r, err := d.Report(t.Context(), commit)
		if err != nil || r.Contexts[0].State != trigger.Succeeded || r.Contexts[0].Told.State != trigger.Succeeded {
			t.Errorf("%+v, %v", r, err)
		}
		if list := d.due(t); len(list) != 0 {
			t.Errorf("%v is due", list)
		}
	})
}

// TestForgeThatIsAway: statuses wait for as long as the forge asks, and a
// teller that dies is replaced, by the clock alone.
func TestForgeThatIsAway(t *testing.T) {
	d := inMemory()
	e := d.learn(t, newsOf(1, trigger.Pending)).Emitted[0]
	if _, res := d.tell(t, e, "429", 30*time.Minute); len(res.Emitted) != 0 {
		t.Fatalf("%+v", res)
	}
	if res := d.learn(t, newsOf(2, trigger.Failed)); len(res.Emitted) != 0 {
		t.Fatalf("the forge asked for half an hour: %+v", res)
	}
	d.pass(29 * time.Minute)
	if told := d.fire(t); len(told) != 0 {
		t.Fatalf("%+v", told)
	}
	d.pass(time.Minute)
	told := d.fire(t)
	if len(told) != 1 || told[0].Type != events.TypeStatusRequested || told[0].Epoch != 1 {
		t.Fatalf("%+v", told)
	}
	if telling, err := d.Take(t.Context(), told[0], commit); err != nil || len(telling.Statuses) != 1 || !telling.Until.After(start) { // and dies
		t.Fatalf("%+v, %v", telling, err)
	}
	if got, _ := d.tell(t, told[0], "", 0); got != nil {
		t.Fatalf("%+v: another is at it", got)
	}
	d.pass(time.Minute)
	again := d.fire(t)
	if len(again) != 1 || again[0].ID != told[0].ID {
		t.Fatalf("%+v, before %+v", again, told)
	}
	if got, _ := d.tell(t, again[0], "", 0); len(got) != 1 || got[0].State != trigger.Failed {
		t.Fatalf("%+v", got)
	}
	d.pass(time.Hour)
	if told := d.fire(t); len(told) != 0 || len(d.due(t)) != 0 {
		t.Errorf("%+v", told)
	}
}

// TestTwoTellersAtOnce: of many that are asked at once only one tells.
func TestTwoTellersAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		e := d.learn(t, newsOf(1, trigger.Pending)).Emitted[0]
		other := newDoor(d.store.Store)
		var mu sync.Mutex
		var wg sync.WaitGroup
		tellers := 0
		for i := range 16 {
			front := []*door{d, other}[i%2]
			wg.Go(func() {
				telling, err := front.Take(t.Context(), e, commit)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if len(telling.Statuses) > 0 {
					tellers++
				}
			})
		}
		wg.Wait()
		if tellers != 1 {
			t.Errorf("%d tell at once", tellers)
		}
	})
}

// TestLostReplyOfNews: the first answer is given, not none.
func TestLostReplyOfNews(t *testing.T) {
	d := inMemory()
	d.store.after = []error{errAway}
	if res := d.learn(t, newsOf(1, trigger.Pending)); !res.Duplicate || len(res.Emitted) != 1 {
		t.Errorf("%+v", res)
	}
}

func TestOddReportsAreRefused(t *testing.T) {
	d := inMemory()
	for _, ref := range []events.ReportRef{{}, {Forge: "github", Repository: "a/b"}, {Forge: "git/hub", Repository: "b", SHA: "c"}, {Forge: "g", Repository: "b", SHA: "c/d"}} {
		if _, err := d.Learn(t.Context(), "f", events.Envelope{}, ref, newsOf(1, trigger.Pending)); fn.KindOf(err) != fn.Invalid {
			t.Errorf("%+v: %v", ref, err)
		}
	}
}

func TestRetireReportsAndReviews(t *testing.T) {
	d := inMemory()
	d.learn(t, newsOf(1, trigger.Pending))
	ref := trigger.PullRef{Forge: "gitlab", Repository: "group/sub/app", Number: 7}
	if err := d.ChangeReview(t.Context(), ref, func(r *trigger.Review, now time.Time) bool { return r.See("abc", now) }); err != nil {
		t.Fatal(err)
	}
	retire := func(before time.Time) (report, review bool) {
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
		r, err := d.Report(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Review(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Contexts) > 0, v.Head != ""
	}
	for _, c := range []struct {
		before         time.Time
		report, review bool
	}{{start, true, true}, {start.Add(time.Second), false, true}, {start.Add(31 * 24 * time.Hour), false, false}} {
		if report, review := retire(c.before); report != c.report || review != c.review {
			t.Errorf("before %v: report %v, review %v", c.before, report, review)
		}
	}
	d.pass(24 * time.Hour)
	if told := d.fire(t); len(told) != 0 || len(d.due(t)) != 0 {
		t.Errorf("%+v: what is gone is told of", told)
	}
}

func TestReviewIsKept(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		ref := trigger.PullRef{Forge: "github", Repository: "acme/app", Number: 7}
		const head = "1111111111111111111111111111111111111111"
		h := trigger.Happening{
			Forge: "github", Repository: trigger.Repository{Name: "acme/app"}, Actor: trigger.Actor{Login: "alice"},
			Pull: &trigger.Pull{Number: 7, HeadSHA: head, Open: true, From: trigger.Repository{Name: "mallory/app"}},
		}
		change := func(decide func(r *trigger.Review, now time.Time) bool) {
			t.Helper()
			if err := d.ChangeReview(t.Context(), ref, decide); err != nil {
				t.Fatal(err)
			}
		}
		change(func(r *trigger.Review, now time.Time) bool { return r.Approve(h, trigger.Write, "config", now) == "" })
		r, err := d.Review(t.Context(), ref)
		if err != nil || r.Approval == nil || r.Approval.SHA != head {
			t.Fatalf("%+v, %v", r, err)
		}
		change(func(r *trigger.Review, now time.Time) bool {
			return r.See("2222222222222222222222222222222222222222", now.Add(time.Second))
		})
		if r, err := d.Review(t.Context(), ref); err != nil || r.Approval != nil || r.Number != 7 {
			t.Errorf("%+v, %v: the approval outlives its head", r, err)
		}
	})
}
