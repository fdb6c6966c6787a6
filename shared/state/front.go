package state

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Front changes what stands at the front doors: deliveries, reports to forges,
// reviews of forks, schedules, awaits and subscriptions. The zero values of its
// settings mean the defaults.
type Front struct {
	*Committer
	// Next computes the times of schedules; nil where nobody sets any.
	Next trigger.Next
	// Nudge is how long something waits before it is told again: 30 s.
	Nudge time.Duration
	// Grace is how late a tick of a schedule still counts as on time: 5 min.
	Grace time.Duration
	// Lease is how long one may take to tell a forge: 1 min. Calls of the forge
	// must end sooner.
	Lease time.Duration
	// Bytes of the deliveries that are kept, as stored: 512 MiB. What is finished
	// leaves first, the oldest first of all; where nothing is, none is taken in.
	Bytes int64
	// Most deliveries that are kept: 20,000.
	Most int
}

// frontPartitions is fixed: where something stands is derived from its name.
const frontPartitions = 16

// FrontPrefix begins the names of the front doors' partitions.
const FrontPrefix = "front:"

// frontPartition is where what belongs to an owner stands.
func frontPartition(owner string) protocol.Partition {
	h := fnv.New32a()
	h.Write([]byte(owner))
	return protocol.Partition(fmt.Sprintf("%s%02d", FrontPrefix, h.Sum32()%frontPartitions))
}

func repositoryPartition(forge, repository string) protocol.Partition {
	return frontPartition(forge + "/" + repository)
}

func (s *Front) nudge() time.Duration { return cmp.Or(s.Nudge, 30*time.Second) }

// place is where an aggregate of the front doors stands: its subject is the id
// of its document and the name of its due entry.
type place struct {
	partition protocol.Partition
	subject   string
}

func (p place) doc() protocol.DocID { return protocol.DocID(p.subject) }

// found is an aggregate as it was read.
type found[T any] struct {
	value  *T
	doc    protocol.Doc
	moment protocol.Moment
}

func (f found[T]) there() bool { return f.doc.Version > 0 }

func read[T any](ctx context.Context, s *Front, at place) (found[T], error) {
	docs, moment, err := s.Store.Load(ctx, at.partition, at.doc())
	if err != nil {
		return found[T]{}, fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	v, err := decoded[T](docs[0])
	return found[T]{v, docs[0], moment}, err
}

// decoded reads a document; an empty value where there is none.
func decoded[T any](d protocol.Doc) (*T, error) {
	v := new(T)
	if d.Version == 0 {
		return v, nil
	}
	if err := json.Unmarshal(d.Body, v); err != nil {
		return nil, fmt.Errorf("state: decode %s: %w", d.ID, err)
	}
	return v, nil
}

// written is the next version of a document.
func written(over protocol.Doc, v any) (protocol.Doc, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return protocol.Doc{}, fmt.Errorf("state: encode %s: %w", over.ID, err)
	}
	return protocol.Doc{ID: over.ID, Version: over.Version + 1, Body: body}, nil
}

func removed(d protocol.Doc) protocol.Doc { return protocol.Doc{ID: d.ID, Version: d.Version + 1} }

// change is how one aggregate is changed.
type change[T any] struct {
	at       place
	function string
	cause    events.Envelope
	// once, where set, names what of the cause the commit decides, in the inbox: a
	// commit whose reply was lost gets the first answer. Else it decides again.
	once   string
	decide func(f found[T], em *events.Emitter) (changed bool, err error)
	due    func(v *T, now time.Time) time.Time
	// beside, where set, are events of others' languages that the decision made.
	beside func() []events.Envelope
}

