package pipeline

import (
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Group is a concurrency group: one holder, and one waiter. Whoever asks while
// one waits takes the waiter's place, which is cancelled.
type Group struct {
	Name   string  `json:"name"`
	Holder *Member `json:"holder,omitempty"`
	Waiter *Member `json:"waiter,omitempty"`
	// Displaced were told to cancel and have not left yet: a holder that others
	// may not wait for, a waiter whose place was taken.
	Displaced []*Member `json:"displaced,omitempty"`
}

// Member is a run, or a job of one, in a group.
type Member struct {
	events.GroupRef
	// Cause is the id of the event that asked, or of the acquired event.
	Cause string    `json:"cause"`
	Since time.Time `json:"since"`
	// Trace is the traceparent of that event where the trace is not the run's own.
	Trace string `json:"trace,omitempty"`
}

func (m *Member) is(ref events.GroupRef) bool {
	return m != nil && m.Run == ref.Run && m.Job == ref.Job
}

// Enter asks for the group. Asked again by the holder it answers again. It
// tells whether the group changed.
func (g *Group) Enter(em *events.Emitter, ref events.GroupRef, cancelInProgress bool) bool {
	me := &Member{GroupRef: ref, Cause: em.Cause.ID, Since: em.Now, Trace: events.RunRef{Run: ref.Run}.Foreign(em.Cause.Traceparent)}
	switch {
	case g.Holder == nil:
		g.Name = ref.Group
		g.Holder = me
		em.Within(me.Trace).Emit(events.ConcurrencyAcquired{GroupRef: ref})
		return true
	case g.Holder.is(ref):
		changed := g.Holder.Attempt != ref.Attempt // a retry keeps the group
		g.Holder.Attempt = ref.Attempt
		em.Within(me.Trace).Emit(events.ConcurrencyAcquired{GroupRef: ref})
		return changed
	case g.Waiter.is(ref):
		return false
	case g.displaced(ref) >= 0:
		em.Within(me.Trace).Emit(g.CancelOf(g.Displaced[g.displaced(ref)]))
		return false
	}
	if g.Waiter != nil {
		g.displace(em, g.Waiter)
	}
	if cancelInProgress && g.displaced(g.Holder.GroupRef) < 0 {
		g.displace(em, g.Holder)
	}
	g.Waiter = me
	return true
}

func (g *Group) displaced(ref events.GroupRef) int {
	return slices.IndexFunc(g.Displaced, func(m *Member) bool { return m.is(ref) })
}

func (g *Group) displace(em *events.Emitter, m *Member) {
	em.Within(m.Trace).Emit(g.CancelOf(m))
	g.Displaced = append(g.Displaced, m)
}

// CancelOf asks a displaced member to end.
func (g *Group) CancelOf(m *Member) events.CancelRequested {
	return events.CancelRequested{
		RunRef: events.RunRef{Run: m.Run}, Job: m.Job, By: "concurrency",
		Reason: "a newer one took its place in the concurrency group " + g.Name,
	}
}

// Empty tells that nobody holds, waits or has yet to leave.
func (g *Group) Empty() bool { return g.Holder == nil && g.Waiter == nil && len(g.Displaced) == 0 }

// Leave gives the group back, or gives up waiting; the waiter comes next. It
// tells whether the group changed.
func (g *Group) Leave(em *events.Emitter, ref events.GroupRef) bool {
	i := g.displaced(ref)
	if i >= 0 {
		g.Displaced = slices.Delete(g.Displaced, i, i+1)
	}
	switch {
	case g.Waiter.is(ref):
		g.Waiter = nil
		return true
	case g.Holder.is(ref):
		g.Holder, g.Waiter = g.Waiter, nil
		if g.Holder != nil {
			g.Holder.Since = em.Now
			em.Within(g.Holder.Trace).Emit(events.ConcurrencyAcquired{GroupRef: g.Holder.GroupRef})
		}
		return true
	}
	return i >= 0
}
