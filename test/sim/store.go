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

// faultyStore loses replies, refuses calls and crashes its caller.
type faultyStore struct {
	protocol.Store
	w *World
}

func newFaultyStore(w *World, b backing) *faultyStore { return &faultyStore{Store: b, w: w} }

// Load fails now and then.
func (s *faultyStore) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	if s.w.chance(s.w.faults.StoreDown) {
		s.w.count("store not reached")
		return nil, protocol.Moment{}, errInjected
	}
	return s.Store.Load(ctx, p, ids...)
}

// Commit fails before or after its effect, or crashes the caller after it.
func (s *faultyStore) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if s.w.chance(s.w.faults.StoreDown) {
		s.w.count("store not reached")
		return protocol.Receipt{}, errInjected
	}
	r, err := s.Store.Commit(ctx, c)
	if err != nil {
		return r, err
	}
	if s.w.live && s.w.chance(s.w.faults.CrashInside) {
		s.w.count("crash right after a commit")
		panic(crash{})
	}
	if s.w.chance(s.w.faults.CommitReplyLost) {
		s.w.count("reply to a commit lost")
		return protocol.Receipt{}, errInjected
	}
	return r, nil
}
