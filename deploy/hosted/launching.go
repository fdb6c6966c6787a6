package hosted

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/workers"
)

// measured is a provider that knows how much its workers may take in all.
type measured interface {
	Capacity(ctx context.Context) (events.Resources, error)
}

func launches(f fn.Function) bool { return f.Launches }

// bulkhead keeps a provider that does not answer from holding up more than this
// process can bear, for less than the Services' time-outs.
func bulkhead(p provider.Provider) provider.Provider {
	return workers.Bulkhead(p, 100*time.Second, 128)
}

func (s *Service) serves(name string) bool {
	return slices.ContainsFunc(s.Functions, func(f fn.Function) bool { return f.Name == name })
}

// launching opens the providers where one of the functions served needs them,
// and prepares them: whoever launches sees to the isolation first, and the
// clock, which is the one that always comes again, to the capacity.
func (s *Service) launching(ctx context.Context, d functions.Deps, o Options) error {
	if o.Launching == nil || !slices.ContainsFunc(s.Functions, launches) {
		return nil
	}
	_, moment, err := s.store.Load(ctx, protocol.PartitionOf(""))
	if err != nil {
		return err
	}
	d.Workers.Settings.Installation = moment.Installation
	pool := d.Routes.Default
	if err := s.provide(ctx, d, o.Launching, pool, o.Labels); err != nil {
		return err
	}
	if o.Untrusted != nil {
		return s.provide(ctx, d, o.Untrusted, pool.Untrusted(), o.Labels)
	}
	if s.serves("clock-ticked") {
		return s.withdraw(ctx, d, pool.Untrusted())
	}
	return nil
}

// provide opens the provider of a pool.
func (s *Service) provide(ctx context.Context, d functions.Deps, open func(installation string) (provider.Provider, error), pool events.PoolID, labels []string) error {
	p, err := open(d.Workers.Settings.Installation)
	if err != nil {
		return err
	}
	d.Workers.Providers[p.Name()] = bulkhead(p)
	if s.serves("assignment-created") {
		if err := p.Secure(ctx); err != nil {
			return err
		}
	}
	if m, ok := p.(measured); ok && s.serves("clock-ticked") {
		node := events.CapacityUpdated{Pool: pool, Node: events.NodeID(p.Name()), Provider: p.Name(), Labels: labels}
		if node.Capacity, err = m.Capacity(ctx); err == nil {
			err = s.declare(ctx, d, node)
		}
		if err != nil {
			s.log.Warn("no jobs are placed until the capacity is known", "provider", p.Name(), "pool", pool, "error", err)
		}
	}
	return nil
}

// withdraw takes the nodes of a pool that there is no provider for any more.
func (s *Service) withdraw(ctx context.Context, d functions.Deps, id events.PoolID) error {
	pool, _, err := d.Pools.Look(ctx, id)
	if err != nil {
		return err
	}
	for _, n := range pool.Nodes {
		gone := n.CapacityUpdated
		gone.Gone = true
		if err := s.declare(ctx, d, gone); err != nil {
			return err
		}
	}
	return nil
}

// declare says what a node is, if that is news.
func (s *Service) declare(ctx context.Context, d functions.Deps, node events.CapacityUpdated) error {
	pool, moment, err := d.Pools.Look(ctx, node.Pool)
	if err != nil {
		return err
	}
	known, ok := pool.Nodes[node.Node]
	if ok && known.Gone == node.Gone && known.Capacity == node.Capacity && slices.Equal(known.Labels, node.Labels) {
		return nil
	}
	node.Since = moment.Now
	e, err := events.New(events.DeriveID("node", string(node.Node), node.Since.String()), "/relevo/clock-ticked", "", node.Since, node)
	if err != nil {
		return err
	}
	table := functions.All(d)
	at := slices.IndexFunc(table, func(f fn.Function) bool { return f.Name == "capacity-updated" })
	out, err := table[at].Handle(ctx, e)
	if err != nil {
		return fmt.Errorf("hosted: declare node %s: %w", node.Node, err)
	}
	return s.publish(ctx, out)
}
