package pipeline

import (
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Group is a concurrency group: one holder, and one waiter. Whoever asks while
// one waits takes the waiter's place, which is cancelled.
type Group struct {
	Name   string  `json:"name"`
	Holder *Member `json:"holder,omitempty"`
	Waiter *Member `json:"waiter,omitempty"`
}

// Member is a run, or a job of one, in a group.
type Member struct {
	events.GroupRef
	// Cause is the id of the event that asked, or of the acquired event.
	Cause string    `json:"cause"`
	Since time.Time `json:"since"`
}

func (m *Member) is(ref events.GroupRef) bool {
	return m != nil && m.Run == ref.Run && m.Job == ref.Job
}

// Enter asks for the group. Asked again by the holder it answers again. It
// tells whether the group changed.
func (g *Group) Enter(em *events.Emitter, ref events.GroupRef, cancelInProgress bool) bool {
	me := &Member{GroupRef: ref, Cause: em.Cause.ID, Since: em.Now}
	switch {
	case g.Holder == nil:
		g.Name = ref.Group
		g.Holder = me
		em.Emit(events.ConcurrencyAcquired{GroupRef: ref})
		return true
	case g.Holder.is(ref):
		changed := g.Holder.Attempt != ref.Attempt // a retry keeps the group
		g.Holder.Attempt = ref.Attempt
		em.Emit(events.ConcurrencyAcquired{GroupRef: ref})
		return changed
	case g.Waiter.is(ref):
		return false
	}
	if g.Waiter != nil {
		g.cancel(em, g.Waiter, ref)
	}
	if cancelInProgress {
		g.cancel(em, g.Holder, ref)
	}
	g.Waiter = me
	return true
}

func (g *Group) cancel(em *events.Emitter, m *Member, by events.GroupRef) {
	em.Emit(events.CancelRequested{
		RunRef: events.RunRef{Run: m.Run}, Job: m.Job, By: "concurrency",
		Reason: fmt.Sprintf("run %s took its place in the concurrency group %s", by.Run, g.Name),
	})
}

// Leave gives the group back, or gives up waiting; the waiter comes next. It
// tells whether the group changed.
func (g *Group) Leave(em *events.Emitter, ref events.GroupRef) bool {
	switch {
	case g.Waiter.is(ref):
		g.Waiter = nil
		return true
	case g.Holder.is(ref):
		g.Holder, g.Waiter = g.Waiter, nil
		if g.Holder != nil {
			g.Holder.Since = em.Now
			em.Emit(events.ConcurrencyAcquired{GroupRef: g.Holder.GroupRef})
		}
		return true
	}
	return false
}
