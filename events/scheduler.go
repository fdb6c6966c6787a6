package events

import "time"

// OfferCreated puts one attempt of a job into a pool's queue.
type OfferCreated struct {
	OfferRef
	// For is the attempt that asks.
	For AttemptRef `json:"for"`
	// Name of the job, for people.
	Name string `json:"name"`
	// Requirements say which nodes may run it.
	Requirements Requirements `json:"requirements"`
	// Priority orders the queue, higher first.
	Priority int `json:"priority,omitempty"`
	// Project is the unit of fair share.
	Project string `json:"project,omitempty"`
}

// RunOf is the run that an event belongs to.
func (e OfferCreated) RunOf() RunID { return e.For.Run }

// OfferWithdrawn takes an offer out of the queue: its job wants it no more.
type OfferWithdrawn struct {
	OfferRef
	// For is the attempt that asked.
	For AttemptRef `json:"for"`
	// Reason says why its job wants it no more.
	Reason string `json:"reason"`
}

// RunOf is the run that an event belongs to.
func (e OfferWithdrawn) RunOf() RunID { return e.For.Run }

// OfferExpired says that an offer found no node in its time, or that no node
// of a fixed pool can ever fit it.
type OfferExpired struct {
	OfferRef
	// For is the attempt that asked.
	For AttemptRef `json:"for"`
	// Reason says why no node took it.
	Reason string `json:"reason"`
	// Nodes passed over, with the reason for each.
	Nodes []NodeReason `json:"nodes,omitempty"`
}

// RunOf is the run that an event belongs to.
func (e OfferExpired) RunOf() RunID { return e.For.Run }

// AssignmentCreated holds capacity of a node for an attempt. The run has yet
// to accept it.
type AssignmentCreated struct {
	AssignmentRef
	// Offer is the one that it answers.
	Offer OfferID `json:"offer"`
	// For is the attempt that the capacity is held for.
	For AttemptRef `json:"for"`
	// Node whose capacity is held.
	Node NodeID `json:"node"`
	// Worker is the id of the worker to be launched.
	Worker WorkerID `json:"worker"`
	// Provider launches it: process, docker, kubernetes, fake.
	Provider string `json:"provider"`
	// Resources are the amounts held.
	Resources Resources `json:"resources"`
	// Passed are the nodes passed over, with the reason for each.
	Passed []NodeReason `json:"passed,omitempty"`
}

// RunOf is the run that an event belongs to.
func (e AssignmentCreated) RunOf() RunID { return e.For.Run }

// AssignmentAccepted says that the worker of an assignment said hello and was
// the first to do so under its fence.
type AssignmentAccepted struct {
	AssignmentRef
	// For is the attempt that the capacity is held for.
	For AttemptRef `json:"for"`
	// Worker that said hello.
	Worker WorkerID `json:"worker"`
}

// RunOf is the run that an event belongs to.
func (e AssignmentAccepted) RunOf() RunID { return e.For.Run }

// AssignmentRefused says that the run does not want the assignment (any more)
// and that nothing was launched for it: its capacity is free again.
type AssignmentRefused struct {
	AssignmentRef
	// For is the attempt that the capacity was held for.
	For AttemptRef `json:"for"`
	// Reason says why the run does not want it.
	Reason string `json:"reason"`
}

// RunOf is the run that an event belongs to.
func (e AssignmentRefused) RunOf() RunID { return e.For.Run }

// AssignmentReleased says that the capacity of an assignment was given back.
type AssignmentReleased struct {
	AssignmentRef
	// For is the attempt that the capacity was held for.
	For AttemptRef `json:"for"`
	// Node that has the capacity again.
	Node NodeID `json:"node"`
	// Resources are the amounts given back.
	Resources Resources `json:"resources"`
}

// RunOf is the run that an event belongs to.
func (e AssignmentReleased) RunOf() RunID { return e.For.Run }

// CapacityUpdated declares a node of a pool, or changes what it declares.
type CapacityUpdated struct {
	// Pool that the node belongs to.
	Pool PoolID `json:"pool"`
	// Node that is declared.
	Node NodeID `json:"node"`
	// Provider launches workers there.
	Provider string `json:"provider"`
	// Capacity is what the node has in all.
	Capacity Resources `json:"capacity"`
	// Labels that jobs ask for by runs-on.
	Labels []string `json:"labels,omitempty"`
	// Attributes such as region, zone and gpu, for affinity.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Taints keep jobs away that do not tolerate them.
	Taints []string `json:"taints,omitempty"`
	// Gone withdraws the node: no new work; what runs there may end.
	Gone bool `json:"gone,omitempty"`
	// Since is when the node last changed; an older declaration changes nothing.
	Since time.Time `json:"since"`
}

// Subject is pool/<pool>/node/<node>.
func (e CapacityUpdated) Subject() string {
	return "pool/" + string(e.Pool) + "/node/" + string(e.Node)
}
