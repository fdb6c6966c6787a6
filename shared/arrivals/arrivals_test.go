package arrivals_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/arrivals"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/state"
)

// yard has runs that wait, with a clock that a test moves.
type yard struct {
	t        *testing.T
	now      time.Time
	front    *state.Front
	runs     *state.Runs
	arrivals *arrivals.Arrivals
	sent     int
}

func newYard(t *testing.T) *yard {
	y := &yard{t: t, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	c := &state.Committer{Store: memory.New(func() time.Time { return y.now }, "test")}
	y.front = &state.Front{Committer: c}
	y.runs = &state.Runs{Committer: c, Policy: pipeline.DefaultPolicy()}
	y.arrivals = &arrivals.Arrivals{Front: y.front, Runs: y.runs}
	return y
}

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

// waits starts a run whose only job waits, and gives the event that says so.
func (y *yard) waits(run events.RunID, where string) (events.Envelope, events.AwaitRequested) {
	y.t.Helper()
	a := &pipeline.Await{Type: "com.example.deployed", TimeoutSeconds: (20 * 24 * time.Hour).Seconds()}
	if where != "" {
		text := expression.Text(where)
		a.Where = &text
	}
	spec, err := json.Marshal(pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "gate", Key: "gate", Name: expression.Text("gate"), Await: a}}})
	y.must(err)
	_, err = y.runs.Create(y.t.Context(), "api", events.RunRequested{RunRef: events.RunRef{Run: run}, Spec: spec})
	y.must(err)
	res, err := y.runs.Change(y.t.Context(), "run-requested", events.Envelope{ID: "start " + string(run), Type: events.TypeRunRequested, Time: y.now}, run,
		func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
			r.Start(em)
			return nil
		})
	y.must(err)
	for _, e := range res.Emitted {
		if e.Type == events.TypeAwaitRequested {
			d, err := events.Decode[events.AwaitRequested](e)
			y.must(err)
			return e, d.Data
		}
	}
	y.t.Fatalf("%s does not wait: %v", run, res.Emitted)
	return events.Envelope{}, events.AwaitRequested{}
}

// comes sends an event with that subject, and gives the runs that it woke.
func (y *yard) comes(subject string) (woken []events.RunID) {
	y.t.Helper()
	y.sent++
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/shop","type":"com.example.deployed","subject":%q,"data":{"n":%d}}`, y.sent, subject, y.sent)
	r, err := y.front.Receive(y.t.Context(), "api", trigger.Arrival{Source: arrivals.Source, Sender: strconv.Itoa(y.sent), Event: "com.example.deployed"}, body)
	y.must(err)
	for range 2 { // it may be delivered twice
		w, err := y.arrivals.Wake(y.t.Context(), "delivery-received", events.Envelope{ID: "delivery" + strconv.Itoa(y.sent)}, r.Delivery, body)
		y.must(err)
		woken = append(woken, y.told(w.Emitted)...)
	}
	return woken
}

// told are the runs that matches are for.
func (y *yard) told(es []events.Envelope) (runs []events.RunID) {
	y.t.Helper()
	for _, e := range es {
		m, err := events.Decode[events.AwaitMatched](e)
		y.must(err)
		runs = append(runs, m.Data.Run)
	}
	return runs
}

func (y *yard) await(e events.Envelope, d events.AwaitRequested) []events.RunID {
	y.t.Helper()
	emitted, err := y.arrivals.Await(y.t.Context(), "await-requested", e, d)
	y.must(err)
	return y.told(emitted)
}

func (y *yard) wants(got []events.RunID, want ...events.RunID) {
	y.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		y.t.Errorf("woken %v, want %v", got, want)
	}
}

func TestTheRightOneWakes(t *testing.T) {
	y := newYard(t)
	for run, where := range map[events.RunID]string{"R1": "subject = 'a'", "R2": "subject = 'b'", "R3": "stage = 'x'"} {
		y.wants(y.await(y.waits(run, where)))
	}
	y.now = y.now.Add(time.Hour)
	y.wants(y.comes("c"))
	y.wants(y.comes("b"), "R2")
	y.wants(y.comes("b")) // it waits no more
}

