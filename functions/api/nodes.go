package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// poolView is a pool as it stands, with what the planner makes of it now.
type poolView struct {
	pool    *scheduling.Pool
	free    map[events.NodeID]events.Resources
	order   []string // ids of the offers in the queue, as far as they were asked for
	waiting int      // length of the queue
	placed  map[events.OfferID]scheduling.Placement
	left    map[events.OfferID]scheduling.Unplaced
	now     time.Time
	starts  map[events.OfferID]time.Time // expected, of those that wait
	typical time.Duration                // of a job; 0: not known
}

// lookPool reads a pool, and the ids in its queue up to depth. The queue goes on
// to change while that is done, so the parts may be of moments apart.
func (a *API) lookPool(ctx context.Context, id events.PoolID, depth int) (*poolView, error) {
	pool, moment, err := a.Pools.Look(ctx, id)
	if err != nil {
		return nil, err
	}
	order, waiting, err := a.Pools.Store.Head(ctx, protocol.PoolPartition(id), depth)
	if err != nil {
		return nil, fmt.Errorf("api: read queue of pool %s: %w", id, err)
	}
	return planned(pool, order, waiting, moment.Now), nil
}

// planned makes the plan of a pool as it stands; nothing of it is carried out.
func planned(pool *scheduling.Pool, order []string, waiting int, now time.Time) *poolView {
	v := &poolView{
		pool: pool, order: order, waiting: waiting, now: now,
		placed: map[events.OfferID]scheduling.Placement{}, left: map[events.OfferID]scheduling.Unplaced{},
	}
	snapshot := pool.Snapshot(now)
	v.free = scheduling.Free(snapshot)
	plan := scheduling.Make(snapshot, pool.Sorted(), pool.Policy)
	for _, p := range plan.Placements {
		v.placed[p.Offer.Offer] = p
	}
	for _, u := range plan.Unplaced {
		v.left[u.Offer.Offer] = u
	}
	return v
}

// position is an offer's place in the queue, from 1; 0 where it is not in it.
func (v *poolView) position(o events.OfferID) int { return slices.Index(v.order, string(o)) + 1 }

// pools reads every pool that there is.
func (a *API) pools(ctx context.Context) ([]*poolView, error) {
	partitions, err := a.Pools.Store.Partitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("api: list partitions: %w", err)
	}
	var views []*poolView
	for _, p := range partitions {
		id, ok := strings.CutPrefix(string(p), "pool:")
		if !ok {
			continue
		}
		v, err := a.lookPool(ctx, events.PoolID(id), 0)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

type nodesOutput struct {
	Body client.NodeList
}

func (a *API) listNodes(ctx context.Context, _ *struct{}) (*nodesOutput, error) {
	views, err := a.pools(ctx)
	if err != nil {
		return nil, a.fault(ctx, "look at the pools", err)
	}
	out := &nodesOutput{Body: client.NodeList{Pools: []client.Pool{}}}
	for _, v := range views {
		out.Body.Pools = append(out.Body.Pools, client.Pool{ID: v.pool.ID, Waiting: v.waiting, Nodes: v.nodes(a.visibleRun(ctx))})
	}
	return out, nil
}

// nodes are those of the pool. What holds them of others' projects is shown
// without its name: that the room is taken is no secret.
func (v *poolView) nodes(see func(events.RunID) bool) []client.Node {
	snapshot := v.pool.Snapshot(time.Time{})
	nodes := []client.Node{}
	for _, n := range snapshot.Nodes {
		view := client.Node{
			ID: n.Node, Provider: n.Provider, Capacity: n.Capacity, Free: v.free[n.Node],
			Labels: n.Labels, Attributes: n.Attributes, Taints: n.Taints, Gone: n.Gone,
		}
		for _, h := range snapshot.Held {
			if h.Node != n.Node {
				continue
			}
			held := client.Held{Resources: h.Resources, Since: h.Since}
			if see(h.For.Run) {
				held.Assignment, held.Job, held.Attempt, held.Worker = h.Assignment, jobID(h.For.Run, h.For.Job), h.For.Attempt, h.Worker
			}
			view.Held = append(view.Held, held)
		}
		nodes = append(nodes, view)
	}
	return nodes
}

type queueOutput struct {
	Body client.Queue
}

func (a *API) showQueue(ctx context.Context, _ *struct{}) (*queueOutput, error) {
	views, err := a.pools(ctx)
	if err != nil {
		return nil, a.fault(ctx, "look at the pools", err)
	}
	out := &queueOutput{Body: client.Queue{Pools: []client.PoolQueue{}}}
	for _, v := range views {
		a.forecast(ctx, v)
		out.Body.Pools = append(out.Body.Pools, client.PoolQueue{
			ID: v.pool.ID, Waiting: v.waiting, Typical: v.typical.Seconds(), Offers: v.offers(a.visible(ctx), a.pipelines(ctx, v)),
		})
	}
	return out, nil
}

// offers are those that wait; those of others' projects keep their places, without
// their names.
func (v *poolView) offers(see func(project string) bool, pipelines map[events.RunID]string) []client.Offer {
	offers := []client.Offer{}
	for i, o := range v.pool.Sorted() {
		if !see(o.Project) {
			offers = append(offers, client.Offer{Priority: o.Priority, Position: i + 1, Queued: o.Queued, Expires: o.Expires, Starts: v.starts[o.Offer]})
			continue
		}
		u := v.left[o.Offer]
		view := client.Offer{
			ID: o.Offer, Job: jobID(o.For.Run, o.For.Job), Attempt: o.For.Attempt, Name: o.Name,
			Pipeline: pipelines[o.For.Run], Project: o.Project, Priority: o.Priority, Position: i + 1,
			Queued: o.Queued, Expires: o.Expires, Starts: v.starts[o.Offer], Passed: u.Reasons, Never: u.Never,
		}
		if p, ok := v.placed[o.Offer]; ok {
			view.Passed = p.Passed
		}
		offers = append(offers, view)
	}
	return offers
}
