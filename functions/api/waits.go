package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

// explainer has at hand what a run may wait for. It only looks.
type explainer struct {
	run    *pipeline.Run
	now    time.Time
	policy pipeline.Policy
	routes scheduling.Pools
	pools  map[events.PoolID]*poolView
	groups map[string]*pipeline.Group
}

// waiting: the job was not asked for yet.
func (x *explainer) waiting(j *pipeline.Job) client.JobExplanation {
	e := client.JobExplanation{Says: "is about to be looked at"}
	spec := x.run.JobSpec(j.Key)
	if x.run.State == pipeline.RunRequested || spec == nil {
		e.Says = "waits for the run to start"
		return e
	}
	var says []string
	for _, need := range spec.Needs {
		var open []*pipeline.Job
		all := 0
		for _, other := range x.run.Jobs {
			if s := x.run.JobSpec(other.Key); s == nil || s.ID != need {
				continue
			}
			if all++; !other.State.Final() {
				open = append(open, other)
				e.Needs = append(e.Needs, string(other.Key))
			}
		}
		switch {
		case len(open) > 0 && all == 1:
			says = append(says, fmt.Sprintf("%s (%s)", need, strings.ToLower(stateOf(open[0]))))
		case len(open) > 0:
			says = append(says, fmt.Sprintf("%s (%d of %d done)", need, all-len(open), all))
		}
	}
	switch {
	case len(says) > 0:
		e.Says = "needs " + strings.Join(says, ", ")
	case spec.Strategy != nil && spec.Strategy.MaxParallel > 0:
		e.Says = fmt.Sprintf("waits until fewer than %d jobs of its matrix are under way", spec.Strategy.MaxParallel)
	}
	return e
}

// pending: the job was asked for and has no worker.
func (x *explainer) pending(j *pipeline.Job) client.JobExplanation {
	if !j.NotBefore.IsZero() {
		e := client.JobExplanation{Until: j.NotBefore, Says: "the next attempt is asked for at " + x.clock(j.NotBefore)}
		if a := j.Current(); a != nil {
			e.Says = fmt.Sprintf("attempt %d %s; ", a.Number, ended(a.Verdict, a.Reason)) + e.Says
		}
		return e
	}
	if j.Awaiting() {
		return client.JobExplanation{Until: j.Await.Deadline, Says: j.Reason}
	}
	if g := j.Request.Group; g != "" && !x.holds(g, j.Key) {
		return client.JobExplanation{Says: x.waitsForGroup(g, j.Key)}
	}
	offer := x.routes.Offer(j.Request)
	e := client.JobExplanation{Pool: offer.Pool}
	v := x.pools[offer.Pool]
	if v == nil {
		e.Says = fmt.Sprintf("is on its way to pool %s", offer.Pool)
		return e
	}
	e.Waiting, e.Position, e.Starts = v.waiting, v.position(offer.Offer), v.starts[offer.Offer]
	if h, ok := v.pool.Held[events.AssignmentFor(offer.Offer)]; ok {
		e.Says = fmt.Sprintf("was given node %s of pool %s and is about to take it", h.Node, offer.Pool)
		return e
	}
	x.queued(&e, v, offer.Offer)
	return e
}

// queued: the job stands, or is about to stand, in a pool's queue.
func (x *explainer) queued(e *client.JobExplanation, v *poolView, offer events.OfferID) {
	where := fmt.Sprintf("waits in pool %s at place %d of %d", v.pool.ID, e.Position, v.waiting)
	if o, ok := v.pool.Queue[offer]; ok {
		e.Until = o.Expires
	}
	switch {
	case v.pool.ID.IsUntrusted() && !v.serves():
		e.Says = fmt.Sprintf("waits in pool %s: the run is untrusted, and this installation has no pool for such runs: %s", v.pool.ID, makesUntrusted)
	case e.Position == 0 && v.waiting > len(v.order):
		e.Says = fmt.Sprintf("waits in pool %s behind the first %d of %d", v.pool.ID, len(v.order), v.waiting)
	case e.Position == 0:
		e.Says = fmt.Sprintf("is on its way to pool %s", v.pool.ID)
	case len(v.pool.Nodes) == 0:
		e.Says = where + ": the pool has no node"
	default:
		if p, ok := v.placed[offer]; ok {
			e.Passed, e.Says = p.Passed, fmt.Sprintf("%s and fits on node %s: about to be placed", where, p.Node.Node)
		} else if u, ok := v.left[offer]; ok {
			e.Passed, e.Says = u.Reasons, where+": "+list(u.Reasons)
		} else {
			e.Says = where + ": those before it come first"
		}
	}
}

// makesUntrusted is what to do about a pool of strangers' that is not there.
const makesUntrusted = "RELEVO_SCHEDULER_UNTRUSTED_SLOTS makes one on one machine, RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE on Kubernetes; " +
	"or /ok-to-test on the pull request approves it"

// serves tells that the pool has a node at all.
func (v *poolView) serves() bool {
	for _, n := range v.pool.Nodes {
		if !n.Gone {
			return true
		}
	}
	return false
}

// list names the first few nodes with their reasons.
func list(reasons []events.NodeReason) string {
	var parts []string
	for _, r := range reasons[:min(len(reasons), client.MostNamed)] {
		parts = append(parts, fmt.Sprintf("node %s %s", r.Node, r.Reason))
	}
	if more := len(reasons) - client.MostNamed; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// underWay: the job has a worker, or is about to have one.
func (x *explainer) underWay(j *pipeline.Job) client.JobExplanation {
	a := j.Current()
	if a == nil {
		return client.JobExplanation{Says: "is under way"}
	}
	node := fmt.Sprintf("node %s of pool %s", a.Placement.Node, a.Placement.Pool)
	e := client.JobExplanation{Pool: a.Placement.Pool, Until: a.StartBy}
	switch {
	case j.State == pipeline.Running:
		e.Until = a.Deadline
		e.Says = fmt.Sprintf("runs on %s since %s UTC; times out at %s", node, a.Started.Format(time.TimeOnly), x.clock(a.Deadline))
	case a.Preparing != "":
		e.Says = fmt.Sprintf("its worker on %s is being prepared: %s; it must report by %s", node, a.Preparing, x.clock(a.StartBy))
	default:
		e.Says = fmt.Sprintf("its worker on %s is being launched by %s; it must report by %s", node, a.Placement.Provider, x.clock(a.StartBy))
	}
	return e
}

// holds tells whether the run, or one of its jobs, was let in by a group.
func (x *explainer) holds(group string, key events.JobKey) bool {
	g := x.groups[group]
	return g != nil && g.Holder != nil && g.Holder.Run == x.run.ID && g.Holder.Job == key
}

func (x *explainer) waitsForGroup(group string, key events.JobKey) string {
	g := x.groups[group]
	switch {
	case g == nil || g.Holder == nil || x.holds(group, key):
		return fmt.Sprintf("is about to be let in by the concurrency group %s", group)
	case g.Holder.Job != "":
		return fmt.Sprintf("waits for the concurrency group %s, which job %s holds", group, jobID(g.Holder.Run, g.Holder.Job))
	}
	return fmt.Sprintf("waits for the concurrency group %s, which run %s holds", group, g.Holder.Run)
}
