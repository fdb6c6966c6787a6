package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/view"
)

// Mended is how far mending has come.
type Mended struct {
	// Next is where to go on; empty: every live run was looked at.
	Next view.Cursor
	// Seen are the versions of the runs that were looked at.
	Seen map[events.RunID]uint64
	// Rows were put.
	Rows int
}

// errUnreadable: a document makes no rows, and never will.
var errUnreadable = errors.New("state: a document cannot be read")

// mostMended is how many runs one call looks at.
const mostMended = 1000

// Mend looks at the runs that are not over, as their rows have it, newest first
// from a place on, and puts what their documents say: a row whose event was lost
// would else never change again. Runs in the version of seen are passed over.
func (v *Views) Mend(ctx context.Context, after view.Cursor, seen map[events.RunID]uint64) (Mended, error) {
	found, err := view.Find(ctx, v.View, view.Query{
		Kind: view.Runs, After: after, Limit: mostMended,
		Where: map[string][]string{"state": {string(pipeline.RunRequested), string(pipeline.RunRunning)}},
	})
	if err != nil {
		return Mended{}, fmt.Errorf("state: find live runs: %w", err)
	}
	m := Mended{Next: found.Next, Seen: make(map[events.RunID]uint64, len(found.Rows))}
	for _, row := range found.Rows {
		id := events.RunID(row.ID)
		rows, version, err := v.rowsOf(ctx, id, seen[id])
		if errors.Is(err, errUnreadable) {
			slog.WarnContext(ctx, "state: a run has no rows", "run", id, "error", err)
			err = nil
		}
		if err == nil {
			err = v.View.Put(ctx, rows...)
		}
		if err != nil {
			return m, err
		}
		m.Seen[id] = version
		m.Rows += len(rows)
	}
	return m, nil
}

// rowsOf projects all of a run, and tells its version; none where it is gone, or
// is in the version that is known.
func (v *Views) rowsOf(ctx context.Context, id events.RunID, known uint64) ([]view.Row, uint64, error) {
	run, version, err := v.load(ctx, id, known)
	if err != nil || run == nil {
		return nil, version, err
	}
	rows, err := view.OfAll(run, version)
	return rows, version, err
}

// load reads a run as it is now, and its version; nil where it is gone, or is in
// the version that is known. errUnreadable.
func (v *Views) load(ctx context.Context, id events.RunID, known uint64) (*pipeline.Run, uint64, error) {
	docs, _, err := v.Store.Load(ctx, protocol.PartitionOf(id), runDoc(id), requestDoc(id))
	if err != nil {
		return nil, 0, fmt.Errorf("state: load run %s: %w", id, err)
	}
	version := docs[0].Version
	if version == 0 || docs[1].Version == 0 || version == known {
		return nil, version, nil
	}
	run, err := pipeline.Load(docs[0].Body, docs[1].Body, pipeline.Policy{})
	if err != nil {
		return nil, version, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return run, version, nil
}

// Fill puts the rows of those runs that have none, which Mend does not find.
func (v *Views) Fill(ctx context.Context, ids ...events.RunID) error {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	known, err := v.View.Get(ctx, view.Runs, names...)
	if err != nil {
		return fmt.Errorf("state: look for rows: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if slices.ContainsFunc(known, func(r view.Row) bool { return r.ID == string(id) }) {
			continue
		}
		rows, _, err := v.rowsOf(ctx, id, 0)
		if err == nil {
			err = v.View.Put(ctx, rows...)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Again projects every document of a partition once more.
func (v *Views) Again(ctx context.Context, p protocol.Partition) error {
	return v.projectAll(ctx, p, &Rebuilt{})
}
