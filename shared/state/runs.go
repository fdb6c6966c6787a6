package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Runs changes runs.
type Runs struct {
	*Committer
	Policy pipeline.Policy
}

// ErrNoRun: there is no such run, or it was archived.
var ErrNoRun = errors.New("state: no such run")

func runDoc(id events.RunID) protocol.DocID     { return protocol.DocID("run/" + id) }
func requestDoc(id events.RunID) protocol.DocID { return protocol.DocID("request/" + id) }

// loaded is a run as it was read.
type loaded struct {
	run    *pipeline.Run
	doc    protocol.Doc
	moment protocol.Moment
}

func (s *Runs) load(ctx context.Context, id events.RunID) (loaded, error) {
	docs, moment, err := s.Store.Load(ctx, protocol.PartitionOf(id), runDoc(id), requestDoc(id))
	if err != nil {
		return loaded{}, fmt.Errorf("state: load run %s: %w", id, err)
	}
	l := loaded{doc: docs[0], moment: moment}
	if l.doc.Version == 0 {
		return l, fn.Faultf(fn.NotFound, "%w: %s", ErrNoRun, id)
	}
	l.run, err = pipeline.Load(docs[0].Body, docs[1].Body, s.Policy)
	return l, err
}

// Load reads a run, for looking only.
func (s *Runs) Load(ctx context.Context, id events.RunID) (*pipeline.Run, protocol.Moment, error) {
	l, err := s.load(ctx, id)
	return l.run, l.moment, err
}

// Create accepts a run: after it returned, the run is in the ledger and
// reaches one final state. A second Create of the same id gives the first
// one's answer.
func (s *Runs) Create(ctx context.Context, function string, req events.RunRequested) (Result, error) {
	return s.CreateWithin(ctx, function, req, "")
}

// CreateWithin accepts a run that goes on from the trace of a traceparent; of one
// that is none it does not.
func (s *Runs) CreateWithin(ctx context.Context, function string, req events.RunRequested, traceparent string) (Result, error) {
	p := protocol.PartitionOf(req.Run)
	defer s.lock(p)()
	cause := events.Envelope{ID: "create/" + string(req.Run), Traceparent: parentOf(req, traceparent), RunID: string(req.Run)}
	return s.retry(ctx, func() (Result, error) {
		docs, moment, err := s.Store.Load(ctx, p, runDoc(req.Run), tombDoc(req.Run))
		if err != nil {
			return Result{}, fmt.Errorf("state: load run %s: %w", req.Run, err)
		}
		if docs[0].Version > 0 {
			return s.created(ctx, req.Run)
		}
		if docs[1].Version > 0 {
			return Result{Duplicate: true}, nil // it ran, and was retired since
		}
		em := &events.Emitter{Function: function, Cause: cause, Now: moment.Now, Owner: req.Subject(), Version: 1, Epoch: moment.Epoch}
		run, err := pipeline.New(em, req, s.Policy)
		if err != nil {
			return Result{}, fn.Faultf(fn.Invalid, "%w", err)
		}
		emitted := em.Emitted()
		body, err := json.Marshal(run)
		if err != nil {
			return Result{}, fmt.Errorf("state: encode run: %w", err)
		}
		return s.commit(ctx, protocol.Commit{
			Partition: p, Inbox: inboxKey(function, cause), Epoch: moment.Epoch,
			Puts: []protocol.Doc{
				{ID: runDoc(req.Run), Version: 1, Body: body},
				{ID: requestDoc(req.Run), Version: 1, Body: emitted[0].Data},
			},
			Due: dues(run.Dues(moment.Now)), Emitted: emitted,
		})
	})
}

// parentOf is the context that a run is asked for in: of the delivery that led to
// it, else of whoever called. The delivery's span is in the run's trace.
func parentOf(req events.RunRequested, traceparent string) string {
	of := req.Context(traceparent)
	switch p, ok := events.ParseTraceparent(traceparent); {
	case req.Trigger.Delivery != "":
		of.Span = events.DeliverySpan(of.Trace, req.Trigger.Delivery)
	case ok:
		of.Span = p.Span
	}
	return of.String()
}

func (s *Runs) created(ctx context.Context, id events.RunID) (Result, error) {
	l, err := s.load(ctx, id)
	if err != nil {
		return Result{}, err
	}
	return Result{Emitted: stamped(l.run.Again(), l.moment.Epoch), Duplicate: true}, nil
}

// Decision changes a run; what it absorbs and emits is committed. An error
// undoes everything.
type Decision func(r *pipeline.Run, em *events.Emitter, epoch uint32) error

// Change lets decide change a run. A decision that changes nothing commits
// nothing.
func (s *Runs) Change(ctx context.Context, function string, cause events.Envelope, id events.RunID, decide Decision) (Result, error) {
	return s.change(ctx, function, cause, id, nil, decide)
}

