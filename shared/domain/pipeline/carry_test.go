package pipeline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// ends ends a job that was asked for, with an output where it succeeds.
func (d *desk) ends(key events.JobKey, v events.Verdict) {
	d.t.Helper()
	ref := d.start(key)
	ended := events.JobEnded{AttemptRef: ref, Verdict: v, Reason: "it says so"}
	if v == events.Succeeded {
		ended.Outputs = map[string]string{"from": string(d.req.Run) + "." + string(key)}
	}
	d.do(func(em *events.Emitter) { d.run.End(em, ended) })
}

// goes ends the jobs as said, each when its turn has come; those of which nothing
// is said succeed.
func (d *desk) goes(how map[events.JobKey]events.Verdict) {
	d.t.Helper()
	for more := true; more; {
		more = false
		for _, j := range d.run.Jobs {
			if d.run.Job(j.Key).State != pipeline.Pending {
				continue
			}
			v := how[j.Key]
			if v == "" {
				v = events.Succeeded
			}
			d.ends(j.Key, v)
			more = true
		}
	}
}

// retry begins the run that runs once more what failed.
func (d *desk) retry(id events.RunID) *desk {
	d.t.Helper()
	req, err := d.run.Retry(d.req.Trigger, true)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Run = id
	return beginAs(d.t, req)
}

func carriedOf(r *pipeline.Run) string {
	var keys []string
	for _, j := range r.Jobs {
		if j.Carried != nil {
			keys = append(keys, string(j.Key))
		}
	}
	return strings.Join(keys, " ")
}

func always(id string, needs ...string) pipeline.JobSpec {
	s := job(id, needs...)
	s.If = &expression.Node{Op: expression.Call, Name: "always"}
	return s
}

func cell(id string, i int, needs ...string) pipeline.JobSpec {
	s := job(id, needs...)
	s.Key, s.Strategy = events.JobKey(fmt.Sprintf("%s.%d", id, i)), &pipeline.Strategy{Index: i, Total: 2}
	return s
}

// TestCarried: what is carried over succeeded, as did all that it needs.
func TestCarried(t *testing.T) {
	tolerated, never := job("a"), job("a")
	yes := expression.Text("true")
	tolerated.ContinueOnError = &yes
	never.If = &expression.Node{Op: expression.Lit, Value: false}
	for name, c := range map[string]struct {
		jobs []pipeline.JobSpec
		how  map[events.JobKey]events.Verdict
		want string
	}{
		"the last one failed":              {[]pipeline.JobSpec{job("a"), job("b", "a"), job("c", "b")}, map[events.JobKey]events.Verdict{"c": events.Failed}, "a b"},
		"the first one failed":             {[]pipeline.JobSpec{job("a"), job("b", "a")}, map[events.JobKey]events.Verdict{"a": events.Failed}, ""},
		"one beside it failed":             {[]pipeline.JobSpec{job("a"), job("b"), job("c", "a", "b")}, map[events.JobKey]events.Verdict{"b": events.Failed}, "a"},
		"timed out":                        {[]pipeline.JobSpec{job("a"), job("b")}, map[events.JobKey]events.Verdict{"b": events.Timeout}, "a"},
		"what cleans up runs again":        {[]pipeline.JobSpec{job("a"), job("b"), always("clean", "b"), job("c", "clean")}, map[events.JobKey]events.Verdict{"b": events.Failed}, "a"},
		"far behind a failure":             {[]pipeline.JobSpec{job("a"), always("b", "a"), job("c", "b"), job("d")}, map[events.JobKey]events.Verdict{"a": events.Failed}, "d"},
		"a cell":                           {[]pipeline.JobSpec{cell("m", 0), cell("m", 1)}, map[events.JobKey]events.Verdict{"m.1": events.Failed}, "m.0"},
		"what needs a matrix needs all":    {[]pipeline.JobSpec{cell("m", 0), cell("m", 1), always("c", "m")}, map[events.JobKey]events.Verdict{"m.0": events.Failed}, "m.1"},
		"a matrix behind":                  {[]pipeline.JobSpec{job("a"), cell("m", 0, "a"), cell("m", 1, "a")}, map[events.JobKey]events.Verdict{"m.0": events.Failed}, "a m.1"},
		"a failure that the run puts up":   {[]pipeline.JobSpec{tolerated, job("b", "a"), job("c")}, map[events.JobKey]events.Verdict{"a": events.Failed, "b": events.Failed}, "c"},
		"what was skipped is looked at":    {[]pipeline.JobSpec{never, always("b", "a"), job("c"), job("d")}, map[events.JobKey]events.Verdict{"d": events.Failed}, "c"},
		"no outputs, and several that did": {[]pipeline.JobSpec{job("a"), job("b"), job("c", "a"), job("d", "b")}, map[events.JobKey]events.Verdict{"d": events.Failed}, "a b c"},
	} {
		t.Run(name, func(t *testing.T) {
			d := begin(t, c.jobs...)
			d.goes(c.how)
			next := d.retry("S")
			if got := carriedOf(next.run); got != c.want {
				t.Fatalf("carried %q, want %q", got, c.want)
			}
			for _, e := range next.ledger {
				if key, ok := strings.CutPrefix(e.Subject, "run/S/job/"); ok && next.run.Job(events.JobKey(key)).Carried != nil {
					t.Errorf("%s of %s, which is carried over", e.Type, key)
				}
			}
			next.goes(nil)
			if next.run.State != pipeline.RunSucceeded {
				t.Errorf("the new run is %s: %s", next.run.State, next.run.Reason)
			}
			for _, j := range next.run.Jobs {
				if j.Carried != nil && (len(j.Attempts) > 0 || j.Outputs["from"] != "R."+string(j.Key) || !strings.Contains(j.Reason, "run R")) {
					t.Errorf("carried over: %+v", j)
				}
			}
		})
	}
}

