package state

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/view"
)

// Views keeps the read models up with the documents. All of it may be done
// again, late, and by several at once: a row is what its document says.
type Views struct {
	Store protocol.Store
	View  view.Store
}

// Project puts the rows of what an event tells of, as the document is now. Of a
// run's event about one job that is the rows of the run and of that job, while the
// run goes on. What is not there any more is left alone.
func (v *Views) Project(ctx context.Context, e events.Envelope) error {
	switch {
	case e.Type == events.TypeDeliveryReceived:
		_, id, _ := strings.Cut(e.Subject, "/")
		return v.projectDelivery(ctx, events.DeliveryID(id))
	case e.RunID != "" && strings.HasPrefix(string(e.Type), ofPipeline):
		return v.projectRun(ctx, events.RunID(e.RunID), jobIn(e))
	}
	return nil
}

const ofPipeline = "dev.relevo.pipeline."

// jobIn is the job that an event is about; empty where it is about all of the run.
func jobIn(e events.Envelope) events.JobKey {
	var data struct {
		Job events.JobKey `json:"job"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data.Job
}

func (v *Views) projectRun(ctx context.Context, id events.RunID, job events.JobKey) error {
	run, version, err := v.load(ctx, id, 0)
	if err != nil || run == nil {
		return err
	}
	if job == "" || run.State.Final() { // what is not over by its row is looked at again
		return v.putRun(ctx, run, version)
	}
	row, err := view.OfRun(run, version)
	if err != nil {
		return err
	}
	rows := []view.Row{row}
	if j := run.Job(job); j != nil {
		if row, err = view.OfJob(run, j, version); err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return v.View.Put(ctx, rows...)
}

func (v *Views) putRun(ctx context.Context, run *pipeline.Run, version uint64) error {
	rows, err := view.OfAll(run, version)
	if err != nil {
		return err
	}
	return v.View.Put(ctx, rows...)
}

func (v *Views) projectDelivery(ctx context.Context, id events.DeliveryID) error {
	at := deliveryPlace(id)
	docs, _, err := v.Store.Load(ctx, at.partition, at.doc())
	if err != nil {
		return fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	if docs[0].Version == 0 {
		return nil
	}
	return v.putDelivery(ctx, docs[0])
}

func (v *Views) putDelivery(ctx context.Context, doc protocol.Doc) error {
	d, err := decoded[trigger.Delivery](doc)
	if err != nil {
		return err
	}
	row, err := view.OfDelivery(*d, doc.Version)
	if err != nil {
		return err
	}
	return v.View.Put(ctx, row)
}

// Forget drops the rows of a run that is about to be retired.
func (v *Views) Forget(ctx context.Context, id events.RunID) error {
	docs, _, err := v.Store.Load(ctx, protocol.PartitionOf(id), runDoc(id))
	if err != nil {
		return fmt.Errorf("state: load run %s: %w", id, err)
	}
	var run pipeline.Run
	if docs[0].Version > 0 {
		if err := json.Unmarshal(docs[0].Body, &run); err != nil {
			return fmt.Errorf("state: decode run %s: %w", id, err)
		}
	}
	ids := make([]string, len(run.Jobs))
	for i, j := range run.Jobs {
		ids[i] = view.JobID(id, j.Key)
	}
	if err := v.View.Delete(ctx, view.Jobs, view.Last, ids...); err != nil {
		return err
	}
	return v.View.Delete(ctx, view.Runs, view.Last, string(id))
}

// Forgetting drops, before a run is retired, what rest drops and then its rows:
// while that fails the run stays, and the next pass tries again. rest may be nil.
func (v *Views) Forgetting(rest func(context.Context, events.RunID) error) func(context.Context, events.RunID) error {
	return func(ctx context.Context, id events.RunID) error {
		if rest != nil {
			if err := rest(ctx, id); err != nil {
				return err
			}
		}
		return v.Forget(ctx, id)
	}
}

// patience is how long a commit that was made may wait for its rows.
const patience = 2 * time.Second

// Keep is the store with read models that are written right after each commit
// that makes a run or changes a delivery: whoever was told that it stands finds it
// in a list at once. That is best effort, for the commit stands already: events
// bring the same rows, and more, wherever this fails.
func (v *Views) Keep() protocol.Store { return keeper{v.Store, v} }

type keeper struct {
	protocol.Store
	views *Views
}

// Commit commits, and then puts the rows.
func (k keeper) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	r, err := k.Store.Commit(ctx, c)
	if err != nil || r.Duplicate {
		return r, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for i, d := range c.Puts {
		var behind error
		switch id, isDelivery := strings.CutPrefix(string(d.ID), "delivery/"); {
		case isDelivery && d.Body == nil:
			behind = k.views.View.Delete(ctx, view.Deliveries, d.Version, id)
		case isDelivery:
			behind = k.views.putDelivery(ctx, d)
		case d.Version == 1 && d.ID.Kind() == "run":
			behind = k.views.putNew(ctx, d, c.Puts[i+1:])
		}
		if behind != nil {
			slog.WarnContext(ctx, "state: a row is behind its document", "document", d.ID, "error", behind)
		}
	}
	return r, nil
}

// putNew puts the rows of a run that was just made; its request is written after
// it.
func (v *Views) putNew(ctx context.Context, doc protocol.Doc, after []protocol.Doc) error {
	for _, d := range after {
		if d.ID.Kind() == "request" {
			run, err := pipeline.Load(doc.Body, d.Body, pipeline.Policy{})
			if err != nil {
				return err
			}
			return v.putRun(ctx, run, doc.Version)
		}
	}
	return nil
}
