package state

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Pools changes pools. It keeps the pools that it loaded: a pool's root
// document is written with every change, so its version tells whether what is
// kept still holds.
type Pools struct {
	*Committer
	Settings scheduling.Settings
	// Policies of the pools that are configured.
	Policies map[events.PoolID]scheduling.Policy

	kept map[events.PoolID]*kept // guarded by the partition's lock
}

type kept struct {
	pool     *scheduling.Pool
	versions map[protocol.DocID]uint64
	epoch    uint32
	queued   int // in the store's queue, of which pool.Queue is the head
	head     int // how much of it was asked for
}

// headSize is how much of a queue a planner sees. Where nothing of it fits and
// a node has room, it sees four times as much, up to maxHead: what stands behind
// that waits for the next change.
const (
	headSize = 64
	maxHead  = 16 * headSize
)

const rootDoc protocol.DocID = "pool/root"

// PoolDecision changes a pool.
type PoolDecision func(p *scheduling.Pool, em *events.Emitter) error

// Change lets decide change a pool. absorb tells whether the cause itself is
// part of the pool's history. The offers named in need are loaded even when
// they stand far back in the queue.
func (s *Pools) Change(ctx context.Context, function string, cause events.Envelope, id events.PoolID, need []events.OfferID, absorb bool, decide PoolDecision) (Result, error) {
	p := protocol.PoolPartition(id)
	defer s.lock(p)()
	return s.retry(ctx, func() (Result, error) {
		k, em, err := s.decide(ctx, function, cause, id, need, decide)
		if err != nil {
			return Result{}, err
		}
		if !k.pool.Changes().Dirty() {
			return Result{Emitted: em.Emitted()}, nil
		}
		c, err := k.commit(p, function, cause, absorb, em)
		if err != nil {
			s.forget(id)
			return Result{}, err
		}
		c.Epoch = em.Epoch
		res, err := s.commit(ctx, c)
		if err != nil || res.Duplicate {
			s.forget(id)
			return res, err
		}
		k.committed(c)
		return res, nil
	})
}

// decide lets decide change the pool, with more of the queue in view where
// nothing of its head fits.
func (s *Pools) decide(ctx context.Context, function string, cause events.Envelope, id events.PoolID, need []events.OfferID, decide PoolDecision) (*kept, *events.Emitter, error) {
	for head := headSize; ; head *= 4 {
		k, moment, err := s.open(ctx, id, need, head)
		if err != nil {
			return nil, nil, err
		}
		if err := current(cause, moment); err != nil {
			return nil, nil, err
		}
		more := k.queued - len(k.pool.Queue)
		k.pool.Begin()
		em := &events.Emitter{Function: function, Cause: cause, Now: moment.Now, Owner: "pool/" + string(id) + "/", Version: k.versions[rootDoc] + 1, Epoch: moment.Epoch}
		err = cmp.Or(decide(k.pool, em), k.pool.Err())
		if err != nil {
			s.forget(id)
			return nil, nil, err
		}
		if more <= 0 || k.head >= maxHead || placed(em) || !k.pool.Room() {
			return k, em, nil
		}
		head = k.head
		s.forget(id)
	}
}

func placed(em *events.Emitter) bool {
	return slices.ContainsFunc(em.Emitted(), func(e events.Envelope) bool { return e.Type == events.TypeAssignmentCreated })
}

func (s *Pools) forget(id events.PoolID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, id)
}

func (s *Pools) keep(id events.PoolID, k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[events.PoolID]*kept{}
	}
	s.kept[id] = k
}

func (s *Pools) keptPool(id events.PoolID) *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[id]
}

// open gives the pool as it stands in the store. The root is read first: if
// its version holds at the commit, all that was read after it holds too.
func (s *Pools) open(ctx context.Context, id events.PoolID, need []events.OfferID, head int) (*kept, protocol.Moment, error) {
	p := protocol.PoolPartition(id)
	docs, moment, err := s.Store.Load(ctx, p, rootDoc)
	if err != nil {
		return nil, moment, fmt.Errorf("state: load pool %s: %w", id, err)
	}
	k := s.keptPool(id)
	if k == nil || k.versions[rootDoc] != docs[0].Version || k.epoch != moment.Epoch || k.thin() {
		if k, err = s.read(ctx, p, id, docs[0], head); err != nil {
			s.forget(id)
			return nil, moment, err
		}
		k.epoch = moment.Epoch
		s.keep(id, k)
	}
	for _, o := range need {
		if _, ok := k.pool.Queue[o]; !ok {
			if err := s.readOffers(ctx, p, k, []string{string(o)}); err != nil {
				return nil, moment, err
			}
		}
	}
	return k, moment, nil
}

