package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// runPage is a run.
type runPage struct {
	client.Run
	Look      look
	Says      string
	Graph     graph
	Groups    []jobGroup
	Failed    int // jobs that did not succeed
	Approvals []jobRow
	Axis      []tick
	Took      time.Duration
	Notes     []note
	Views     []filterLink // of the jobs
	Fall      *waterfall   // instead of the list of jobs
}

// jobGroup is a job, or the jobs of a matrix.
type jobGroup struct {
	ID     string
	Matrix bool
	Open   bool
	Look   look
	Note   string
	Jobs   []jobRow
}

// jobRow is a job in the list of a run.
type jobRow struct {
	client.Job
	Look    look
	Says    string
	Until   time.Time
	Passed  []passed
	Before  []string
	Took    time.Duration
	Waited  time.Duration
	Started time.Time
	Bar     bar
	HasLog  bool
}

// passed is a node that was passed over, and why.
type passed struct{ Node, Reason string }

// bar is where a job's time stands on the run's axis, in thousandths of it.
type bar struct {
	Wait, WaitLen, Run, RunLen int
	Live                       bool
}

// tick is a mark of the axis.
type tick struct {
	At   int
	Word string
}

// note is an annotation of a step.
type note struct {
	Job, Step, Level, Title, Message, Where string
}

// showRun shows a run with its jobs.
func (c *Console) showRun(r *http.Request) (view, error) {
	p, err := c.gatherRun(r.Context(), r.PathValue("run"))
	if err != nil {
		return view{}, err
	}
	const byTime = "waterfall"
	shown := r.URL.Query().Get("view")
	p.Views = []filterLink{{"Jobs", "/runs/" + p.ID, shown != byTime}, {"Waterfall", "/runs/" + p.ID + "?view=" + byTime, shown == byTime}}
	if shown == byTime {
		if p.Fall, err = c.drawWaterfall(r.Context(), r, &p); err != nil {
			return view{}, err
		}
	}
	title := p.Look.Word + " · " + cmp.Or(p.Pipeline, short(p.ID))
	live := "run=" + p.ID
	if p.Final() {
		live = ""
	}
	return view{Page: "run", Title: title, Tab: "runs", Live: live, Data: p}, nil
}

func (c *Console) gatherRun(ctx context.Context, id string) (runPage, error) {
	run, err := c.api.Run(ctx, id)
	if err != nil {
		return runPage{}, err
	}
	p := runPage{Run: run, Look: summaryLook(run.RunSummary), Graph: drawGraph(run), Took: c.took(run.RunSummary)}
	why := map[string]client.JobExplanation{}
	if x, err := c.api.Explain(ctx, id); err == nil { // the page stands without it
		p.Says = x.Says
		for _, j := range x.Jobs {
			why[j.ID] = j
		}
	}
	end := cmp.Or(run.Ended, c.Now())
	for _, j := range run.Jobs {
		row := c.jobRow(j, why[j.ID], run.Requested, end)
		if j.Approval {
			p.Approvals = append(p.Approvals, row)
		}
		if cl := row.Look.Class; j.Final() && (cl == "bad" || cl == "infra" || cl == "off") {
			p.Failed++
		}
		p.add(row)
		p.Notes = append(p.Notes, notes(j)...)
	}
	for i := range p.Groups {
		p.Groups[i].sum()
	}
	p.Axis = axis(end.Sub(run.Requested))
	return p, nil
}

// took is how long a run took, or has taken so far.
func (c *Console) took(r client.RunSummary) time.Duration {
	return cmp.Or(r.Ended, c.Now()).Sub(r.Requested)
}

// says tells why a job stands where it stands.
func (c *Console) says(why client.JobExplanation) string {
	if why.Starts.IsZero() {
		return why.Says
	}
	return why.Says + "; starts " + roughly(why.Starts.Sub(c.Now()))
}

func (c *Console) jobRow(j client.Job, why client.JobExplanation, from, end time.Time) jobRow {
	row := jobRow{Job: j, Look: jobLook(j), Says: c.says(why), Until: why.Until, Before: why.Before, HasLog: len(j.Attempts) > 0 || j.CarriedFrom != ""}
	if len(why.Passed) > client.MostNamed {
		for _, n := range why.Passed {
			row.Passed = append(row.Passed, passed{string(n.Node), n.Reason})
		}
	}
	if j.Final() && row.Look.Class == "ok" {
		row.Says = ""
	}
	if j.CarriedFrom != "" {
		row.Says = j.Reason
	}
	asked, started, ended := jobTimes(j)
	row.Started = started
	row.Bar.Live = ended.IsZero() && !asked.IsZero()
	until := cmp.Or(ended, end)
	if !asked.IsZero() {
		row.Waited = cmp.Or(started, until).Sub(asked)
		row.Bar.Wait, row.Bar.WaitLen = place(asked, cmp.Or(started, until), from, end)
	}
	if !started.IsZero() {
		row.Took = until.Sub(started)
		row.Bar.Run, row.Bar.RunLen = place(started, until, from, end)
	}
	return row
}

// place gives start and length of a stretch in thousandths of the axis; what
// was, is seen.
func place(a, b, from, to time.Time) (at, length int) {
	whole := max(to.Sub(from), time.Millisecond)
	at = min(max(int(a.Sub(from)*1000/whole), 0), 1000)
	length = min(max(int(b.Sub(a)*1000/whole), 4), 1000-at)
	return at, max(length, 0)
}

// axis marks a length of time in a few round steps.
func axis(whole time.Duration) []tick {
	steps := []time.Duration{
		time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
		2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
	}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if whole/s <= 5 {
			step = s
			break
		}
	}
	var out []tick
	for d := time.Duration(0); d <= whole && len(out) < 12; d += step {
		out = append(out, tick{int(d * 1000 / max(whole, 1)), tickWord(d)})
	}
	return out
}

func tickWord(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d >= time.Second && d < time.Minute, d < time.Hour && d%time.Minute == 0, d%time.Hour == 0:
		return coarse(d)
	}
	return span(d)
}

// add puts a job with those of its matrix.
func (p *runPage) add(row jobRow) {
	id := base(string(row.Key))
	if n := len(p.Groups); n > 0 && p.Groups[n-1].ID == id {
		p.Groups[n-1].Jobs = append(p.Groups[n-1].Jobs, row)
		return
	}
	p.Groups = append(p.Groups, jobGroup{ID: id, Matrix: id != string(row.Key), Jobs: []jobRow{row}})
}

// sum says how the jobs of a matrix stand together. It is folded while there is
// nothing to see.
func (g *jobGroup) sum() {
	n := &node{ID: g.ID}
	for _, r := range g.Jobs {
		n.Jobs = append(n.Jobs, r.Job)
	}
	n.describe()
	g.Look, g.Note = n.Look, n.Note
	g.Open = !g.Matrix || len(g.Jobs) <= 3 || g.Look.Class == "bad" || g.Look.Class == "infra" || g.Look.Class == "ask"
}

// notes are what the steps of a job pointed people at.
func notes(j client.Job) []note {
	var out []note
	for _, st := range j.Steps {
		for _, a := range st.Annotations {
			n := note{Job: string(j.Key), Step: st.Name, Level: a.Level, Title: a.Title, Message: a.Message, Where: a.File}
			if n.Where != "" && a.Line > 0 {
				n.Where += fmt.Sprintf(":%d", a.Line)
			}
			out = append(out, n)
		}
	}
	return out
}
