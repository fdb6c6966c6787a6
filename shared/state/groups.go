package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Groups changes concurrency groups.
type Groups struct {
	*Committer
	Nudge time.Duration // before a holder is told again that it holds
}

const groupDoc protocol.DocID = "group/root"

func groupDue(name string) string { return events.GroupRef{Group: name}.Subject() }

// Change lets decide change a group; decide tells whether it did.
func (s *Groups) Change(ctx context.Context, function string, cause events.Envelope, name string, decide func(g *pipeline.Group, em *events.Emitter) bool) (Result, error) {
	p := protocol.GroupPartition(name)
	defer s.lock(p)()
	return s.retry(ctx, func() (Result, error) {
		g, doc, moment, err := s.load(ctx, p, name)
		if err != nil {
			return Result{}, err
		}
		if err := current(cause, moment); err != nil {
			return Result{}, err
		}
		em := &events.Emitter{Function: function, Cause: cause, Now: moment.Now, Owner: groupDue(name), Version: doc.Version + 1, Epoch: moment.Epoch}
		if !decide(g, em) {
			return Result{Emitted: em.Emitted()}, nil
		}
		body, err := json.Marshal(g)
		if err != nil {
			return Result{}, fmt.Errorf("state: encode group: %w", err)
		}
		c := protocol.Commit{
			Partition: p, Inbox: inboxKey(function, cause), Epoch: moment.Epoch,
			Puts:     []protocol.Doc{{ID: groupDoc, Version: doc.Version + 1, Body: body}},
			Due:      []protocol.Due{{Name: groupDue(name)}},
			Absorbed: []events.Envelope{cause}, Emitted: em.Emitted(),
		}
		if !g.Empty() {
			c.Due[0].At = moment.Now.Add(s.Nudge)
		}
		return s.commit(ctx, c)
	})
}

func (s *Groups) load(ctx context.Context, p protocol.Partition, name string) (*pipeline.Group, protocol.Doc, protocol.Moment, error) {
	docs, moment, err := s.Store.Load(ctx, p, groupDoc)
	if err != nil {
		return nil, protocol.Doc{}, moment, fmt.Errorf("state: load group %s: %w", name, err)
	}
	g := &pipeline.Group{Name: name}
	if docs[0].Version > 0 {
		if err := json.Unmarshal(docs[0].Body, g); err != nil {
			return nil, docs[0], moment, fmt.Errorf("state: decode group %s: %w", name, err)
		}
	}
	return g, docs[0], moment, nil
}

// Look reads a group.
func (s *Groups) Look(ctx context.Context, name string) (*pipeline.Group, error) {
	g, _, _, err := s.load(ctx, protocol.GroupPartition(name), name)
	return g, err
}

// Fire tells a group's holder again that it holds, and the displaced that they
// are to end: one that is done answers by releasing.
func (s *Groups) Fire(ctx context.Context, p protocol.Partition) (Result, []events.Envelope, error) {
	name := strings.TrimPrefix(string(p), "group:")
	defer s.lock(p)()
	g, doc, moment, err := s.load(ctx, p, name)
	if err != nil {
		return Result{}, nil, err
	}
	due := protocol.Due{Name: groupDue(name)}
	var again []events.Envelope
	tell := func(m *pipeline.Member, d events.Data) error {
		e, err := events.New(events.DeriveID("again", m.Cause, string(d.EventType())), "/relevo/clock-ticked", m.Cause, moment.Now, d)
		again = append(again, e.Traced(m.Trace))
		return err
	}
	if g.Holder != nil {
		held := moment.Now.Sub(g.Holder.Since)
		due.At = moment.Now.Add(min(max(s.Nudge, held/4), 10*time.Minute))
		if err := tell(g.Holder, events.ConcurrencyAcquired{GroupRef: g.Holder.GroupRef}); err != nil {
			return Result{}, nil, err
		}
	}
	for _, m := range g.Displaced {
		due.At = moment.Now.Add(s.Nudge)
		if err := tell(m, g.CancelOf(m)); err != nil {
			return Result{}, nil, err
		}
	}
	_, err = s.commit(ctx, protocol.Commit{Partition: p, Checks: []protocol.Doc{doc}, Epoch: moment.Epoch, Due: []protocol.Due{due}})
	return Result{}, stamped(again, moment.Epoch), err
}
