package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

// capacity is what the events say of pools, of all runs: enough to ask the
// planner why an offer waits.
type capacity struct {
	nodes map[events.PoolID]map[events.NodeID]events.CapacityUpdated
	held  map[events.AssignmentID]events.AssignmentCreated
}

func (c *capacity) apply(e events.Envelope) {
	switch e.Type {
	case events.TypeCapacityUpdated:
		open(e, c.declare)
	case events.TypeAssignmentCreated:
		open(e, func(d events.AssignmentCreated) {
			if c.held == nil {
				c.held = map[events.AssignmentID]events.AssignmentCreated{}
			}
			c.held[d.Assignment] = d
		})
	case events.TypeAssignmentRefused:
		open(e, func(d events.AssignmentRefused) { delete(c.held, d.Assignment) })
	case events.TypeAssignmentReleased:
		open(e, func(d events.AssignmentReleased) { delete(c.held, d.Assignment) })
	}
}

func (c *capacity) declare(d events.CapacityUpdated) {
	if c.nodes == nil {
		c.nodes = map[events.PoolID]map[events.NodeID]events.CapacityUpdated{}
	}
	if c.nodes[d.Pool] == nil {
		c.nodes[d.Pool] = map[events.NodeID]events.CapacityUpdated{}
	}
	if known, ok := c.nodes[d.Pool][d.Node]; !ok || !d.Since.Before(known.Since) {
		c.nodes[d.Pool][d.Node] = d
	}
}

// why says what an offer waits for.
func (c *capacity) why(o *events.OfferCreated) string {
	var s scheduling.Snapshot
	for _, id := range slices.Sorted(maps.Keys(c.nodes[o.Pool])) {
		s.Nodes = append(s.Nodes, scheduling.Node{CapacityUpdated: c.nodes[o.Pool][id]})
	}
	for _, h := range c.held {
		if h.Pool == o.Pool {
			s.Held = append(s.Held, scheduling.Held{AssignmentCreated: h})
		}
	}
	plan := scheduling.Make(s, []scheduling.Offer{{OfferCreated: *o}}, scheduling.Policy{})
	if len(plan.Unplaced) == 0 || len(plan.Unplaced[0].Reasons) == 0 {
		return "queued in pool " + oneLine(string(o.Pool))
	}
	reasons := plan.Unplaced[0].Reasons
	text := fmt.Sprintf("queued: %s %s", reasons[0].Node, reasons[0].Reason)
	if more := len(reasons) - 1; more > 0 {
		text += fmt.Sprintf("; and %s", count(more, "more node"))
	}
	return oneLine(text)
}
