package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// waterfall is a run's trace as bars on one axis, job by job.
type waterfall struct {
	Top    []spanRow // what led to the run, and the run
	Groups []fallGroup
	Parts  []part
	Path   []string // the jobs of the critical path
	Axis   []tick
	Trace  string
	Gone   bool // it is not kept any more

	start time.Time
	whole int64 // milliseconds
}

// fallGroup is a job, or the jobs of a matrix.
type fallGroup struct {
	jobGroup
	Span  spanRow // from the first of its jobs to the last
	Falls []fall
}

// fall is the bars of a job.
type fall struct {
	client.Job
	Look     look
	Span     spanRow
	Segments []stretch
	Rows     []spanRow
	More     string // address of the page that shows its rows; empty: this one does
	Critical bool
	Open     bool
}

// stretch is a phase of a job, in thousandths of the axis.
type stretch struct {
	Class   string
	At, Len int
}

// spanRow is a span in a line.
type spanRow struct {
	Name, Note string
	Class      string // of its bar
	Look       look
	Depth      int
	At, Len    int
	Offset     time.Duration
	Took       time.Duration
	Since      time.Time // where it goes on: when it began
	Log        string
}

// Says is a row in words, for who cannot see its bar.
func (s spanRow) Says() string {
	if s.Since.IsZero() {
		return fmt.Sprintf("%s: starts after %s", s.Look.Word, span(s.Offset))
	}
	return fmt.Sprintf("%s: started after %s, goes on", s.Look.Word, span(s.Offset))
}

const (
	// mostSpans are shown in one page; of a run with more, those of jobs that
	// failed, run, or were asked for.
	mostSpans = 800
	// mostOpened are the jobs of such a run that show theirs.
	mostOpened = 20
)

// drawWaterfall places a run's spans.
func (c *Console) drawWaterfall(ctx context.Context, r *http.Request, p *runPage) (*waterfall, error) {
	w, err := c.api.Waterfall(ctx, p.ID)
	if errors.Is(err, client.ErrNotFound) { // the run is there: its trace was not kept so long
		return &waterfall{Gone: true}, nil
	}
	if err != nil {
		return nil, err
	}
	f := &waterfall{start: w.Start, whole: max(w.Millis, 1), Trace: w.Trace}
	f.Axis = axis(time.Duration(f.whole) * time.Millisecond)
	jobs := map[string]*jobSpans{}
	byID := map[string]*jobSpans{}
	for _, s := range w.Spans {
		key, _ := s.Attributes["relevo.job.key"].(string)
		switch of := byID[s.Parent]; {
		case key != "":
			j := &jobSpans{key: key, span: s}
			jobs[key], byID[s.ID] = j, j
		case of != nil:
			of.below = append(of.below, s)
			byID[s.ID] = of
		default:
			f.Top = append(f.Top, f.top(s, p))
		}
	}
	c.addLiveSteps(ctx, &p.Run, f.start, jobs)
	path := f.critical(p.Run, jobs)
	opened, large := 0, len(w.Spans) > mostSpans
	for _, g := range p.Groups {
		group := fallGroup{jobGroup: g}
		group.Open = g.Open && len(g.Jobs) <= mostOpened
		for _, row := range g.Jobs {
			one := f.job(row, jobs[string(row.Key)])
			one.Critical = path[string(row.Key)]
			asked := r.URL.Query().Get("job") == string(row.Key)
			if one.Open = one.Open || asked; asked {
				group.Open = true
			}
			wanted := asked || (one.Open || one.Look.Class == "run") && opened < mostOpened
			if wanted {
				opened++
			}
			if large && !wanted && len(one.Rows) > 0 {
				one.Rows, one.Open = nil, false
				one.More = "/runs/" + p.ID + "?view=waterfall&job=" + string(row.Key) + "#fall-" + string(row.Key)
			}
			group.Falls = append(group.Falls, one)
		}
		group.Span = f.together(group)
		f.Groups = append(f.Groups, group)
	}
	return f, nil
}

// together is the bar of the jobs of a matrix.
func (f *waterfall) together(g fallGroup) spanRow {
	var all client.WaterfallSpan
	all.Offset = -1
	end := int64(0)
	for _, one := range g.Falls {
		if one.Span.Len == 0 {
			continue
		}
		offset := one.Span.Offset.Milliseconds()
		if all.Offset < 0 || offset < all.Offset {
			all.Offset = offset
		}
		end = max(end, offset+one.Span.Took.Milliseconds())
		all.Open = all.Open || !one.Span.Since.IsZero()
	}
	if all.Offset < 0 {
		return spanRow{}
	}
	all.Millis = end - all.Offset
	return f.row(all, "c-"+g.Look.Class, g.Look)
}

// jobSpans are a job's span and those below it.
type jobSpans struct {
	key   string
	span  client.WaterfallSpan
	below []client.WaterfallSpan
}

// phase is what a job's time goes into.
type phase string

