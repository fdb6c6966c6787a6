// Package scheduling decides which job gets which capacity: pools of nodes, a
// queue of offers and the pure planner.
package scheduling

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Node is whatever can run workers: a Docker host, a Kubernetes node pool or
// quota, this machine.
type Node struct {
	events.CapacityUpdated
}

// Offer is one attempt of a job that waits for capacity.
type Offer struct {
	events.OfferCreated
	Queued  time.Time `json:"queued"`
	Expires time.Time `json:"expires"`
	// Order is the offer's place among those of its priority: lower first.
	Order uint64 `json:"order"`
	// Cause is the id of its offer.created event.
	Cause string `json:"cause"`
	// Trace is the traceparent of that event where the trace is not the run's own.
	Trace string `json:"trace,omitempty"`
}

// Held is the capacity of one live assignment.
type Held struct {
	events.AssignmentCreated
	Since time.Time `json:"since"`
	// Cause is the id of its assignment.created event.
	Cause string `json:"cause"`
	// Trace is the traceparent of that event where the trace is not the run's own.
	Trace string `json:"trace,omitempty"`
}

// Score is how the planner chooses among the nodes that fit.
type Score string

// The scores.
const (
	// BestFit fills the node with the least room left first, so that large jobs
	// find room elsewhere.
	BestFit Score = "best-fit"
	// Spread takes the node with the most room left.
	Spread Score = "spread"
)

// Policy steers the planner.
type Policy struct {
	Score Score `json:"score,omitempty"` // BestFit when empty
	// Fixed pools get no further nodes: an offer that no node could take even
	// when idle is refused at once instead of waiting.
	Fixed bool `json:"fixed,omitempty"`
	// ReserveAfter bounds overtaking: once an offer waited that long, later
	// ones may not use the nodes that it could run on. Zero: 5 minutes.
	ReserveAfter time.Duration `json:"reserveAfter,omitempty"`
}

// Snapshot is what the planner sees.
type Snapshot struct {
	Now   time.Time
	Nodes []Node
	Held  []Held
}

// Placement gives an offer a node.
type Placement struct {
	Offer  Offer
	Node   Node
	Passed []events.NodeReason // the nodes passed over, with the reason for each
}

// Unplaced is an offer that has to wait, or (Never) need not.
type Unplaced struct {
	Offer   Offer
	Reasons []events.NodeReason
	Never   bool // no node could take it even when idle
}

// Plan is what the planner wants done.
type Plan struct {
	Placements []Placement
	Unplaced   []Unplaced
}

// reasons of the nodes' refusals that do not depend on what runs now.
const (
	reasonGone = "withdrawn"
)

// Make plans a queue (in the order of Before) over a snapshot. It is pure: the
// same arguments give the same plan.
func Make(s Snapshot, queue []Offer, policy Policy) Plan {
	free := Free(s)
	reserved := map[events.NodeID]Offer{}
	var plan Plan
	for _, o := range queue {
		best, passed, never := choose(s.Nodes, free, reserved, o, policy)
		if best == nil {
			plan.Unplaced = append(plan.Unplaced, Unplaced{Offer: o, Reasons: passed, Never: never})
			if !never && s.Now.Sub(o.Queued) >= cmp.Or(policy.ReserveAfter, 5*time.Minute) {
				reserve(s.Nodes, reserved, o)
			}
			continue
		}
		free[best.Node] = sub(free[best.Node], o.Requirements.Resources)
		plan.Placements = append(plan.Placements, Placement{Offer: o, Node: *best, Passed: passed})
	}
	return plan
}

// Free is what each node has left: declared less held. Held capacity of a node
// that is gone counts nowhere.
func Free(s Snapshot) map[events.NodeID]events.Resources {
	free := make(map[events.NodeID]events.Resources, len(s.Nodes))
	for _, n := range s.Nodes {
		free[n.Node] = n.Capacity
	}
	for _, h := range s.Held {
		if f, ok := free[h.Node]; ok {
			free[h.Node] = sub(f, h.Resources)
		}
	}
	return free
}

// Before is the order of the queue: priority first, then who came first.
func Before(a, b Offer) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Order, b.Order))
}

