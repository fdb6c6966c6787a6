package trigger_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

func news(context string, run events.RunID, requested time.Duration, sequence uint64, state trigger.State) trigger.News {
	return trigger.News{
		Status:    trigger.Status{Context: context, State: state, Run: run},
		Requested: noon.Add(requested), Epoch: 1, Sequence: sequence,
	}
}

func asks(em *events.Emitter) bool { return len(em.Emitted()) > 0 }

func TestReportTellsInOrder(t *testing.T) {
	r := &trigger.Report{ReportRef: events.ReportRef{Forge: "github", Repository: "acme/app", SHA: "abc"}}
	em := emitter("run-completed", noon)
	if !r.Learn(em, news("relevo/ci", "R1", 0, 1, trigger.Pending)) || !asks(em) || em.Emitted()[0].Subject != "report/github/acme/app/abc" {
		t.Fatalf("%+v", em.Emitted())
	}
	got := r.Take("c1", noon, noon.Add(time.Minute))
	if len(got) != 1 || got[0].State != trigger.Pending || r.Take("c2", noon, noon.Add(time.Minute)) != nil {
		t.Fatalf("%+v", got)
	}
	// While one tells, nobody else is asked to, nor when it failed for a while.
	em = emitter("run-completed", noon)
	r.Learn(em, news("relevo/ci", "R1", 0, 9, trigger.Failed))
	if asks(em) || !r.Due(time.Second, noon).Equal(noon.Add(time.Minute)) {
		t.Fatalf("%+v", em.Emitted())
	}
	r.Heard(em, "c1", []trigger.Telling{{Status: got[0], Failure: "429"}}, time.Hour)
	if asks(em) || !r.Due(time.Second, noon).Equal(noon.Add(time.Hour)) || r.Take("c3", noon.Add(time.Minute), noon.Add(time.Hour)) != nil {
		t.Fatalf("the forge asked for an hour: %+v", r)
	}
	later := noon.Add(time.Hour)
	em = emitter("clock-ticked", later)
	if r.Fire(em); !asks(em) {
		t.Fatal("nobody is asked after the hour")
	}
	got = r.Take("c4", later, later.Add(time.Minute))
	if len(got) != 1 || got[0].State != trigger.Failed {
		t.Fatalf("%+v: what is over is not told", got)
	}
	r.Heard(em, "c4", []trigger.Telling{{Status: got[0]}}, 0)
	if !r.Due(time.Second, later).IsZero() || r.Take("c5", later, later.Add(time.Minute)) != nil || r.Tries != 0 {
		t.Errorf("%+v", r)
	}
	// The verdict stands.
	for _, old := range []trigger.News{news("relevo/ci", "R1", 0, 1, trigger.Pending), news("relevo/ci", "R1", 0, 99, trigger.Pending), news("relevo/ci", "R0", -time.Hour, 99, trigger.Succeeded)} {
		if r.Learn(em, old) {
			t.Errorf("%+v takes the verdict back", old)
		}
	}
	if !r.Learn(em, news("relevo/ci", "R2", time.Hour, 1, trigger.Pending)) {
		t.Error("a run that was asked for later does not count")
	}
}

func TestReportThatIsNeverTaken(t *testing.T) {
	r := &trigger.Report{}
	r.Learn(emitter("f", noon), news("relevo/ci", "R", 0, 1, trigger.Pending))
	got := r.Take("c", noon, noon.Add(time.Minute))
	r.Heard(emitter("f", noon), "c", []trigger.Telling{{Status: got[0], Failure: "the token may not do that", Never: true}}, 0)
	if !r.Due(time.Second, noon).IsZero() || r.Contexts[0].Refused == "" {
		t.Fatalf("%+v", r)
	}
	em := emitter("f", noon)
	if r.Learn(em, news("relevo/ci", "R", 0, 2, trigger.Succeeded)); !asks(em) {
		t.Error("another state is tried")
	}
}

func TestReportBacksOff(t *testing.T) {
	r := &trigger.Report{}
	r.Learn(emitter("f", noon), news("relevo/ci", "R", 0, 1, trigger.Pending))
	now, last := noon, time.Duration(0)
	for range 12 {
		got := r.Take("c", now, now.Add(time.Minute))
		r.Heard(emitter("f", now), "c", []trigger.Telling{{Status: got[0], Failure: "502"}}, 0)
		wait := r.NotBefore.Sub(now)
		if wait < last || wait < 5*time.Second || wait > 10*time.Minute {
			t.Fatalf("waits %v after %v", wait, last)
		}
		now, last = r.NotBefore, wait
	}
	if last != 10*time.Minute {
		t.Errorf("waits %v in the end", last)
	}
}

func TestEndOf(t *testing.T) {
	for v, want := range map[events.Verdict]trigger.State{
		events.Succeeded: trigger.Succeeded, events.Failed: trigger.Failed, events.Timeout: trigger.Failed,
		events.Cancelled: trigger.Cancelled, events.Infra: trigger.Errored, events.Rejected: trigger.Errored, "": trigger.Errored,
	} {
		state, text := trigger.EndOf(v, strings.Repeat("long ", 100))
		if state != want || text == "" || len(text) > 140 {
			t.Errorf("%s is %s, %q", v, state, text)
		}
		blames := strings.Contains(text, "failed") || strings.Contains(text, "out of time")
		if blames != (v == events.Failed || v == events.Timeout) {
			t.Errorf("%s says %q", v, text)
		}
	}
}

// forge is told statuses by takers that may fail, come late, or die.
type forge struct {
	told  map[string][]trigger.Status
	lost  map[string]bool // statuses whose telling nobody heard of
	order map[string]trigger.News
}

