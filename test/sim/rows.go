package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/view"
)

// rows are the read models, which stand in the store that documents stand in:
// they are away with it, and lose with it.
type rows struct {
	*view.Memory
	w      *World
	chance *rand.Rand // of its own: a seed's other faults stay what they are
}

func newRows(w *World) *rows {
	return &rows{Memory: view.NewMemory(), w: w, chance: rand.New(rand.NewPCG(w.seed, 0x2085))}
}

// Put fails now and then, before or after its effect.
func (r *rows) Put(ctx context.Context, list ...view.Row) error {
	w := r.w
	fault := func(p float64) bool { return !w.calm && r.chance.Float64() < p }
	if w.now.Before(w.store.away) && !w.calm || fault(w.faults.StoreDown) {
		w.count("row not written")
		return errInjected
	}
	if err := r.Memory.Put(ctx, list...); err != nil {
		return err
	}
	if fault(w.faults.CommitReplyLost) {
		return errInjected
	}
	return nil
}

// moment is all that the store held.
type moment struct {
	docs memory.Snapshot
	rows *view.Memory
}

func (w *World) moment(m *memory.Store) moment {
	ctx, copied := context.Background(), view.NewMemory()
	for _, kind := range view.Kinds {
		list, _ := w.rows.Page(ctx, kind, view.All, "", 1<<30)
		_ = copied.Put(ctx, list...)
	}
	return moment{docs: m.Snapshot(), rows: copied}
}

// How long rows may be behind, or not be there at all, once nothing else is left to
// do. What is behind is looked for; a run that was over before anybody could put a
// row of it shows when all are projected again, once an hour.
const (
	rowsWithin    = 5 * time.Minute
	missingWithin = time.Hour + rowsWithin
)

// stale is behind, and fails where it is so for too long.
func (w *World) stale() string {
	why, within := w.behind()
	switch {
	case why == "":
		w.settled = time.Time{}
	case w.settled.IsZero():
		w.settled = w.now
	case w.now.Sub(w.settled) > within:
		w.checks.fail("%s, for %s", why, w.now.Sub(w.settled))
	}
	return why
}

// behind names rows that do not say what their document says, and how long that
// may be.
func (w *World) behind() (why string, within time.Duration) {
	ctx := context.Background()
	for _, id := range sortedKeys(w.checks.runs) {
		one := w.behindOf(ctx, id)
		if one == "" {
			continue
		}
		if row, _ := w.rows.Get(ctx, view.Runs, string(id)); len(row) > 0 {
			return one, rowsWithin
		}
		why, within = one, missingWithin
	}
	return why, within
}

func (w *World) behindOf(ctx context.Context, id events.RunID) string {
	docs, _, _ := w.store.Store.Load(ctx, protocol.PartitionOf(id), protocol.DocID("run/"+id), protocol.DocID("request/"+id))
	if docs[0].Version == 0 || docs[1].Version == 0 {
		return ""
	}
	run, err := pipeline.Load(docs[0].Body, docs[1].Body, pipeline.Policy{})
	if err != nil {
		return err.Error()
	}
	want, err := view.OfAll(run, docs[0].Version)
	if err != nil {
		return err.Error()
	}
	for _, row := range want {
		got, err := w.rows.Get(ctx, row.Kind, row.ID)
		if err != nil || len(got) == 0 {
			return fmt.Sprintf("L1: %s %s has no row", row.Kind, row.ID)
		}
		if !bytes.Equal(got[0].Body, row.Body) || !slices.Equal(got[0].Indexes, row.Indexes) {
			return fmt.Sprintf("L1: the row of %s %s says %s, its document %s", row.Kind, row.ID, got[0].Body, row.Body)
		}
	}
	return ""
}