// TestEventBeforeItsRegistration: nothing that came since the job was asked for
// passes it by, and nothing from before counts.
func TestEventBeforeItsRegistration(t *testing.T) {
	y := newYard(t)
	y.comes("a")
	y.now = y.now.Add(time.Second)
	e, d := y.waits("R1", "subject = 'a'")
	late, asked := y.waits("R2", "subject = 'a'")
	y.now = y.now.Add(time.Second)
	y.wants(y.await(e, d))
	y.now = y.now.Add(time.Second)
	y.comes("b")
	y.wants(y.comes("a"), "R1")
	y.now = y.now.Add(time.Minute)
	y.wants(y.await(late, asked), "R2")
	y.wants(y.await(late, asked), "R2") // told again until its run has heard
}

// TestToldAfterAWeek: the clock tells of a wait longer than any inbox remembers.
func TestToldAfterAWeek(t *testing.T) {
	y := newYard(t)
	e, d := y.waits("R1", "")
	y.now = y.now.Add(10 * 24 * time.Hour)
	y.wants(y.await(e, d))
	y.wants(y.comes("a"), "R1")
}

func TestJobThatIsOverWaitsNoMore(t *testing.T) {
	y := newYard(t)
	e, d := y.waits("R1", "")
	y.await(e, d)
	y.must(y.arrivals.Forget(t.Context(), d.JobRef)) // it waits still
	c := events.CancelRequested{RunRef: events.RunRef{Run: "R1"}, Reason: "enough"}
	cancel, err := events.New("c", "/relevo/api", "", y.now, c)
	y.must(err)
	_, err = y.runs.Change(t.Context(), "cancel-requested", cancel, "R1", func(r *pipeline.Run, em *events.Emitter, _ uint32) error {
		r.Cancel(em, cancel, c)
		return nil
	})
	y.must(err)
	left := func() int {
		list, err := y.front.Awaits(t.Context(), d.Type)
		y.must(err)
		return len(list)
	}
	if left() != 1 {
		t.Errorf("%d wait before the cancel is told, want 1", left())
	}
	y.must(y.arrivals.Forget(t.Context(), d.JobRef))
	if left() != 0 {
		t.Errorf("%d wait after it, want none", left())
	}
	y.wants(y.await(e, d)) // late
	if left() != 0 {
		t.Errorf("%d wait after a late registration, want none", left())
	}
}

// TestWhatCameIsForgotten: nothing is left of events after a while.
func TestWhatCameIsForgotten(t *testing.T) {
	y := newYard(t)
	y.comes("a")
	y.now = y.now.Add(time.Hour)
	ps, err := y.front.Store.Partitions(t.Context())
	y.must(err)
	due, _, err := y.front.Store.Overdue(t.Context(), ps, 10)
	y.must(err)
	for _, d := range due {
		if d.Partition[:len(state.FrontPrefix)] == state.FrontPrefix {
			_, _, err := y.front.Fire(t.Context(), d.Partition, d.Name)
			y.must(err)
		}
	}
	for _, p := range ps {
		docs, err := y.front.Store.List(t.Context(), p, "recent."+events.DeriveID("type", "com.example.deployed"))
		y.must(err)
		if len(docs) > 0 {
			t.Errorf("%s is left", docs[0].ID)
		}
	}
}

func TestSatisfies(t *testing.T) {
	a := newYard(t).arrivals
	event := []byte(`{"specversion":"1.0","id":"1","source":"/shop","type":"x","subject":"a"}`)
	for where, want := range map[string]string{"": "true", "subject = 'a'": "true", "subject = 'b'": "false", "subject =": "error", "stage = 'x'": "error"} {
		ok, err := a.Satisfies(where, event)
		got := strconv.FormatBool(ok)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %v (%v), want %s", where, ok, err, want)
		}
	}
	if ok, err := a.Satisfies("", []byte(`{"id":"1"}`)); ok || err == nil {
		t.Error("what is no CloudEvent satisfies")
	}
}
