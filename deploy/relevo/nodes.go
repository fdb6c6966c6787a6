package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
)

// share sets how many of the jobs side by side may be strangers'.
func (m *machine) share(untrusted int) error {
	const name = "RELEVO_SCHEDULER_UNTRUSTED_SLOTS"
	switch {
	case m.api == nil || untrusted == 0: // of `run` all jobs are the user's own
		return nil
	case m.provider != "docker":
		return fmt.Errorf("%s: jobs of strangers need --provider docker: %s does not keep them apart", name, m.provider)
	case untrusted >= m.parallel:
		return fmt.Errorf("%s=%d leaves nothing of the %d jobs that --parallel allows", name, untrusted, m.parallel)
	}
	m.untrusted = untrusted
	return nil
}

// part is what so many of the jobs side by side may take of this machine.
func (m *machine) part(slots int) events.Resources {
	all := events.Resources{CPU: int64(runtime.NumCPU()) * 1000}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		all.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	n, of := int64(slots), int64(m.parallel)
	return events.Resources{CPU: all.CPU * n / of, Memory: all.Memory / of * n, Slots: n}
}

// declare says what this machine can take: one node of the pool, and where
// strangers' jobs have a share, one of theirs. That one goes again where it was
// there before and is no longer wanted.
func (m *machine) declare(ctx context.Context, h *inprocess.Host) error {
	node := events.CapacityUpdated{Node: "local", Provider: m.provider, Labels: osLabels(), Since: time.Now()}
	apart := node
	node.Capacity = m.part(m.parallel - m.untrusted)
	if err := h.Declare(ctx, node); err != nil {
		return err
	}
	apart.Pool, apart.Node = inprocess.Pool.Untrusted(), "local-untrusted"
	apart.Capacity, apart.Gone = m.part(m.untrusted), m.untrusted == 0
	pool, _, err := h.Deps.Pools.Look(ctx, apart.Pool)
	if err != nil || apart.Gone && len(pool.Nodes) == 0 {
		return err
	}
	return h.Declare(ctx, apart)
}