// thin tells that the known head is short while more is queued.
func (k *kept) thin() bool {
	return len(k.pool.Queue) < k.queued && len(k.pool.Queue) < headSize/4
}

func (s *Pools) read(ctx context.Context, p protocol.Partition, id events.PoolID, root protocol.Doc, most int) (*kept, error) {
	r := scheduling.Root{ID: id}
	if root.Version > 0 {
		if err := json.Unmarshal(root.Body, &r); err != nil {
			return nil, fmt.Errorf("state: decode pool %s: %w", id, err)
		}
	}
	if policy, ok := s.Policies[id]; ok {
		r.Policy = policy
	}
	k := &kept{pool: scheduling.NewPool(r, s.Settings), versions: map[protocol.DocID]uint64{rootDoc: root.Version}, head: most}
	if err := list(ctx, s.Store, p, k, "node", func(n scheduling.Node) { k.pool.Nodes[n.Node] = n }); err != nil {
		return nil, err
	}
	if err := list(ctx, s.Store, p, k, "held", func(h scheduling.Held) { k.pool.Held[h.Assignment] = h }); err != nil {
		return nil, err
	}
	head, length, err := s.Store.Head(ctx, p, most)
	if err != nil {
		return nil, fmt.Errorf("state: read queue of pool %s: %w", id, err)
	}
	k.queued = length
	return k, s.readOffers(ctx, p, k, head)
}

func (s *Pools) readOffers(ctx context.Context, p protocol.Partition, k *kept, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	names := make([]protocol.DocID, len(ids))
	for i, id := range ids {
		names[i] = protocol.DocID("offer/" + id)
	}
	docs, _, err := s.Store.Load(ctx, p, names...)
	if err != nil {
		return fmt.Errorf("state: load offers: %w", err)
	}
	for _, d := range docs {
		if d.Version == 0 {
			continue
		}
		var o scheduling.Offer
		if err := json.Unmarshal(d.Body, &o); err != nil {
			return fmt.Errorf("state: decode %s: %w", d.ID, err)
		}
		k.pool.Queue[o.Offer] = o
		k.versions[d.ID] = d.Version
	}
	return nil
}

func list[T any](ctx context.Context, store protocol.Store, p protocol.Partition, k *kept, kind string, add func(T)) error {
	docs, err := store.List(ctx, p, kind)
	if err != nil {
		return fmt.Errorf("state: list %s of %s: %w", kind, p, err)
	}
	for _, d := range docs {
		var v T
		if err := json.Unmarshal(d.Body, &v); err != nil {
			return fmt.Errorf("state: decode %s: %w", d.ID, err)
		}
		add(v)
		k.versions[d.ID] = d.Version
	}
	return nil
}

// commit turns the pool's changes into a commit.
func (k *kept) commit(p protocol.Partition, function string, cause events.Envelope, absorb bool, em *events.Emitter) (protocol.Commit, error) {
	c := protocol.Commit{Partition: p, Inbox: inboxKey(function, cause), Emitted: em.Emitted(), Due: dues(k.pool.Dues(em.Now))}
	if absorb {
		c.Absorbed = []events.Envelope{cause}
	}
	put := func(id protocol.DocID, v any, gone bool) error {
		d := protocol.Doc{ID: id, Version: k.versions[id] + 1}
		if gone {
			if k.versions[id] == 0 {
				return nil // made and gone within this decision
			}
		} else {
			body, err := json.Marshal(v)
			if err != nil {
				return fmt.Errorf("state: encode %s: %w", id, err)
			}
			d.Body = body
		}
		c.Puts = append(c.Puts, d)
		return nil
	}
	err := put(rootDoc, k.pool.Root, false)
	changes := k.pool.Changes()
	for id, n := range changes.Nodes {
		err = cmp.Or(err, put(protocol.DocID("node/"+id), n, n == nil))
	}
	for id, h := range changes.Held {
		err = cmp.Or(err, put(protocol.DocID("held/"+id), h, h == nil))
	}
	for id, o := range changes.Offers {
		err = cmp.Or(err, put(protocol.DocID("offer/"+id), o, o == nil))
		if o != nil {
			c.Queue = append(c.Queue, protocol.QueueOp{Member: string(id), Score: score(*o)})
		} else if k.versions[protocol.DocID("offer/"+id)] > 0 {
			c.Queue = append(c.Queue, protocol.QueueOp{Member: string(id), Remove: true})
		}
	}
	slices.SortFunc(c.Puts, func(a, b protocol.Doc) int { return strings.Compare(string(a.ID), string(b.ID)) })
	slices.SortFunc(c.Queue, func(a, b protocol.QueueOp) int { return strings.Compare(a.Member, b.Member) })
	return c, err
}