// apply loads, decides and commits. A decision that changes nothing commits
// nothing.
func apply[T any](ctx context.Context, s *Front, c change[T]) (Result, error) {
	defer s.lock(c.at.partition)()
	return s.retry(ctx, func() (Result, error) {
		f, err := read[T](ctx, s, c.at)
		if err != nil {
			return Result{}, err
		}
		if err := current(c.cause, f.moment); err != nil {
			return Result{}, err
		}
		em := f.emitter(c.at, c.function, c.cause)
		changed, err := c.decide(f, em)
		if err != nil || !changed {
			return Result{}, err
		}
		doc, err := written(f.doc, f.value)
		if err != nil {
			return Result{}, err
		}
		m := protocol.Commit{Partition: c.at.partition, Epoch: f.moment.Epoch, Puts: []protocol.Doc{doc}, Emitted: em.Emitted()}
		if c.once != "" && c.cause.ID != "" {
			m.Inbox = inboxKey(c.function, c.cause) + "/" + c.once
		}
		if c.beside != nil {
			m.Emitted = append(m.Emitted, c.beside()...)
		}
		if c.due != nil {
			m.Due = []protocol.Due{{Name: c.at.subject, At: c.due(f.value, f.moment.Now)}}
		}
		return s.commit(ctx, m)
	})
}

func (f found[T]) emitter(at place, function string, cause events.Envelope) *events.Emitter {
	return &events.Emitter{
		Function: function, Cause: cause, Now: f.moment.Now, Owner: at.subject,
		Version: f.doc.Version + 1, Epoch: f.moment.Epoch,
	}
}

// Fire lets what is due in a partition of the front doors do what time alone
// decides. It gives the events that its state asks to be sent again, beside
// those that it emitted.
func (s *Front) Fire(ctx context.Context, p protocol.Partition, name string) (Result, []events.Envelope, error) {
	at := place{p, name}
	kind, _, _ := strings.Cut(name, "/")
	switch {
	case kind == "delivery":
		return s.fireDelivery(ctx, at)
	case kind == "report":
		return s.fireReport(ctx, at)
	case kind == newsPrefix:
		return s.fireNews(ctx, at)
	case kind == "schedule":
		res, err := s.fireSchedule(ctx, at)
		return res, nil, err
	case strings.HasPrefix(kind, awaitPrefix), strings.HasPrefix(kind, recentPrefix):
		return Result{}, nil, s.drop(ctx, at)
	}
	return Result{}, nil, fn.Faultf(fn.Invalid, "state: %q is nothing of the front doors", name)
}

// drop removes an aggregate with its due entry.
func (s *Front) drop(ctx context.Context, at place) error {
	defer s.lock(at.partition)()
	_, err := s.retry(ctx, func() (Result, error) {
		docs, _, err := s.Store.Load(ctx, at.partition, at.doc())
		if err != nil {
			return Result{}, fmt.Errorf("state: load %s: %w", at.subject, err)
		}
		c := protocol.Commit{Partition: at.partition, Due: []protocol.Due{{Name: at.subject}}}
		if docs[0].Version > 0 {
			c.Puts = []protocol.Doc{removed(docs[0])}
		} else {
			c.Checks = docs[:1] // else one that comes to be meanwhile loses its due entry
		}
		return s.commit(ctx, c)
	})
	return err
}

// Retire drops what is past its time in a partition of the front doors:
// deliveries that were received, and reports that changed last, before the
// given time; reviews that nobody touched for much longer.
func (s *Front) Retire(ctx context.Context, p protocol.Partition, before time.Time) error {
	if err := s.retireDeliveries(ctx, p, before); err != nil {
		return err
	}
	if err := retireDocs(ctx, s, p, "report", func(r *trigger.Report) bool { return r.Changed.Before(before) }); err != nil {
		return err
	}
	old := before.Add(-reviewsFor)
	return retireDocs(ctx, s, p, "pull", func(r *trigger.Review) bool { return r.Changed.Before(old) })
}

// reviewsFor is how long a review stays beyond other things: without it a
// pull request must be approved again.
const reviewsFor = 30 * 24 * time.Hour

func retireDocs[T any](ctx context.Context, s *Front, p protocol.Partition, kind string, over func(*T) bool) error {
	docs, err := s.Store.List(ctx, p, kind)
	if err != nil {
		return fmt.Errorf("state: list %s of %s: %w", kind, p, err)
	}
	for _, d := range docs {
		v, err := decoded[T](d)
		if err != nil {
			return err
		}
		if !over(v) {
			continue
		}
		_, err = s.Store.Commit(ctx, protocol.Commit{Partition: p, Puts: []protocol.Doc{removed(d)}, Due: []protocol.Due{{Name: string(d.ID)}}})
		if err != nil && !conflicted(err) {
			return err
		}
	}
	return nil
}
