package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// queuePage is everything that waits, by what it waits for.
type queuePage struct {
	Pools   []poolRow
	Persons []waitRow // for a yes or a no
	Others  []waitRow // for a time, another run, an event
	Needs   []waitRow // for other jobs of their runs
	Waiting int
	Older   bool // there are more than are shown
}

// poolRow is a pool with its queue.
type poolRow struct {
	client.PoolQueue
	Slots   int
	Rows    []offerRow
	Typical time.Duration // of a job; 0: not known
}

// offerRow is a job that waits for capacity.
type offerRow struct {
	client.Offer
	Key     string
	Run     string
	Reasons []passed
	Starts  string // about when; empty: nothing tells
}

// waitRow is a job that waits for something else.
type waitRow struct {
	Job, Run, Key, Pipeline string
	Look                    look
	Says                    string
	Until                   time.Time
}

// mostWaiting is how many jobs that wait for something else than capacity are
// shown.
const mostWaiting = 200

// showQueue shows what waits.
func (c *Console) showQueue(r *http.Request) (view, error) {
	queue, err := c.api.Queue(r.Context())
	if err != nil {
		return view{}, err
	}
	var p queuePage
	slots := c.slots(r.Context())
	for _, q := range queue.Pools {
		row := poolRow{PoolQueue: q, Slots: slots[q.ID], Typical: time.Duration(q.Typical * float64(time.Second))}
		p.Waiting += q.Waiting
		for _, o := range q.Offers {
			row.Rows = append(row.Rows, offer(o, c.Now()))
		}
		p.Pools = append(p.Pools, row)
	}
	if err := c.gatherWaits(r.Context(), &p); err != nil {
		return view{}, err
	}
	return view{Page: "queue", Title: "Queue", Tab: "queue", Live: "all=1", Data: p}, nil
}

// slots are how many jobs each pool has room for side by side; none where that
// cannot be told.
func (c *Console) slots(ctx context.Context) map[events.PoolID]int {
	slots := map[events.PoolID]int{}
	nodes, err := c.api.Nodes(ctx)
	if err != nil {
		return slots
	}
	for _, pool := range nodes.Pools {
		for _, n := range pool.Nodes {
			if !n.Gone {
				slots[pool.ID] += int(n.Capacity.Slots)
			}
		}
	}
	return slots
}

func offer(o client.Offer, now time.Time) offerRow {
	row := offerRow{Offer: o, Key: jobKey(o.Job), Run: o.Job[:len(o.Job)-min(len(o.Job), len(jobKey(o.Job))+1)]}
	for _, p := range o.Passed {
		row.Reasons = append(row.Reasons, passed{string(p.Node), p.Reason})
	}
	if !o.Starts.IsZero() {
		row.Starts = roughly(o.Starts.Sub(now))
	}
	return row
}

// roughly is how far off something is, no finer than an estimate may say.
func roughly(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "any moment"
	case d < time.Minute:
		return fmt.Sprintf("in about %d s", (d+4*time.Second)/(5*time.Second)*5)
	case d < time.Hour:
		return fmt.Sprintf("in about %d min", (d+30*time.Second)/time.Minute)
	}
	return "in about " + plural(int((d+30*time.Minute)/time.Hour), "hour", "hours")
}

// gatherWaits adds the jobs that wait for something else than capacity, with
// what their runs say of them.
func (c *Console) gatherWaits(ctx context.Context, p *queuePage) error {
	list, err := c.api.Jobs(ctx, client.JobFilter{States: []string{"PENDING", "WAITING"}}, mostWaiting, "")
	if err != nil {
		return err
	}
	p.Older = list.Next != ""
	said := map[string]runSays{}
	for _, j := range list.Jobs {
		s, ok := said[j.Run]
		if !ok {
			s = c.waitsOf(ctx, j.Run)
			said[j.Run] = s
		}
		p.add(j, s.why[j.ID], s.approval[j.ID])
	}
	return nil
}

// runSays is what a run tells of its jobs, by their ids.
type runSays struct {
	why      map[string]client.JobExplanation
	approval map[string]bool
}

// waitsOf lets a run tell why its jobs wait; one that is gone has nothing to tell.
func (c *Console) waitsOf(ctx context.Context, run string) runSays {
	s := runSays{why: map[string]client.JobExplanation{}, approval: map[string]bool{}}
	if x, err := c.api.Explain(ctx, run); err == nil {
		for _, e := range x.Jobs {
			s.why[e.ID] = e
		}
	}
	if r, err := c.api.Run(ctx, run); err == nil {
		for _, j := range r.Jobs {
			s.approval[j.ID] = j.Approval
		}
	}
	return s
}

// add puts a job where what it waits for stands. One that waits for capacity
// stands in its pool's queue already.
func (p *queuePage) add(j client.JobSummary, why client.JobExplanation, approval bool) {
	row := waitRow{
		Job: j.ID, Run: j.Run, Key: cmp.Or(j.Name, string(j.Key)), Pipeline: j.Pipeline,
		Look: stateLook(j.State), Says: cmp.Or(why.Says, j.Reason), Until: why.Until,
	}
	switch {
	case approval:
		row.Look = stateLook("APPROVAL")
		p.Persons = append(p.Persons, row)
	case j.State == "WAITING":
		p.Needs = append(p.Needs, row)
		return
	case why.Pool == "":
		p.Others = append(p.Others, row)
	default:
		return
	}
	p.Waiting++
}
