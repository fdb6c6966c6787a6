package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// capacityPage is what there is to run on.
type capacityPage struct {
	Pools  []poolView
	Past   past
	Choice []filterLink // of how far back it goes
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
	Busy   []column // instead of lanes that were too many
}

// meter is how much of something is taken.
type meter struct {
	Name, Says string
	Permille   int
	Full       bool
}

// showCapacity shows the nodes.
func (c *Console) showCapacity(r *http.Request) (view, error) {
	list, err := c.api.Nodes(r.Context())
	if err != nil {
		return view{}, err
	}
	var p capacityPage
	var long time.Duration
	p.Choice, long = stretchLinks(r)
	p.Past = c.lookBack(r.Context(), long)
	for _, pool := range list.Pools {
		v := poolView{Pool: pool}
		for _, n := range pool.Nodes {
			node := nodeView{Node: n, Meters: meters(n)}
			node.Lanes, node.Busy = p.Past.of(n, string(pool.ID))
			v.Nodes = append(v.Nodes, node)
		}
		p.Pools = append(p.Pools, v)
	}
	live := "all=1"
	if long > 0 { // too much to look through whenever something happens
		live = ""
	}
	return view{Page: "capacity", Title: "Capacity", Tab: "capacity", Live: live, Data: p}, nil
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