const (
	queued   phase = "b-wait"
	starting phase = "b-start"
	running  phase = "b-steps"
	awaiting phase = "b-await"
	between  phase = "b-rest"
)

// phaseOf tells a span's by what it says of itself: a step may have any name.
func (j *jobSpans) phaseOf(s client.WaterfallSpan) phase {
	switch {
	case s.Attributes["relevo.fence"] != nil:
		return running // a worker, from its start on
	case s.Attributes["cicd.pipeline.task.run.id"] != nil:
		return ""
	case s.Parent == j.span.ID:
		return queued
	}
	return starting
}

// place puts a span on the axis.
func (f *waterfall) place(s client.WaterfallSpan) (at, length int) {
	at = int(min(max(s.Offset, 0)*1000/f.whole, 998))
	return at, int(min(max(s.Millis*1000/f.whole, 2), int64(1000-at)))
}

func (f *waterfall) row(s client.WaterfallSpan, class string, l look) spanRow {
	row := spanRow{Name: s.Name, Class: class, Look: l, Offset: time.Duration(s.Offset) * time.Millisecond, Took: time.Duration(s.Millis) * time.Millisecond}
	row.At, row.Len = f.place(s)
	if s.Open {
		row.Since = f.start.Add(row.Offset)
	}
	return row
}

// top is a row above the jobs.
func (f *waterfall) top(s client.WaterfallSpan, p *runPage) spanRow {
	l := stateLook("done")
	if s.Failed {
		l = stateLook("refused")
	}
	if id, ok := s.Attributes["cicd.pipeline.run.id"]; ok {
		l = p.Look
		row := f.row(s, "c-"+l.Class, l)
		row.Name = cmp.Or(p.Pipeline, fmt.Sprint(id))
		return row
	}
	row := f.row(s, "b-start", l)
	if id, ok := s.Attributes["relevo.delivery.id"].(string); ok {
		row.Log = "/triggers/" + id
	}
	return row
}

// job makes the bars of a job.
func (f *waterfall) job(of jobRow, spans *jobSpans) fall {
	one := fall{Job: of.Job, Look: of.Look}
	one.Open = one.Look.Class == "bad" || one.Look.Class == "infra"
	if spans == nil {
		return one
	}
	class := "c-" + one.Look.Class
	one.Span = f.row(spans.span, class, one.Look)
	if len(spans.below) == 0 && one.Look.Class != "skip" {
		at, length := f.place(spans.span)
		one.Segments = append(one.Segments, stretch{string(awaiting), at, length})
	}
	for _, s := range spans.below {
		at, length := f.place(s)
		switch spans.phaseOf(s) {
		case queued:
			row := f.row(s, string(queued), look{"wait", "Queued"})
			row.Name = "Waiting for capacity"
			if pool, _ := s.Attributes["relevo.pool"].(string); pool != "" {
				row.Note = "pool " + pool
			}
			one.Rows = append(one.Rows, row)
			one.Segments = append(one.Segments, stretch{string(queued), at, length})
		case starting:
			row := f.row(s, string(starting), look{"wait", "Starting"})
			if s.Open {
				row.Look = stateLook("LAUNCHED")
			}
			row.Name, row.Depth = "Starting the worker", 1
			row.Note, _ = s.Attributes["relevo.preparing"].(string)
			one.Rows = append(one.Rows, row)
			one.Segments = append(one.Segments, stretch{string(starting), at, length})
		case running:
			row, l := f.attempt(of.Job, s)
			one.Rows = append(one.Rows, row)
			one.Segments = append(one.Segments, stretch{"c-" + l.Class, at, length})
		default:
			conclusion, _ := s.Attributes["relevo.step.conclusion"].(string)
			l := stateLook(cmp.Or(conclusion, "RUNNING"))
			row := f.row(s, "c-"+l.Class, l)
			row.Depth = 1
			one.Rows = append(one.Rows, row)
		}
	}
	return one
}

// attempt is the row of a try at a job on its worker.
func (f *waterfall) attempt(j client.Job, s client.WaterfallSpan) (spanRow, look) {
	number := 1
	if n, ok := s.Attributes["relevo.attempt"].(float64); ok {
		number = int(n)
	}
	l := stateLook("RUNNING")
	for _, a := range j.Attempts {
		if a.Number == number {
			l = verdictLook(a.State, a.Verdict)
		}
	}
	row := f.row(s, "c-"+l.Class, l)
	row.Name = "Attempt " + strconv.Itoa(number)
	provider, _ := s.Attributes["relevo.provider"].(string)
	node, _ := s.Attributes["cicd.worker.name"].(string)
	row.Note = strings.TrimSpace(provider + " on " + node)
	if node == "" {
		row.Note = provider
	}
	if l.Class == "bad" || l.Class == "infra" {
		row.Note = strings.Trim(row.Note+" · "+s.Message, "· ")
	}
	row.Log = fmt.Sprintf("/jobs/%s?attempt=%d", j.ID, number)
	return row, l
}
