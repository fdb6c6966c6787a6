package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// past is what ran on the nodes in a stretch of time.
type past struct {
	Says  string // how long it is
	Axis  []tick
	Cut   time.Time // jobs before that are not shown; zero: all are
	AsOf  time.Time // it does not follow what happens; zero: it does
	from  time.Time
	until time.Time
	stays map[string][]stay // by pool and node
}

// stay is an attempt on a node, in thousandths of the time shown.
type stay struct {
	At, Len int
	Look    look
	Job     string
	Says    string

	from, to time.Time
}

// column is how busy a node was for a part of the time shown.
type column struct {
	At, Len     int
	Top, Height int // pixels
	Says        string
}

const (
	// mostStays is how many of the latest jobs the page that lives looks through.
	mostStays = 300
	// mostPast are looked through for a stretch that was asked for, pastPage of
	// them at a time.
	mostPast = 3000
	pastPage = 500
	// mostLanes of a node are drawn job by job; of more there are columns.
	mostLanes = 150
	fewLanes  = 4
	columns   = 96
	// columnsHigh is the height of their picture, in pixels.
	columnsHigh = 64
	// longest is how long before a stretch a run may have been asked for whose jobs
	// are in it: as long as a job may take unless it says otherwise.
	longest = 6 * time.Hour
)

// windows are how far back the page that lives goes: as far as there is something.
var windows = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}

// stretches can be asked for.
var stretches = []struct {
	word string
	long time.Duration
}{{"Live", 0}, {"1 h", time.Hour}, {"6 h", 6 * time.Hour}, {"24 h", 24 * time.Hour}}

// stretchLinks are the choices, and what is chosen.
func stretchLinks(r *http.Request) (links []filterLink, chosen time.Duration) {
	last := r.URL.Query().Get("last")
	for _, s := range stretches {
		value := ""
		if s.long > 0 {
			value = fmt.Sprintf("%dh", s.long/time.Hour)
		}
		on := value == last
		if on {
			chosen = s.long
		}
		links = append(links, filterLink{s.word, address("/capacity", "last", value), on})
	}
	return links, chosen
}

// lookBack gathers what ran in the latest stretch of a length; 0: as far back as
// the newest jobs lead.
func (c *Console) lookBack(ctx context.Context, long time.Duration) past {
	now := c.Now()
	p := past{until: now, from: now.Add(-long)}
	var jobs []client.JobSummary
	if long == 0 {
		list, err := c.api.Jobs(ctx, client.JobFilter{}, mostStays, "")
		if err == nil { // the page stands without them
			jobs = list.Jobs
		}
		p.from = now.Add(-windows[0])
		for _, w := range windows {
			for _, j := range jobs {
				if !j.Started.IsZero() && j.Started.After(now.Add(-w)) && j.Started.Before(p.from) {
					p.from = now.Add(-w)
				}
			}
		}
	} else {
		jobs, p.Cut = c.pastJobs(ctx, p.from)
		p.AsOf = now
	}
	p.Says, p.Axis = coarse(now.Sub(p.from)), backwards(now.Sub(p.from))
	p.stays = p.place(jobs)
	return p
}

// pastJobs are the jobs of the runs since shortly before a time, newest first; cut
// is set where there are more, and how far those go back.
func (c *Console) pastJobs(ctx context.Context, from time.Time) (jobs []client.JobSummary, cut time.Time) {
	f := client.JobFilter{}
	f.Since = from.Add(-longest)
	for cursor := ""; ; {
		list, err := c.api.Jobs(ctx, f, pastPage, cursor)
		if err != nil {
			return jobs, c.Now() // of the rest nothing is known
		}
		jobs = append(jobs, list.Jobs...)
		if cursor = list.Next; cursor == "" {
			return jobs, time.Time{}
		}
		if len(jobs) >= mostPast {
			return jobs, later(jobs[len(jobs)-1].Requested, from)
		}
	}
}

// place puts jobs on their nodes.
func (p *past) place(jobs []client.JobSummary) map[string][]stay {
	out := map[string][]stay{}
	for _, j := range jobs {
		s := stay{from: j.Started, to: cmp.Or(j.Ended, p.until), Look: verdictLook(j.State, j.Verdict), Job: j.ID}
		if j.Node == "" || s.from.IsZero() || s.to.Before(p.from) {
			continue
		}
		s.At, s.Len = place(later(s.from, p.from), s.to, p.from, p.until)
		s.Says = cmp.Or(j.Name, string(j.Key)) + " of " + j.Pipeline + ", " + s.Look.Word + ", " + span(s.to.Sub(s.from))
		at := string(j.Pool) + "/" + string(j.Node)
		out[at] = append(out[at], s)
	}
	return out
}

// of is what ran on a node: lanes or, of much, columns.
func (p *past) of(n client.Node, pool string) (rows [][]stay, busy []column) {
	all := p.stays[pool+"/"+string(n.ID)]
	if len(all) <= mostLanes {
		// More lanes than fit side by side: they are too short to be told apart.
		if rows = lanes(all); p.AsOf.IsZero() || len(rows) <= max(int(n.Capacity.Slots), fewLanes) {
			return rows, nil
		}
	}
	return nil, p.columns(all, n.Capacity.Slots)
}

// columns say how many jobs ran at a time, on average.
func (p *past) columns(all []stay, slots int64) []column {
	step := p.until.Sub(p.from) / columns
	var ran [columns]time.Duration
	for _, s := range all {
		first := max(int(s.from.Sub(p.from)/step), 0)
		last := min(int(s.to.Sub(p.from)/step), columns-1)
		for i := first; i <= last; i++ {
			a, b := p.from.Add(time.Duration(i)*step), p.from.Add(time.Duration(i+1)*step)
			if s.to.Before(b) {
				b = s.to
			}
			ran[i] += max(b.Sub(later(a, s.from)), 0)
		}
	}
	top := float64(slots)
	for _, d := range ran {
		top = max(top, float64(d)/float64(step))
	}
	var out []column
	for i, d := range ran {
		if d == 0 {
			continue
		}
		busy := float64(d) / float64(step)
		high := max(int(busy/max(top, 1)*columnsHigh), 3)
		says := fmt.Sprintf("%s to %s: %.1f jobs on average", p.from.Add(time.Duration(i)*step).UTC().Format("15:04"), p.from.Add(time.Duration(i+1)*step).UTC().Format("15:04"), busy)
		out = append(out, column{At: i * 1000 / columns, Len: 1000/columns - 1, Top: columnsHigh - high, Height: high, Says: says})
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lanes puts stays into as few rows as keep them apart.
func lanes(all []stay) [][]stay {
	slices.SortFunc(all, func(a, b stay) int { return a.from.Compare(b.from) })
	var out [][]stay
next:
	for _, s := range all {
		for i, lane := range out {
			if last := lane[len(lane)-1]; last.At+last.Len <= s.At {
				out[i] = append(lane, s)
				continue next
			}
		}
		out = append(out, []stay{s})
	}
	return out
}

// backwards marks an axis that ends now.
func backwards(whole time.Duration) []tick {
	ticks := axis(whole)
	for i := range ticks {
		ticks[i].At = 1000 - ticks[i].At
		if i == 0 {
			ticks[i].Word = "now"
		}
	}
	return ticks
}