// score puts priority first and the order of arrival second; both are exact in
// a float64: |priority| ≤ 100, fewer than 2^40 offers.
func score(o scheduling.Offer) float64 {
	return -float64(o.Priority)*(1<<40) + float64(o.Order)
}

// committed moves the kept versions on with a commit that was made.
func (k *kept) committed(c protocol.Commit) {
	for _, d := range c.Puts {
		if d.Body == nil {
			delete(k.versions, d.ID)
		} else {
			k.versions[d.ID] = d.Version
		}
	}
	for _, q := range c.Queue {
		if q.Remove {
			k.queued--
		} else {
			k.queued++
		}
	}
	if len(k.pool.Queue) > 4*k.head {
		for _, o := range k.pool.Sorted()[2*k.head:] {
			delete(k.pool.Queue, o.Offer)
			delete(k.versions, protocol.DocID("offer/"+o.Offer))
		}
	}
}

// Look gives a pool for reading, as it stands in the store.
func (s *Pools) Look(ctx context.Context, id events.PoolID) (*scheduling.Pool, protocol.Moment, error) {
	p := protocol.PoolPartition(id)
	docs, moment, err := s.Store.Load(ctx, p, rootDoc)
	if err != nil {
		return nil, moment, fmt.Errorf("state: load pool %s: %w", id, err)
	}
	k, err := s.read(ctx, p, id, docs[0], headSize)
	if err != nil {
		return nil, moment, err
	}
	return k.pool, moment, nil
}

// Fire lets a due offer or assignment of a pool decide, and returns the events
// to be sent again.
func (s *Pools) Fire(ctx context.Context, p protocol.Partition, subject string) (Result, []events.Envelope, error) {
	id := events.PoolID(strings.TrimPrefix(string(p), "pool:"))
	rest, ok := strings.CutPrefix(subject, "pool/"+string(id)+"/")
	kind, name, ok2 := strings.Cut(rest, "/")
	switch {
	case !ok || !ok2:
		return Result{}, nil, fn.Faultf(fn.Invalid, "state: %q is not of %s", subject, p)
	case kind == "offer":
		return s.fireOffer(ctx, id, subject, events.OfferID(name))
	}
	return s.fireAssignment(ctx, p, id, subject, events.AssignmentID(name))
}

func (s *Pools) fireOffer(ctx context.Context, id events.PoolID, subject string, offer events.OfferID) (Result, []events.Envelope, error) {
	timer := events.Envelope{ID: events.DeriveID(subject, "expiry"), Source: "/relevo/clock-ticked", Subject: subject}
	res, err := s.Change(ctx, "clock-ticked", timer, id, []events.OfferID{offer}, false,
		func(p *scheduling.Pool, em *events.Emitter) error {
			if o, ok := p.Queue[offer]; ok {
				em.Cause.CauseID = o.Cause
			}
			p.Expire(em, offer)
			return nil
		})
	return res, nil, err
}

// fireAssignment moves the due entry on and tells of the assignment again.
func (s *Pools) fireAssignment(ctx context.Context, p protocol.Partition, id events.PoolID, subject string, a events.AssignmentID) (Result, []events.Envelope, error) {
	defer s.lock(p)()
	doc := protocol.DocID("held/" + a)
	docs, moment, err := s.Store.Load(ctx, p, doc)
	if err != nil || docs[0].Version == 0 {
		return Result{}, nil, err
	}
	var h scheduling.Held
	if err := json.Unmarshal(docs[0].Body, &h); err != nil {
		return Result{}, nil, fmt.Errorf("state: decode %s: %w", doc, err)
	}
	pool := scheduling.NewPool(scheduling.Root{ID: id}, s.Settings)
	_, err = s.commit(ctx, protocol.Commit{
		Partition: p, Checks: docs, Epoch: moment.Epoch,
		Due: []protocol.Due{{Name: subject, At: pool.NudgeAt(h, moment.Now)}},
	})
	return Result{}, stamped([]events.Envelope{pool.Again(h)}, moment.Epoch), err
}