// TestCarriedHoldsForWhatNeedsIt: result and outputs are those of the run where it
// ran; a retry of a retry still names that one.
func TestCarriedHoldsForWhatNeedsIt(t *testing.T) {
	d := begin(t, job("a"), job("b", "a"), job("c", "b"))
	d.goes(map[events.JobKey]events.Verdict{"b": events.Failed})
	second := d.retry("S")
	second.goes(map[events.JobKey]events.Verdict{"c": events.Failed})
	third := second.retry("T")
	if req := third.run.Request(); req.RetryOf != "S" || req.RunAttempt != 3 {
		t.Errorf("it is attempt %d, of %s", req.RunAttempt, req.RetryOf)
	}
	for key, run := range map[events.JobKey]events.RunID{"a": "R", "b": "S"} {
		if c := third.run.Job(key).Carried; c == nil || *c != (events.Carried{Run: run, Attempt: 1}) {
			t.Errorf("%s is carried over from %+v", key, c)
		}
	}
	needs := third.run.Contexts("c")["needs"].(map[string]any)["b"].(map[string]any)
	if needs["result"] != "success" || needs["outputs"].(map[string]any)["from"] != "S.b" {
		t.Errorf("c sees %v", needs)
	}
	all, err := third.runTo(nil).run.Retry(events.Trigger{Actor: "ada"}, false)
	if err != nil || all.Carried != nil || all.RetryOf != "T" || all.Run != "" || all.Trigger.Actor != "ada" {
		t.Errorf("all of it: %+v, %v", all, err)
	}
}

// runTo is goes, for a chain.
func (d *desk) runTo(how map[events.JobKey]events.Verdict) *desk {
	d.goes(how)
	return d
}

// TestCarriedNeedNoTurn: a carried job takes no place of its matrix, and is neither
// cancelled nor failed with the rest.
func TestCarriedNeedNoTurn(t *testing.T) {
	m := []pipeline.JobSpec{cell("m", 0), cell("m", 1)}
	for i := range m {
		m[i].Strategy.MaxParallel = 1
	}
	d := begin(t, m...)
	d.goes(map[events.JobKey]events.Verdict{"m.1": events.Failed})
	next := d.retry("S")
	next.wants("m.1", pipeline.Pending)
	cancel := events.CancelRequested{RunRef: next.req.RunRef, Reason: "enough"}
	e, err := events.New("c", "/relevo/api", "", next.now, cancel)
	if err != nil {
		t.Fatal(err)
	}
	next.do(func(em *events.Emitter) { next.run.Cancel(em, e, cancel) })
	next.wants("m.0", pipeline.Succeeded)
	next.wants("m.1", pipeline.Cancelled)
	third := next.retry("T") // what was cancelled is run again
	third.wants("m.1", pipeline.Pending)
	if got := carriedOf(third.run); got != "m.0" {
		t.Errorf("carried %q", got)
	}
	spec := *third.run.Spec()
	wrong := &expression.Node{Op: expression.Call, Name: "fromJSON", Args: []*expression.Node{{Op: expression.Lit, Value: "{"}}}
	spec.Concurrency = &pipeline.Concurrency{Group: expression.Template{Parts: []expression.Part{{Expr: wrong}}}}
	req := third.req
	if req.Spec, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	broken := beginAs(t, req)
	broken.wants("m.0", pipeline.Succeeded)
	broken.wants("m.1", pipeline.Failed)
	if broken.run.State != pipeline.RunFailed || !strings.Contains(broken.run.Reason, "concurrency") {
		t.Errorf("without a name of its group it is %s: %s", broken.run.State, broken.run.Reason)
	}
}