func key(s trigger.Status) string { return fmt.Sprintf("%s %s %s", s.Context, s.Run, s.State) }

// TestReportProperties: with tellers that fail, die and come again, and news in
// any order, the forge hears each state once (but for those whose telling went
// unheard), never an older one after a newer, and in the end the newest of all.
func TestReportProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &trigger.Report{}
		f := forge{told: map[string][]trigger.Status{}, lost: map[string]bool{}, order: map[string]trigger.News{}}
		var heard []trigger.News
		now, claims := noon, 0
		tell := func(s trigger.Status) { f.told[s.Context] = append(f.told[s.Context], s) }
		t.Repeat(map[string]func(*rapid.T){
			"learn": func(t *rapid.T) {
				n := drawNews(t)
				f.order[key(n.Status)] = n
				r.Learn(emitter("f", now), n)
				heard = append(heard, n)
			},
			"tell": func(t *rapid.T) {
				claims++
				claim := strconv.Itoa(claims)
				var tellings []trigger.Telling
				dies := rapid.Bool().Draw(t, "dies")
				for _, s := range r.Take(claim, now, now.Add(time.Minute)) {
					fails := rapid.Bool().Draw(t, "fails")
					if !fails {
						tell(s)
					}
					if dies {
						f.lost[key(s)] = true
					}
					tellings = append(tellings, trigger.Telling{Status: s, Failure: map[bool]string{true: "502"}[fails]})
				}
				if !dies && tellings != nil {
					r.Heard(emitter("f", now), claim, tellings, 0)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "seconds")) * time.Second)
				if due := r.Due(time.Second, now.Add(-time.Minute)); !due.IsZero() && due.Before(now) {
					r.Fire(emitter("clock", now))
				}
			},
		})
		for i := 0; !r.Due(time.Second, now).IsZero(); i++ {
			if i > 10 {
				t.Fatalf("there is no end: %+v", r)
			}
			now = now.Add(time.Hour)
			r.Fire(emitter("clock", now))
			var tellings []trigger.Telling
			for _, s := range r.Take("end", now, now.Add(time.Minute)) {
				tell(s)
				tellings = append(tellings, trigger.Telling{Status: s})
			}
			r.Heard(emitter("f", now), "end", tellings, 0)
		}
		f.check(t, heard)
	})
}

func drawNews(t *rapid.T) trigger.News {
	run := rapid.IntRange(1, 3).Draw(t, "run")
	context := rapid.SampledFrom([]string{"relevo/a", "relevo/b"}).Draw(t, "context")
	// One sequence of a run tells one state, as in a ledger; a run ends once.
	sequence := rapid.Uint64Range(1, 4).Draw(t, "sequence")
	state := trigger.Pending
	if sequence >= 3 {
		state = []trigger.State{trigger.Failed, trigger.Succeeded, trigger.Errored}[run-1]
	}
	return news(context, events.RunID(fmt.Sprint("R", run)), time.Duration(run/2)*time.Second, sequence, state)
}

// newer is the order that the forge must see: by request and run, and then
// verdicts last.
func newer(a, b trigger.News) bool {
	if a.Run != b.Run {
		return a.Requested.After(b.Requested) || a.Requested.Equal(b.Requested) && a.Run > b.Run
	}
	return a.State.Final() && !b.State.Final()
}

func (f *forge) check(t *rapid.T, heard []trigger.News) {
	for context, list := range f.told {
		seen := map[string]int{}
		for i, s := range list {
			if seen[key(s)]++; seen[key(s)] > 1 && !f.lost[key(s)] {
				t.Fatalf("%s was told twice: %v", key(s), list)
			}
			if i > 0 && newer(f.order[key(list[i-1])], f.order[key(s)]) {
				t.Fatalf("%s after %s", key(s), key(list[i-1]))
			}
		}
		best := slices.MaxFunc(slices.DeleteFunc(slices.Clone(heard), func(n trigger.News) bool { return n.Context != context }), func(a, b trigger.News) int {
			switch {
			case newer(a, b):
				return 1
			case newer(b, a):
				return -1
			}
			return 0
		})
		if last := list[len(list)-1]; key(last) != key(best.Status) {
			t.Fatalf("the forge was told %s last, the newest is %s", key(last), key(best.Status))
		}
	}
	for _, n := range heard {
		if len(f.told[n.Context]) == 0 {
			t.Fatalf("nothing was told of %s", n.Context)
		}
	}
}

// TestLateTeller: one whose claim is over tells something older after the newer:
// the newest is told once more.
func TestLateTeller(t *testing.T) {
	r := &trigger.Report{}
	r.Learn(emitter("f", noon), news("relevo/ci", "R", 0, 1, trigger.Pending))
	slow := r.Take("slow", noon, noon.Add(time.Minute))
	r.Learn(emitter("f", noon), news("relevo/ci", "R", 0, 2, trigger.Succeeded))
	later := noon.Add(2 * time.Minute)
	r.Fire(emitter("clock", later))
	quick := r.Take("quick", later, later.Add(time.Minute))
	r.Heard(emitter("f", later), "slow", nil, 0)
	if got := r.Take("third", later, later.Add(time.Minute)); got != nil {
		t.Errorf("%+v: one who came late gave another's claim away", got)
	}
	r.Heard(emitter("f", later), "quick", []trigger.Telling{{Status: quick[0]}}, 0)
	em := emitter("f", later)
	r.Heard(em, "slow", []trigger.Telling{{Status: slow[0]}}, 0)
	if got := r.Take("again", later, later.Add(time.Minute)); !asks(em) || len(got) != 1 || got[0].State != trigger.Succeeded {
		t.Errorf("%+v", got)
	}
}
