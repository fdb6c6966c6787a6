package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func conflicted(err error) bool { return errors.Is(err, protocol.ErrConflict) }

// Arrived is what Receive made of a delivery.
type Arrived string

// MostBody is how large the body of a delivery may be, in bytes: GitHub's limit.
const MostBody = 25 << 20

// What Receive can make of one.
const (
	Accepted  Arrived = "accepted"
	Duplicate Arrived = "duplicate" // it is there already, or was
	Altered   Arrived = "altered"   // its id is there with another body: refused
)

// Receipt is the answer to a delivery.
type Receipt struct {
	// Delivery as it stands now; of a duplicate that was dropped for lack of room
	// only what came in.
	Delivery trigger.Delivery
	Arrived  Arrived
	// Emitted are to be published by whoever called.
	Emitted []events.Envelope
}

func deliveryPlace(id events.DeliveryID) place {
	return place{frontPartition(string(id)), events.DeliveryRef{Delivery: id}.Subject()}
}

func bodyDoc(id events.DeliveryID) protocol.DocID { return protocol.DocID("body/" + id) }

// Receive takes a delivery in: after it returned, it is in the ledger and will
// be worked on. The same one again changes nothing, for as long as the inbox
// remembers. What the header has of secrets is not kept. fn.Invalid where the
// body is larger than MostBody, fn.Exhausted where there is no room. What is to be
// published beside goes into the outbox with it, and into Emitted.
func (s *Front) Receive(ctx context.Context, function string, a trigger.Arrival, body []byte, beside ...events.Envelope) (Receipt, error) {
	if len(body) > MostBody {
		return Receipt{}, fn.Faultf(fn.Invalid, "state: a body of %d bytes is larger than %d", len(body), MostBody)
	}
	a.Digest, a.Size = digest(body), len(body)
	header := make(map[string][]string, len(a.Header))
	for name, value := range a.Header {
		header[name] = []string{value}
	}
	a.Header = trigger.Headers(header)
	packed, err := pack(body)
	if err != nil {
		return Receipt{}, err
	}
	a.Stored = int64(len(packed)) + headRoom
	var got Receipt
	at := deliveryPlace(a.ID())
	defer s.lock(at.partition)()
	_, err = s.retry(ctx, func() (Result, error) {
		f, tally, err := s.readDelivery(ctx, at)
		switch {
		case err != nil:
			return Result{}, err
		case f.there():
			got, err = s.repeat(ctx, at, f, a)
			got.Emitted = append(got.Emitted, beside...)
		default:
			got, err = s.accept(ctx, at, f, tally, arriving{function, a, packed, beside})
		}
		return Result{}, err
	})
	return got, err
}

type arriving struct {
	function string
	arrival  trigger.Arrival
	packed   []byte
	beside   []events.Envelope
}

