package main

import (
	"context"
	"errors"
	"time"

	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// backing is the store that the world's faults are put upon.
type backing interface{ protocol.Store }

func memoryBacking(clock func() time.Time) backing { return memory.New(clock, "sim") }

// errInjected is a fault of the network or the store.
var errInjected = errors.New("sim: injected fault")

// crash ends the process in the middle of a handler, by way of a panic that
// the world recovers.
type crash struct{}

// faultyStore loses replies, refuses calls and crashes its caller, and lets
// others act between a caller's load and its commit.
type faultyStore struct {
	protocol.Store
	w     *World
	away  time.Time // until then nothing answers
	dirty map[protocol.Partition]bool
	known map[protocol.Partition]bool
	all   []protocol.Partition // what Partitions answered last; nil once stale
}

func newFaultyStore(w *World, b backing) *faultyStore {
	return &faultyStore{
		Store: b, w: w, dirty: map[protocol.Partition]bool{}, known: map[protocol.Partition]bool{},
	}
}

// down tells that a call does not get through.
func (s *faultyStore) down() bool {
	switch {
	case s.w.now.Before(s.away) && !s.w.calm:
		s.w.count("store away for a while")
	case s.w.chance(s.w.faults.StoreDown):
		s.w.count("store not reached")
	default:
		return false
	}
	return true
}

// Load fails now and then.
func (s *faultyStore) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	if s.down() {
		return nil, protocol.Moment{}, errInjected
	}
	return s.Store.Load(ctx, p, ids...)
}

// Partitions is asked at every tick; the answer changes with a new partition
// alone.
func (s *faultyStore) Partitions(ctx context.Context) ([]protocol.Partition, error) {
	if s.all == nil {
		all, err := s.Store.Partitions(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			s.known[p] = true
		}
		s.all = all
	}
	return s.all, nil
}

// Commit fails before or after its effect, or crashes the caller after it.
// Before it, others may act, and the store may even lose what they did.
func (s *faultyStore) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	w := s.w
	if s.down() {
		return protocol.Receipt{}, errInjected
	}
	switch {
	case w.nested:
	case w.chance(w.faults.RestartInside):
		w.restartInside()
	case w.chance(w.faults.Suspend):
		w.suspended()
	case w.chance(w.faults.Interleave):
		w.count("other processes act between load and commit")
		w.meanwhile()
	}
	if !s.known[c.Partition] {
		s.all = nil
	}
	r, err := s.Store.Commit(ctx, c)
	if err != nil {
		w.count("commit refused: conflict")
		if errors.Is(err, protocol.ErrConflict) {
			err = protocol.ErrConflict // every store has its own words
		}
		return r, err
	}
	s.dirty[c.Partition] = true
	if w.live && w.chance(w.faults.CrashInside) {
		w.count("crash right after a commit")
		panic(crash{})
	}
	if w.chance(w.faults.CommitReplyLost) {
		w.count("reply to a commit lost")
		return protocol.Receipt{}, errInjected
	}
	return r, nil
}

// restarts lets the store lose its last milliseconds, or go away for a while,
// now and then.
func (w *World) restarts() {
	for range 3 {
		if w.chance(w.faults.Outage) {
			w.after(w.between(0, stormFor-time.Minute), func() {
				w.store.away = w.now.Add(w.between(2*time.Second, time.Minute))
			})
		}
	}
	m, ok := w.store.Store.(*memory.Store)
	if !ok {
		return
	}
	for range 3 {
		if !w.chance(w.faults.Restart) {
			continue
		}
		w.after(w.between(0, stormFor-10*time.Second), func() {
			snap, most := w.moment(m), 30*time.Millisecond
			if w.rng.IntN(2) == 0 {
				most = time.Second // as with a file that is fsynced every second
			}
			w.after(w.between(0, most), func() { w.restart(m, snap) })
		})
	}
}

// restart takes the store back to a snapshot. The processes may live on.
func (w *World) restart(m *memory.Store, to moment) {
	w.count("store restarted, last milliseconds lost")
	w.note("restart")
	w.life++
	m.Restore(to.docs)
	w.rows.Memory = to.rows
	if w.rng.IntN(2) == 0 && !w.nested && w.checks.ticking == nil {
		w.bootAll()
	}
	w.checks.rolledBack()
	for _, n := range sortedKeys(w.declared) {
		w.after(0, func() { w.declare(w.declared[n]) })
	}
}

// restartInside lets others act while a caller is between its load and its
// commit, and the store lose just that.
func (w *World) restartInside() {
	m, ok := w.store.Store.(*memory.Store)
	if !ok {
		return
	}
	w.count("store restarted between a load and its commit")
	snap := w.moment(m)
	w.meanwhile()
	w.restart(m, snap)
}