// change also moves due entries when extra says so, even when nothing else
// changed; touch gives the document a version all the same.
func (s *Runs) change(ctx context.Context, function string, cause events.Envelope, id events.RunID, extra func(r *pipeline.Run, now time.Time) (due []protocol.Due, touch bool), decide Decision) (Result, error) {
	p := protocol.PartitionOf(id)
	defer s.lock(p)()
	return s.retry(ctx, func() (Result, error) {
		l, err := s.load(ctx, id)
		if err != nil {
			return Result{}, err
		}
		if err := current(cause, l.moment); err != nil {
			return Result{}, err
		}
		em := &events.Emitter{Function: function, Cause: cause, Now: l.moment.Now, Owner: events.RunRef{Run: id}.Subject(), Version: l.doc.Version + 1, Epoch: l.moment.Epoch, Trace: l.run.Context().String()}
		if err := decide(l.run, em, l.moment.Epoch); err != nil {
			return Result{}, err
		}
		if err := l.run.Err(); err != nil {
			return Result{}, fn.Faultf(fn.Invalid, "%w", err)
		}
		c := protocol.Commit{Partition: p, Epoch: l.moment.Epoch, Emitted: em.Emitted(), Absorbed: l.run.Absorbed()}
		touch := false
		if extra != nil {
			c.Due, touch = extra(l.run, l.moment.Now)
		}
		if len(c.Emitted)+len(c.Absorbed) == 0 {
			if len(c.Due) == 0 {
				return Result{}, nil
			}
			if touch {
				c.Puts = []protocol.Doc{{ID: l.doc.ID, Version: l.doc.Version + 1, Body: l.doc.Body}}
			} else {
				c.Checks = []protocol.Doc{l.doc}
			}
			return s.commit(ctx, c)
		}
		body, err := json.Marshal(l.run)
		if err != nil {
			return Result{}, fmt.Errorf("state: encode run: %w", err)
		}
		c.Inbox = inboxKey(function, em.Cause)
		c.Puts = []protocol.Doc{{ID: l.doc.ID, Version: l.doc.Version + 1, Body: body}}
		c.Due = dues(l.run.Dues(l.moment.Now))
		return s.commit(ctx, c)
	})
}

// Beat extends the lease of an attempt. It tells false where the attempt is
// not the one that runs with that nonce. The document keeps its body and gets a
// version: a clock that found the lease over just before finds out.
func (s *Runs) Beat(ctx context.Context, ref events.AttemptRef, nonce string) (bool, error) {
	var ok bool
	_, err := s.change(ctx, "worker", events.Envelope{ID: "beat"}, ref.Run, func(r *pipeline.Run, now time.Time) ([]protocol.Due, bool) {
		if !ok {
			return nil, false
		}
		return []protocol.Due{{Name: ref.JobRef.Subject(), At: r.BeatDue(ref.Job, now)}}, true
	}, func(r *pipeline.Run, _ *events.Emitter, _ uint32) error {
		ok = r.Runs(ref, nonce)
		return nil
	})
	return ok, err
}

// Fire lets a due aggregate of a run decide, and returns the events that its
// state asks to be sent again, beside those that it emitted.
func (s *Runs) Fire(ctx context.Context, subject string, grace bool) (Result, []events.Envelope, error) {
	id, _, ok := pipeline.ParseSubject(subject)
	if !ok {
		return Result{}, nil, fn.Faultf(fn.Invalid, "state: %q is no run or job", subject)
	}
	var resend []events.Envelope
	var due bool
	res, err := s.change(ctx, "clock-ticked", events.Envelope{}, id,
		func(r *pipeline.Run, now time.Time) ([]protocol.Due, bool) {
			if !due {
				return nil, false
			}
			return dues(r.Dues(now)), false
		},
		func(r *pipeline.Run, em *events.Emitter, _ uint32) (err error) {
			// Read after the run: a beat or a hello since the tick moved the entry,
			// and one from here on moves the version that the commit checks.
			resend = nil
			if due, err = s.overdue(ctx, protocol.PartitionOf(id), subject); err != nil || !due {
				return err
			}
			em.Cause = r.Timer(subject, "due", em.Now)
			resend = stamped(r.Fire(em, subject, grace), em.Epoch)
			return nil
		})
	return res, resend, err
}

// mostOverdue bounds how many due entries of one partition are looked through.
const mostOverdue = 1024

// overdue tells whether an entry is due still.
func (s *Runs) overdue(ctx context.Context, p protocol.Partition, name string) (bool, error) {
	list, _, err := s.Store.Overdue(ctx, []protocol.Partition{p}, mostOverdue)
	if err != nil {
		return false, fmt.Errorf("state: look at what is due: %w", err)
	}
	return slices.ContainsFunc(list, func(d protocol.DueIn) bool { return d.Name == name }), nil
}

func dues(m map[string]time.Time) []protocol.Due {
	out := make([]protocol.Due, 0, len(m))
	for name, at := range m {
		out = append(out, protocol.Due{Name: name, At: at})
	}
	slices.SortFunc(out, func(a, b protocol.Due) int { return strings.Compare(a.Name, b.Name) })
	return out
}