// TestRetryIsRefused: while it goes on, where nothing failed, where it is too much.
func TestRetryIsRefused(t *testing.T) {
	d := begin(t, job("a"), job("b", "a"))
	for _, failed := range []bool{true, false} {
		if _, err := d.run.Retry(events.Trigger{}, failed); !errors.Is(err, pipeline.ErrNotOver) || !strings.Contains(err.Error(), "RUNNING") {
			t.Errorf("of a run that goes on: %v", err)
		}
	}
	ref := d.start("a")
	d.do(func(em *events.Emitter) {
		d.run.End(em, events.JobEnded{AttemptRef: ref, Verdict: events.Succeeded, Outputs: map[string]string{"x": strings.Repeat("x", 1<<20-20<<10)}})
	})
	ref = d.start("b")
	d.do(func(em *events.Emitter) { d.run.End(em, events.JobEnded{AttemptRef: ref, Verdict: events.Failed}) })
	if _, err := d.run.Retry(events.Trigger{}, true); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	d.run.Job("a").Outputs["y"] = strings.Repeat("y", 8<<10)
	for what, c := range map[string]struct {
		by   events.Trigger
		want error
	}{
		"what does not fit":               {events.Trigger{}, pipeline.ErrMostCarried},
		"what ran with another's secrets": {events.Trigger{Untrusted: true}, pipeline.ErrCarriedTrust},
	} {
		if _, err := d.run.Retry(c.by, true); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := d.run.Retry(c.by, false); err != nil {
			t.Errorf("%s, all of it: %v", what, err)
		}
	}
	if _, err := begin(t, job("a")).runTo(nil).run.Retry(events.Trigger{}, true); !errors.Is(err, pipeline.ErrNothingFailed) {
		t.Errorf("of a run that succeeded: %v", err)
	}
}

// TestCarriedOfAnyGraph: whatever the graph and however its jobs end, what is
// carried over is all that may be, and nothing else; and the new run ends well,
// each of its jobs having run once in either.
func TestCarriedOfAnyGraph(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		jobs, how := graph(rng)
		d := begin(t, jobs...)
		d.goes(how)
		if d.run.State == pipeline.RunSucceeded {
			continue
		}
		next := d.retry("S")
		for _, s := range jobs {
			was, is := d.run.Job(key(s)), next.run.Job(key(s))
			may := was.State == pipeline.Succeeded
			for _, n := range jobs {
				if slices.Contains(s.Needs, n.ID) {
					may = may && next.run.Job(key(n)).Carried != nil
				}
			}
			if (is.Carried != nil) != may {
				t.Fatalf("seed %d: %s, which was %s, is carried over: %v", seed, is.Key, was.State, !may)
			}
			if may && (is.State != pipeline.Succeeded || !maps.Equal(is.Outputs, was.Outputs)) {
				t.Fatalf("seed %d: carried over as %+v", seed, is)
			}
		}
		next.goes(nil)
		if next.run.State != pipeline.RunSucceeded {
			t.Fatalf("seed %d: the new run is %s: %s", seed, next.run.State, next.run.Reason)
		}
		for _, j := range next.run.Jobs {
			if ran := len(j.Attempts) == 1; ran == (j.Carried != nil) {
				t.Fatalf("seed %d: %s ran %d times", seed, j.Key, len(j.Attempts))
			}
		}
	}
}

func key(s pipeline.JobSpec) events.JobKey {
	if s.Key == "" {
		return events.JobKey(s.ID)
	}
	return s.Key
}

// graph draws jobs, some of a matrix, some that run whatever was, and how they end.
func graph(rng *rand.Rand) ([]pipeline.JobSpec, map[events.JobKey]events.Verdict) {
	var jobs []pipeline.JobSpec
	var ids []string
	how := map[events.JobKey]events.Verdict{}
	for i := range 1 + rng.IntN(6) {
		id := fmt.Sprintf("j%d", i)
		var needs []string
		for _, n := range ids {
			if rng.IntN(3) == 0 {
				needs = append(needs, n)
			}
		}
		cells := []pipeline.JobSpec{job(id, needs...)}
		if rng.IntN(4) == 0 {
			cells = []pipeline.JobSpec{cell(id, 0, needs...), cell(id, 1, needs...)}
		}
		for _, c := range cells {
			if rng.IntN(4) == 0 {
				c.If = &expression.Node{Op: expression.Call, Name: "always"}
			}
			if rng.IntN(4) == 0 {
				how[key(c)] = events.Failed
			}
			jobs = append(jobs, c)
		}
		ids = append(ids, id)
	}
	return jobs, how
}
