package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// capacityPage is what there is to run on.
type capacityPage struct {
	Pools []poolView
	Hours string // how far back the lanes go
	Axis  []tick
}

// poolView is a pool with its nodes.
type poolView struct {
	client.Pool
	Nodes []nodeView
}

// nodeView is a node: what of it is taken, and by whom since when.
type nodeView struct {
	client.Node
	Meters []meter
	Lanes  [][]stay // one above the other, so that none overlap
}

// meter is how much of something is taken.
type meter struct {
	Name, Says string
	Permille   int
	Full       bool
}

// stay is an attempt on a node, in thousandths of the time shown.
type stay struct {
	At, Len int
	Look    look
	Job     string
	Says    string

	from, to time.Time
}

// windows are how far back the lanes may go: as far as there is something.
var windows = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}

// showCapacity shows the nodes.
func (c *Console) showCapacity(r *http.Request) (view, error) {
	list, err := c.api.Nodes(r.Context())
	if err != nil {
		return view{}, err
	}
	stays, from := c.stays(r.Context())
	now := c.Now()
	p := capacityPage{Hours: coarse(now.Sub(from)), Axis: backwards(now.Sub(from))}
	for _, pool := range list.Pools {
		v := poolView{Pool: pool}
		for _, n := range pool.Nodes {
			v.Nodes = append(v.Nodes, nodeView{Node: n, Meters: meters(n), Lanes: lanes(stays[string(pool.ID)+"/"+string(n.ID)])})
		}
		p.Pools = append(p.Pools, v)
	}
	return view{Page: "capacity", Title: "Capacity", Tab: "capacity", Live: "all=1", Data: p}, nil
}

// meters show what of a node is taken.
func meters(n client.Node) []meter {
	var out []meter
	add := func(name string, all, free int64, show func(int64) string) {
		if all <= 0 {
			return
		}
		used := all - free
		out = append(out, meter{Name: name, Says: show(used) + " of " + show(all), Permille: int(min(max(used*1000/all, 0), 1000)), Full: free <= 0})
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	add("slots", n.Capacity.Slots, n.Free.Slots, count)
	add("cores", n.Capacity.CPU, n.Free.CPU, cores)
	add("memory", n.Capacity.Memory, n.Free.Memory, size)
	add("GPUs", n.Capacity.GPU, n.Free.GPU, count)
	return out
}

// mostStays is how many of the latest jobs are looked through for the lanes.
const mostStays = 300

// stays are the latest jobs on each node, by pool and node.
func (c *Console) stays(ctx context.Context) (map[string][]stay, time.Time) {
	now := c.Now()
	from := now.Add(-windows[0])
	list, err := c.api.Jobs(ctx, client.JobFilter{}, mostStays, "")
	if err != nil {
		return nil, from // the page stands without them
	}
	for _, w := range windows {
		for _, j := range list.Jobs {
			if !j.Started.IsZero() && j.Started.After(now.Add(-w)) && j.Started.Before(from) {
				from = now.Add(-w)
			}
		}
	}
	out := map[string][]stay{}
	for _, j := range list.Jobs {
		s := stay{from: j.Started, to: cmp.Or(j.Ended, now), Look: verdictLook(j.State, j.Verdict), Job: j.ID}
		if j.Node == "" || s.from.IsZero() || s.to.Before(from) {
			continue
		}
		s.At, s.Len = place(later(s.from, from), s.to, from, now)
		s.Says = cmp.Or(j.Name, string(j.Key)) + " of " + j.Pipeline + ", " + s.Look.Word + ", " + span(s.to.Sub(s.from))
		at := string(j.Pool) + "/" + string(j.Node)
		out[at] = append(out[at], s)
	}
	return out, from
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
