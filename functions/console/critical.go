package console

import (
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// part is what of a run's time went into one thing.
type part struct {
	Class   string
	Name    string
	Took    time.Duration
	Percent int
	At, Len int // thousandths of the bar
}

// critical finds the jobs that the run's end hung on: the one that ended last, of
// what it needs the one that ended last, and so on. Of their time it says what it
// went into; what is left lies between them. It gives the keys of the jobs.
func (f *waterfall) critical(run client.Run, jobs map[string]*jobSpans) map[string]bool {
	path := map[string]bool{}
	spent := map[phase]int64{}
	byID := map[string][]client.Job{}
	for _, j := range run.Jobs {
		byID[base(string(j.Key))] = append(byID[base(string(j.Key))], j)
	}
	next, ok := latest(run.Jobs, jobs)
	for ok && !path[string(next.Key)] {
		path[string(next.Key)] = true
		f.Path = append([]string{string(next.Key)}, f.Path...)
		jobs[string(next.Key)].spend(spent)
		var needs []client.Job
		for _, id := range next.Needs {
			needs = append(needs, byID[base(id)]...)
		}
		next, ok = latest(needs, jobs)
	}
	f.parts(run, spent)
	return path
}

// latest is the job that ended last; one that goes on comes after all that ended,
// and of these the one that was asked for first.
func latest(of []client.Job, jobs map[string]*jobSpans) (last client.Job, found bool) {
	var best *jobSpans
	for _, j := range of {
		s := jobs[string(j.Key)]
		switch {
		case s == nil || j.State == "SKIPPED":
			continue
		case best == nil,
			s.span.Open && !best.span.Open,
			s.span.Open && best.span.Open && s.span.Offset < best.span.Offset,
			!s.span.Open && !best.span.Open && s.span.Offset+s.span.Millis > best.span.Offset+best.span.Millis:
			last, best, found = j, s, true
		}
	}
	return last, found
}

// spend adds up what a job's time went into.
func (j *jobSpans) spend(spent map[phase]int64) {
	if len(j.below) == 0 {
		spent[awaiting] += j.span.Millis
		return
	}
	for _, s := range j.below {
		switch j.phaseOf(s) {
		case running:
			spent[running] += s.Millis
		case starting: // a part of the worker's time
			spent[starting] += s.Millis
			spent[running] -= s.Millis
		case queued:
			spent[queued] += s.Millis
		}
	}
}

var partNames = []struct {
	of   phase
	name string
}{
	{queued, "Waiting for capacity"},
	{starting, "Starting workers"},
	{running, "Running steps"},
	{awaiting, "Waiting for approval or events"},
	{between, "Between jobs and attempts"},
}

// parts makes the bar of what was spent, out of all the time of the run.
func (f *waterfall) parts(run client.Run, spent map[phase]int64) {
	total := f.whole
	for _, s := range f.Top {
		if s.Name == run.Pipeline {
			total = max(s.Took.Milliseconds(), 1)
		}
	}
	sum := int64(0)
	for _, n := range spent {
		sum += n
	}
	spent[between] = max(total-sum, 0)
	total = max(total, sum)
	at := 0
	for _, p := range partNames {
		n := max(spent[p.of], 0)
		if n == 0 || p.of == between && n*100 < total {
			continue
		}
		length := min(int(n*1000/total), 1000-at)
		f.Parts = append(f.Parts, part{Class: string(p.of), Name: p.name, Took: time.Duration(n) * time.Millisecond, Percent: int((n*200/total + 1) / 2), At: at, Len: length})
		at += length
	}
}
