package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Index lists runs.
type Index interface {
	// Runs gives up to limit runs that come after a cursor (the zero one: from
	// the newest), newest first, and the cursor of what follows: the zero one
	// where nothing does. Their jobs and requests need not be there.
	Runs(ctx context.Context, after Cursor, limit int) ([]*pipeline.Run, Cursor, error)
}

// Cursor is a place in the list of runs: right behind one of them.
type Cursor struct {
	Requested time.Time
	Run       events.RunID
}

// String is the text form, <milliseconds>-<run>; empty for the zero cursor.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return ""
	}
	return strconv.FormatInt(c.Requested.UnixMilli(), 10) + "-" + string(c.Run)
}

var errCursor = errors.New("api: no cursor")

// ParseCursor reads the text form, and only what String writes.
func ParseCursor(s string) (Cursor, error) {
	ms, run, ok := strings.Cut(s, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	c := Cursor{Requested: time.UnixMilli(n).UTC(), Run: events.RunID(run)}
	if !ok || err != nil || !isRunID(run) || c.String() != s {
		return Cursor{}, errCursor
	}
	return c, nil
}

// newestFirst orders by when runs were asked for; ids settle what is equal.
func newestFirst(a, b Cursor) int {
	return cmp.Or(b.Requested.Compare(a.Requested), cmp.Compare(b.Run, a.Run))
}

func cursorOf(r *pipeline.Run) Cursor { return Cursor{r.Requested, r.ID} }

// Scan is an Index that reads every run on every call: good for some thousands,
// until read models take its place.
type Scan struct {
	Store protocol.Store
}

// Runs lists runs; see Index.
func (s Scan) Runs(ctx context.Context, after Cursor, limit int) ([]*pipeline.Run, Cursor, error) {
	partitions, err := s.Store.Partitions(ctx)
	if err != nil {
		return nil, Cursor{}, fmt.Errorf("api: list partitions: %w", err)
	}
	var all []*pipeline.Run
	for _, p := range partitions[:protocol.RunPartitions] {
		docs, err := s.Store.List(ctx, p, "run")
		if err != nil {
			return nil, Cursor{}, fmt.Errorf("api: list runs: %w", err)
		}
		for _, d := range docs {
			r := &pipeline.Run{}
			if err := json.Unmarshal(d.Body, r); err != nil {
				return nil, Cursor{}, fmt.Errorf("api: decode %s: %w", d.ID, err)
			}
			if after == (Cursor{}) || newestFirst(cursorOf(r), after) > 0 {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b *pipeline.Run) int { return newestFirst(cursorOf(a), cursorOf(b)) })
	if len(all) <= limit {
		return all, Cursor{}, nil
	}
	return all[:limit], cursorOf(all[limit-1]), nil
}
