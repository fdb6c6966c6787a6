package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Tombstone is what stays of a run that was retired: enough to answer what
// became of it, and to refuse its id to another.
type Tombstone struct {
	Run      events.RunID      `json:"run"`
	Pipeline string            `json:"pipeline"`
	State    pipeline.RunState `json:"state"`
	Verdict  events.Verdict    `json:"verdict,omitempty"`
	Ended    time.Time         `json:"ended"`
}

func tombDoc(id events.RunID) protocol.DocID { return protocol.DocID("tomb/" + id) }

// Retire drops the runs of a partition that ended before the given time, and
// the tombstones that are older by another horizon. It tells which runs went.
//
// What else there is of a run, such as its logs, forget drops first: once the
// run is gone nobody knows of it any more. Where that fails the run stays, and
// the next pass tries again. It may be called twice for a run; nil: there is
// nothing else.
func (s *Runs) Retire(ctx context.Context, p protocol.Partition, before time.Time, forget func(context.Context, events.RunID) error) ([]events.RunID, error) {
	docs, err := s.Store.List(ctx, p, "run")
	if err != nil {
		return nil, fmt.Errorf("state: list runs of %s: %w", p, err)
	}
	var gone []events.RunID
	var errs []error
	for _, d := range docs {
		var run pipeline.Run
		if err := json.Unmarshal(d.Body, &run); err != nil {
			return gone, fmt.Errorf("state: decode %s: %w", d.ID, err)
		}
		if !run.State.Final() || !run.Ended.Before(before) {
			continue
		}
		if forget != nil {
			if err := forget(ctx, run.ID); err != nil {
				errs = append(errs, fmt.Errorf("state: forget what there is of run %s: %w", run.ID, err))
				continue
			}
		}
		t := Tombstone{Run: run.ID, Pipeline: run.Pipeline, State: run.State, Verdict: run.Verdict, Ended: run.Ended}
		if err := s.bury(ctx, p, d, t); err != nil {
			if errors.Is(err, protocol.ErrConflict) {
				continue // somebody else did, or it changed: the next pass sees
			}
			return gone, err
		}
		gone = append(gone, run.ID)
	}
	return gone, errors.Join(append(errs, s.forgetTombs(ctx, p, before.Add(-protocol.Horizon)))...)
}

func (s *Runs) bury(ctx context.Context, p protocol.Partition, run protocol.Doc, t Tombstone) error {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("state: encode tombstone: %w", err)
	}
	_, err = s.Store.Commit(ctx, protocol.Commit{Partition: p, Puts: []protocol.Doc{
		{ID: run.ID, Version: run.Version + 1},
		{ID: requestDoc(t.Run), Version: 2},
		{ID: tombDoc(t.Run), Version: 1, Body: body},
	}})
	return err
}

func (s *Runs) forgetTombs(ctx context.Context, p protocol.Partition, before time.Time) error {
	docs, err := s.Store.List(ctx, p, "tomb")
	if err != nil {
		return fmt.Errorf("state: list tombstones of %s: %w", p, err)
	}
	for _, d := range docs {
		var t Tombstone
		if err := json.Unmarshal(d.Body, &t); err != nil {
			return fmt.Errorf("state: decode %s: %w", d.ID, err)
		}
		if !t.Ended.Before(before) {
			continue
		}
		_, err := s.Store.Commit(ctx, protocol.Commit{Partition: p, Puts: []protocol.Doc{{ID: d.ID, Version: d.Version + 1}}})
		if err != nil && !errors.Is(err, protocol.ErrConflict) {
			return err
		}
	}
	return nil
}