func choose(nodes []Node, free map[events.NodeID]events.Resources, reserved map[events.NodeID]Offer, o Offer, policy Policy) (*Node, []events.NodeReason, bool) {
	var best *Node
	var bestScore float64
	var passed []events.NodeReason
	never := true
	for i := range nodes {
		n := &nodes[i]
		reason := mismatch(n, o.Requirements)
		want := o.Requirements.Resources
		if m := scarce(n.Capacity, want); reason == "" && m != nil {
			reason = fmt.Sprintf("has %s %s in all, the job asks for %s", m.show(n.Capacity), m.unit, m.show(want))
		}
		if reason == "" {
			never = false
			if first, ok := reserved[n.Node]; ok {
				reason = fmt.Sprintf("kept for %s, which waits since %s", first.Name, first.Queued.Format(time.TimeOnly))
			} else if m := scarce(free[n.Node], want); m != nil {
				reason = fmt.Sprintf("has %s of %s %s free, the job asks for %s", m.show(free[n.Node]), m.show(n.Capacity), m.unit, m.show(want))
			}
		}
		if reason != "" {
			passed = append(passed, events.NodeReason{Node: n.Node, Reason: reason})
			continue
		}
		score := preference(n, o.Requirements) + fill(n, free[n.Node], o.Requirements.Resources, policy)
		if best == nil || score > bestScore {
			if best != nil {
				passed = append(passed, events.NodeReason{Node: best.Node, Reason: "fits less well"})
			}
			best, bestScore = n, score
			continue
		}
		passed = append(passed, events.NodeReason{Node: n.Node, Reason: "fits less well"})
	}
	return best, passed, never
}

// mismatch says why a node can never take a job; empty where it can.
func mismatch(n *Node, req events.Requirements) string {
	if n.Gone {
		return reasonGone
	}
	for _, l := range req.Labels {
		if !slices.Contains(n.Labels, l) {
			return fmt.Sprintf("lacks the label %q", l)
		}
	}
	for _, t := range n.Taints {
		if !slices.Contains(req.Tolerations, t) {
			return fmt.Sprintf("has the taint %q, which the job does not tolerate", t)
		}
	}
	if req.Affinity != nil {
		for _, k := range slices.Sorted(maps.Keys(req.Affinity.Required)) {
			if want := req.Affinity.Required[k]; n.Attributes[k] != want {
				return fmt.Sprintf("has %s=%q, the job requires %q", k, n.Attributes[k], want)
			}
		}
	}
	return ""
}

// measure is one of the resources, in words.
type measure struct {
	unit  string
	of    func(events.Resources) int64
	scale float64 // of what people count in
	parts float64 // of one of these, the smallest that is shown
}

var (
	cores  = &measure{"cores", func(r events.Resources) int64 { return r.CPU }, 1000, 1000}
	memory = &measure{"MiB of memory", func(r events.Resources) int64 { return r.Memory }, 1 << 20, 1}
	gpus   = &measure{"GPUs", func(r events.Resources) int64 { return r.GPU }, 1, 1}
	slots  = &measure{"worker slots", func(r events.Resources) int64 { return r.Slots }, 1, 1}
)

func (m *measure) show(r events.Resources) string {
	return strconv.FormatFloat(math.Round(float64(m.of(r))/m.scale*m.parts)/m.parts, 'f', -1, 64)
}

// scarce is the first resource that does not reach; nil where all do.
func scarce(have, want events.Resources) *measure {
	switch {
	case want.CPU > have.CPU:
		return cores
	case want.Memory > have.Memory:
		return memory
	case want.GPU > have.GPU:
		return gpus
	case want.Slots > have.Slots:
		return slots
	}
	return nil
}

// preference is the weight of the preferred attributes that the node has; it
// counts before packing, whose score is below 1.
func preference(n *Node, req events.Requirements) float64 {
	if req.Affinity == nil {
		return 0
	}
	sum := 0
	for _, p := range req.Affinity.Preferred {
		if n.Attributes[p.Key] == p.Value {
			sum += p.Weight
		}
	}
	return float64(sum)
}

// fill is how full the node would be, 0 to 1, as the mean over its resources.
func fill(n *Node, free, want events.Resources, policy Policy) float64 {
	left := sub(free, want)
	part := func(left, all int64) float64 {
		if all <= 0 {
			return 1
		}
		return 1 - float64(left)/float64(all)
	}
	full := (part(left.CPU, n.Capacity.CPU) + part(left.Memory, n.Capacity.Memory) + part(left.Slots, n.Capacity.Slots)) / 3
	if policy.Score == Spread {
		return (1 - full) * 0.99
	}
	return full * 0.99
}

func reserve(nodes []Node, reserved map[events.NodeID]Offer, o Offer) {
	for i := range nodes {
		n := &nodes[i]
		if _, ok := reserved[n.Node]; ok || mismatch(n, o.Requirements) != "" || scarce(n.Capacity, o.Requirements.Resources) != nil {
			continue
		}
		reserved[n.Node] = o
	}
}

func sub(a, b events.Resources) events.Resources {
	return events.Resources{CPU: a.CPU - b.CPU, Memory: a.Memory - b.Memory, GPU: a.GPU - b.GPU, Slots: a.Slots - b.Slots}
}