func (s *Front) readDelivery(ctx context.Context, at place) (found[trigger.Delivery], protocol.Doc, error) {
	docs, moment, err := s.Store.Load(ctx, at.partition, at.doc(), tallyDoc)
	if err != nil {
		return found[trigger.Delivery]{}, protocol.Doc{}, fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	d, err := decoded[trigger.Delivery](docs[0])
	return found[trigger.Delivery]{d, docs[0], moment}, docs[1], err
}

func (s *Front) accept(ctx context.Context, at place, f found[trigger.Delivery], counted protocol.Doc, in arriving) (Receipt, error) {
	id := in.arrival.ID()
	cause := trigger.CauseOf(id, 1)
	em := f.emitter(at, in.function, cause)
	d := trigger.NewDelivery(em, in.arrival)
	doc, err := written(f.doc, d)
	if err != nil {
		return Receipt{}, err
	}
	c := protocol.Commit{
		Partition: at.partition, Inbox: inboxKey("deliveries", cause), Epoch: f.moment.Epoch,
		Puts:    []protocol.Doc{doc, {ID: bodyDoc(id), Version: 1, Body: in.packed}},
		Due:     []protocol.Due{{Name: at.subject, At: d.Due(s.nudge(), f.moment.Now)}},
		Queue:   []protocol.QueueOp{{Member: member(d), Score: float64(d.Received.UnixMilli())}},
		Emitted: append(em.Emitted(), in.beside...),
	}
	if err := s.makeRoom(ctx, &c, counted, d.Stored); err != nil {
		return Receipt{}, err
	}
	res, err := s.commit(ctx, c)
	if err != nil {
		return Receipt{}, err
	}
	if res.Duplicate {
		return Receipt{Delivery: *d, Arrived: Duplicate, Emitted: res.Emitted}, nil
	}
	return Receipt{Delivery: *d, Arrived: Accepted, Emitted: res.Emitted}, nil
}

// repeat counts a delivery that is there already. While nobody finished it,
// its work is asked for again, with the same event.
func (s *Front) repeat(ctx context.Context, at place, f found[trigger.Delivery], a trigger.Arrival) (Receipt, error) {
	d := f.value
	got := Receipt{Arrived: Duplicate}
	if !d.Repeat(a) {
		got.Arrived = Altered
	} else if !d.State.Final() {
		got.Emitted = []events.Envelope{d.Again(f.moment.Epoch)}
	}
	got.Delivery = *d
	doc, err := written(f.doc, d)
	if err != nil {
		return Receipt{}, err
	}
	_, err = s.commit(ctx, protocol.Commit{Partition: at.partition, Epoch: f.moment.Epoch, Puts: []protocol.Doc{doc}})
	return got, err
}

// deliver changes a delivery that is there; fn.NotFound where it is not.
func (s *Front) deliver(ctx context.Context, function string, cause events.Envelope, id events.DeliveryID, decide func(d *trigger.Delivery, em *events.Emitter) bool) (trigger.Delivery, Result, error) {
	var d trigger.Delivery
	res, err := apply(ctx, s, change[trigger.Delivery]{
		at: deliveryPlace(id), function: function, cause: cause,
		decide: func(f found[trigger.Delivery], em *events.Emitter) (bool, error) {
			if !f.there() {
				return false, noDelivery(id)
			}
			changed := decide(f.value, em)
			d = *f.value
			return changed, nil
		},
		due: func(d *trigger.Delivery, now time.Time) time.Time { return d.Due(s.nudge(), now) },
	})
	return d, res, err
}

func noDelivery(id events.DeliveryID) error {
	return fn.Faultf(fn.NotFound, "state: there is no delivery %s", id)
}

// Work begins the work on a round of a delivery, and gives it with its body.
// It tells false where there is nothing to do: the round is over, or it is to
// be tried later. Begun twice, it is worked on twice: what it does must be
// idempotent.
func (s *Front) Work(ctx context.Context, cause events.Envelope, id events.DeliveryID, round int) (trigger.Delivery, []byte, bool, error) {
	var work bool
	_, _, err := s.deliver(ctx, "delivery-received", cause, id, func(d *trigger.Delivery, em *events.Emitter) bool {
		work = d.Work(round, em.Now)
		return work
	})
	if err != nil || !work {
		return trigger.Delivery{}, nil, false, err
	}
	d, body, err := s.Delivery(ctx, id)
	return d, body, err == nil, err
}

// Finish notes what came of the work on a round. Of a round that is over
// nothing is noted.
func (s *Front) Finish(ctx context.Context, cause events.Envelope, id events.DeliveryID, round int, e trigger.Ending) (Result, error) {
	_, res, err := s.deliver(ctx, "delivery-received", cause, id, func(d *trigger.Delivery, em *events.Emitter) bool {
		if !d.End(round, e, em.Now) {
			return false
		}
		if e.Change != nil {
			em.Emit(*e.Change)
		}
		return true
	})
	return res, err
}

// Defer puts the work on a round off for a while, with the reason; the clock
// asks for it again.
func (s *Front) Defer(ctx context.Context, cause events.Envelope, id events.DeliveryID, round int, after time.Duration, reason string) error {
	_, _, err := s.deliver(ctx, "delivery-received", cause, id, func(d *trigger.Delivery, em *events.Emitter) bool {
		return d.Defer(round, em.Now.Add(after), reason)
	})
	return err
}

// Replay asks for another round of work on a delivery that is finished; one
// that is not goes on as it is, and nothing is emitted. By is who asks.
func (s *Front) Replay(ctx context.Context, function string, id events.DeliveryID, by string) (trigger.Delivery, Result, error) {
	return s.deliver(ctx, function, events.Envelope{}, id, func(d *trigger.Delivery, em *events.Emitter) bool {
		return d.Replay(em, by)
	})
}

// Delivery reads one with its body; fn.NotFound.
func (s *Front) Delivery(ctx context.Context, id events.DeliveryID) (trigger.Delivery, []byte, error) {
	at := deliveryPlace(id)
	docs, _, err := s.Store.Load(ctx, at.partition, at.doc(), bodyDoc(id))
	if err != nil {
		return trigger.Delivery{}, nil, fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	if docs[0].Version == 0 {
		return trigger.Delivery{}, nil, noDelivery(id)
	}
	d, err := decoded[trigger.Delivery](docs[0])
	if err != nil {
		return trigger.Delivery{}, nil, err
	}
	body, err := unpack(docs[1].Body)
	return *d, body, err
}

// fireDelivery asks again for work that nobody finished, and gives up what is
// older than the inbox remembers.
func (s *Front) fireDelivery(ctx context.Context, at place) (Result, []events.Envelope, error) {
	var again []events.Envelope
	_, err := apply(ctx, s, change[trigger.Delivery]{
		at: at, function: "clock-ticked",
		decide: func(f found[trigger.Delivery], em *events.Emitter) (bool, error) {
			again = nil
			d := f.value
			if f.there() && !d.State.Final() {
				if em.Now.Sub(d.Asked.At) > protocol.Horizon {
					return d.End(d.Round, trigger.Ending{Refused: true, Reason: "given up: " + cmp.Or(d.Reason, "nobody worked on it") + ", for 7 days"}, em.Now), nil
				}
				again = append(again, d.Again(em.Epoch))
			}
			return f.there(), nil
		},
		due: func(d *trigger.Delivery, now time.Time) time.Time { return d.Due(s.nudge(), now) },
	})
	return Result{}, again, err
}
