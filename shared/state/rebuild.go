package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/view"
)

// Rebuilt is how far a rebuild of the read models has come.
type Rebuilt struct {
	// Next is where to go on; empty: it is done.
	Next string
	// Done of Of parts: partitions, then kinds of rows.
	Done, Of int
	// Rows were projected, Dropped had no document any more, Skipped are documents
	// that cannot be read: all in this step.
	Rows, Dropped, Skipped int
}

// ErrNoPart: a rebuild has no such place to go on from.
var ErrNoPart = errors.New("state: no part of a rebuild")

// mostRows is how many rows one step holds against their documents.
const mostRows = 500

// Rebuild does a step of having all rows again from the documents, from a place
// on ("": from the start). The lists serve on meanwhile, and events go on to
// change them: first every document is projected, a partition a step, then the
// rows whose document is gone are dropped.
func (v *Views) Rebuild(ctx context.Context, at string) (Rebuilt, error) {
	parts, err := v.parts(ctx)
	if err != nil {
		return Rebuilt{}, err
	}
	name, cursor, _ := strings.Cut(at, " ")
	i := 0
	if at != "" {
		if i = slices.Index(parts, name); i < 0 {
			return Rebuilt{}, fmt.Errorf("%w: %.64q", ErrNoPart, name)
		}
	}
	r := Rebuilt{Done: i, Of: len(parts)}
	if kind, ok := strings.CutPrefix(parts[i], rowsPart); ok {
		cursor, err = v.sweep(ctx, view.Kind(kind), view.Cursor(cursor), &r)
	} else {
		cursor, err = "", v.projectAll(ctx, protocol.Partition(parts[i]), &r)
	}
	if err != nil {
		return Rebuilt{}, err
	}
	switch {
	case cursor != "":
		r.Next = parts[i] + " " + cursor
	case i+1 < len(parts):
		r.Done, r.Next = i+1, parts[i+1]
	default:
		r.Done = len(parts)
	}
	return r, nil
}

const rowsPart = "rows:"

// parts are what a rebuild goes through, by name.
func (v *Views) parts(ctx context.Context) ([]string, error) {
	ps, err := v.Store.Partitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("state: list partitions: %w", err)
	}
	var parts []string
	for _, p := range ps {
		if name := string(p); !strings.Contains(name, ":") || strings.HasPrefix(name, FrontPrefix) {
			parts = append(parts, name)
		}
	}
	for _, k := range view.Kinds {
		parts = append(parts, rowsPart+string(k))
	}
	return parts, nil
}

// projectAll projects every document of a partition.
func (v *Views) projectAll(ctx context.Context, p protocol.Partition, r *Rebuilt) error {
	if strings.HasPrefix(string(p), FrontPrefix) {
		docs, err := v.Store.List(ctx, p, "delivery")
		if err != nil {
			return fmt.Errorf("state: list deliveries of %s: %w", p, err)
		}
		return v.putAll(ctx, r, docs, func(d protocol.Doc) ([]view.Row, error) {
			delivery, err := decoded[trigger.Delivery](d)
			if err != nil {
				return nil, err
			}
			row, err := view.OfDelivery(*delivery, d.Version)
			return []view.Row{row}, err
		})
	}
	docs, err := v.Store.List(ctx, p, "run")
	if err != nil {
		return fmt.Errorf("state: list runs of %s: %w", p, err)
	}
	requests, err := v.Store.List(ctx, p, "request")
	if err != nil {
		return fmt.Errorf("state: list requests of %s: %w", p, err)
	}
	of := make(map[protocol.DocID][]byte, len(requests))
	for _, d := range requests {
		of[d.ID] = d.Body
	}
	return v.putAll(ctx, r, docs, func(d protocol.Doc) ([]view.Row, error) {
		_, id, _ := strings.Cut(string(d.ID), "/")
		request, ok := of[requestDoc(events.RunID(id))]
		if !ok {
			return nil, nil // made, or retired, between the two lists
		}
		run, err := pipeline.Load(d.Body, request, pipeline.Policy{})
		if err != nil {
			return nil, err
		}
		return view.OfAll(run, d.Version)
	})
}

func (v *Views) putAll(ctx context.Context, r *Rebuilt, docs []protocol.Doc, rows func(protocol.Doc) ([]view.Row, error)) error {
	for _, d := range docs {
		some, err := rows(d)
		if err != nil {
			r.Skipped++
			slog.WarnContext(ctx, "state: a document has no row", "document", d.ID, "error", err)
			continue
		}
		if err := v.View.Put(ctx, some...); err != nil {
			return err
		}
		r.Rows += len(some)
	}
	return nil
}

// sweep drops, of a page of rows, those whose document is not there: it was
// written before its row, so that it is gone.
func (v *Views) sweep(ctx context.Context, kind view.Kind, after view.Cursor, r *Rebuilt) (string, error) {
	rows, err := v.View.Page(ctx, kind, view.All, after, mostRows)
	if err != nil {
		return "", err
	}
	at := map[protocol.Partition][]protocol.DocID{}
	of := map[protocol.DocID][]string{}
	for _, row := range rows {
		p, doc := documentOf(row)
		if of[doc] == nil {
			at[p] = append(at[p], doc)
		}
		of[doc] = append(of[doc], row.ID)
	}
	for p, ids := range at {
		docs, _, err := v.Store.Load(ctx, p, ids...)
		if err != nil {
			return "", fmt.Errorf("state: load from %s: %w", p, err)
		}
		for _, d := range docs {
			if d.Version > 0 {
				continue
			}
			if err := v.View.Delete(ctx, kind, view.Last, of[d.ID]...); err != nil {
				return "", err
			}
			r.Dropped += len(of[d.ID])
		}
	}
	if len(rows) < mostRows {
		return "", nil
	}
	return string(rows[len(rows)-1].Place()), nil
}

// documentOf is where the document of a row stands.
func documentOf(r view.Row) (protocol.Partition, protocol.DocID) {
	if r.Kind == view.Deliveries {
		at := deliveryPlace(events.DeliveryID(r.ID))
		return at.partition, at.doc()
	}
	id, _, _ := strings.Cut(r.ID, ".")
	return protocol.PartitionOf(events.RunID(id)), runDoc(events.RunID(id))
}
