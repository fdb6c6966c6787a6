package client

import (
	"time"

	"github.com/relevo-ci/relevo/events"
)

// NodeList is all capacity, pool by pool.
type NodeList struct {
	Pools []Pool `json:"pools"`
}

// Pool is a pool with its nodes.
type Pool struct {
	ID      events.PoolID `json:"id"`
	Waiting int           `json:"waiting" doc:"Offers in its queue."`
	Nodes   []Node        `json:"nodes"`
}

// Node is whatever runs workers: a Docker host, a Kubernetes node pool, this
// machine.
type Node struct {
	ID         events.NodeID     `json:"id"`
	Provider   string            `json:"provider"`
	Capacity   events.Resources  `json:"capacity" doc:"What it has in all: cpu in thousandths of a core, memory in bytes."`
	Free       events.Resources  `json:"free" doc:"What is left: capacity less what is held."`
	Labels     []string          `json:"labels,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Taints     []string          `json:"taints,omitempty"`
	Gone       bool              `json:"gone,omitempty" doc:"Withdrawn: no new work; what runs there may end."`
	Held       []Held            `json:"held,omitempty" doc:"What holds its capacity."`
}

// Held is the capacity of one assignment.
type Held struct {
	Assignment events.AssignmentID `json:"assignment"`
	Job        string              `json:"job" doc:"The job's id."`
	Attempt    int                 `json:"attempt"`
	Worker     events.WorkerID     `json:"worker"`
	Resources  events.Resources    `json:"resources"`
	Since      time.Time           `json:"since"`
}

// Queue is everything that waits for capacity, pool by pool.
type Queue struct {
	Pools []PoolQueue `json:"pools"`
}

// PoolQueue is the queue of one pool.
type PoolQueue struct {
	ID      events.PoolID `json:"id"`
	Waiting int           `json:"waiting" doc:"Length of the queue."`
	Typical float64       `json:"typical,omitempty" doc:"Seconds that the middle one of its newest jobs took; absent while nothing waits or none is known."`
	Offers  []Offer       `json:"offers" doc:"Its head, in order: what the planner looks at."`
}

// Offer is one attempt of a job that waits for capacity.
type Offer struct {
	ID       events.OfferID      `json:"id"`
	Job      string              `json:"job" doc:"The job's id."`
	Attempt  int                 `json:"attempt"`
	Name     string              `json:"name"`
	Pipeline string              `json:"pipeline,omitempty"`
	Project  string              `json:"project,omitempty"`
	Priority int                 `json:"priority,omitempty"`
	Position int                 `json:"position" doc:"In its pool's queue, from 1."`
	Queued   time.Time           `json:"queued"`
	Expires  time.Time           `json:"expires"`
	Starts   time.Time           `json:"starts,omitzero" doc:"When it may start, going by how long the newest jobs took; absent where that tells nothing."`
	Passed   []events.NodeReason `json:"passed,omitempty" doc:"Every node passed over, with the reason."`
	Never    bool                `json:"never,omitempty" doc:"No node there could take it, even when idle."`
}

// Explanation says why a run stands where it stands.
type Explanation struct {
	Run   string           `json:"run"`
	State string           `json:"state"`
	Says  string           `json:"says" doc:"In words."`
	Jobs  []JobExplanation `json:"jobs"`
}

// MostNamed is how many nodes the words of a JobExplanation name; all of them stand
// in Passed.
const MostNamed = 3

// JobExplanation says why a job waits, or how it ended.
type JobExplanation struct {
	ID          string              `json:"id"`
	Key         events.JobKey       `json:"key"`
	State       string              `json:"state"`
	Says        string              `json:"says" doc:"In words."`
	Until       time.Time           `json:"until,omitzero" doc:"When it changes by itself at the latest: the end of a back-off, a deadline."`
	Needs       []string            `json:"needs,omitempty" doc:"Jobs that it waits for."`
	Pool        events.PoolID       `json:"pool,omitempty" doc:"Where it queues."`
	Position    int                 `json:"position,omitempty" doc:"In that queue, from 1; 0 where it does not stand in it."`
	Waiting     int                 `json:"waiting,omitempty" doc:"Length of that queue."`
	Starts      time.Time           `json:"starts,omitzero" doc:"When it may start, going by how long the newest jobs of the pool took; absent where that tells nothing."`
	Passed      []events.NodeReason `json:"passed,omitempty" doc:"Every node passed over, with the reason."`
	Before      []string            `json:"before,omitempty" doc:"How each attempt went that another one followed."`
	Annotations []events.Annotation `json:"annotations,omitempty" doc:"What the steps of its last attempt pointed people at."`
	Retries     *Retries            `json:"retries,omitempty" doc:"What is left of its budgets, while it is not done."`
}

// Retries are budgets of further attempts.
type Retries struct {
	User  int `json:"user" doc:"For failures that are the author's."`
	Infra int `json:"infra" doc:"For workers that were lost."`
}
