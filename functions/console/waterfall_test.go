package console

import (
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// traced is a run of two jobs, one after the other, as spans: the first waited for 2 s,
// its worker started for 1 s and it ran for 5 s; the second ran from 9 s to 10 s.
func traced() (client.Run, []client.WaterfallSpan) {
	run := client.Run{Jobs: []client.Job{
		{Key: "a", State: "SUCCEEDED", Attempts: []client.Attempt{{Number: 1, State: "SUCCEEDED"}}},
		{Key: "aside", State: "SUCCEEDED"},
		{Key: "b", State: "SUCCEEDED", Needs: []string{"a", "aside"}, Attempts: []client.Attempt{{Number: 1, State: "SUCCEEDED"}}},
	}}
	run.Pipeline = "ci"
	is := func(pairs ...any) map[string]any {
		m, _ := dict(pairs...)
		return m
	}
	return run, []client.WaterfallSpan{
		{ID: "r", Name: "RUN ci", Millis: 10_000, Attributes: is("cicd.pipeline.run.id", "R")},
		{ID: "a", Parent: "r", Name: "a", Millis: 8000, Attributes: is("relevo.job.key", "a", "cicd.pipeline.task.run.id", "R.a")},
		{ID: "aq", Parent: "a", Name: "queued", Millis: 2000, Attributes: is("relevo.attempt", 1.0)},
		{ID: "aw", Parent: "a", Name: "worker docker", Offset: 2000, Millis: 6000, Attributes: is("relevo.fence", "1.1", "relevo.attempt", 1.0)},
		{ID: "al", Parent: "aw", Name: "launching", Offset: 2000, Millis: 1000, Attributes: is()},
		{ID: "as", Parent: "aw", Name: "queued", Offset: 3000, Millis: 5000, Attributes: is("cicd.pipeline.task.run.id", "R.a/1/0", "relevo.step.conclusion", "success")},
		{ID: "s", Parent: "r", Name: "aside", Millis: 7000, Attributes: is("relevo.job.key", "aside")},
		{ID: "b", Parent: "r", Name: "b", Offset: 9000, Millis: 1000, Attributes: is("relevo.job.key", "b")},
		{ID: "bw", Parent: "b", Name: "worker docker", Offset: 9000, Millis: 1000, Attributes: is("relevo.fence", "1.2", "relevo.attempt", 1.0)},
	}
}

func spansOf(all []client.WaterfallSpan) map[string]*jobSpans {
	jobs, byID := map[string]*jobSpans{}, map[string]*jobSpans{}
	for _, s := range all {
		if key, ok := s.Attributes["relevo.job.key"].(string); ok {
			jobs[key] = &jobSpans{key: key, span: s}
			byID[s.ID] = jobs[key]
		} else if of := byID[s.Parent]; of != nil {
			of.below = append(of.below, s)
			byID[s.ID] = of
		}
	}
	return jobs
}

// TestCriticalPath: of what the last job needs the one that ended last is on it, and
// all the time of the run is accounted for.
func TestCriticalPath(t *testing.T) {
	run, spans := traced()
	f := &waterfall{whole: 10_000}
	path := f.critical(run, spansOf(spans))
	if !slices.Equal(f.Path, []string{"a", "b"}) || path["aside"] || !path["a"] {
		t.Errorf("the path is %v", f.Path)
	}
	want := map[string]time.Duration{"Waiting for capacity": 2 * time.Second, "Starting workers": time.Second, "Running steps": 6 * time.Second, "Between jobs and attempts": time.Second}
	for _, p := range f.Parts {
		if p.Took != want[p.Name] || p.Percent != int(p.Took/(100*time.Millisecond)) {
			t.Errorf("%s: %v, %d %%", p.Name, p.Took, p.Percent)
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		t.Errorf("nothing of %v", want)
	}
}

// TestFall: a job's bars are of what its time went into, and steps are told by what
// they are, whatever they are called.
func TestFall(t *testing.T) {
	run, spans := traced()
	f := &waterfall{whole: 10_000}
	one := f.job(jobRow{Job: run.Jobs[0], Look: jobLook(run.Jobs[0])}, spansOf(spans)["a"])
	var classes, names []string
	for _, s := range one.Segments {
		classes = append(classes, s.Class)
	}
	for _, r := range one.Rows {
		names = append(names, r.Name)
	}
	if !slices.Equal(classes, []string{"b-wait", "c-ok", "b-start"}) || !slices.Equal(names, []string{"Waiting for capacity", "Attempt 1", "Starting the worker", "queued"}) {
		t.Errorf("%v, %v", classes, names)
	}
	if s := one.Rows[3]; s.At != 300 || s.Len != 500 || s.Class != "c-ok" {
		t.Errorf("the step is at %d for %d, %s", s.At, s.Len, s.Class)
	}
	webhook := f.top(client.WaterfallSpan{Name: "webhook push", Millis: 40, Attributes: map[string]any{"relevo.delivery.id": "D"}}, &runPage{Run: run})
	if webhook.Log != "/triggers/D" || webhook.Class != "b-start" || webhook.Name != "webhook push" {
		t.Errorf("what led to the run is %+v", webhook)
	}
	if waits := f.job(jobRow{Job: client.Job{Key: "later"}}, nil); len(waits.Segments)+len(waits.Rows) > 0 {
		t.Errorf("a job that was not asked for has %v", waits)
	}
}
