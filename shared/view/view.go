// Package view keeps read models: rows that lists are made of, each a
// projection of one document, found by indexes, newest first.
//
// A row is never a sum of events: whoever projects loads the document and puts
// what it says now, guarded by the document's version. So events that come
// twice, late or not at all do no harm, and all rows can be had again from the
// documents alone.
//
// Store is the port; Memory and the redis package implement it and pass the
// suite in viewtest. Run, Job and Delivery make rows; Query finds them.
package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind says what a row is about.
type Kind string

// The kinds.
const (
	Runs       Kind = "run"
	Jobs       Kind = "job"
	Deliveries Kind = "delivery"
)

// Kinds are all of them.
var Kinds = []Kind{Runs, Jobs, Deliveries}

// Row is one line of a read model.
type Row struct {
	Kind Kind
	ID   string
	// Version is that of the document which the row was projected from.
	Version uint64
	// Score places the row in all its indexes: milliseconds since 1970, the
	// highest first. Rows of one score follow one another by their ids, the last
	// first.
	Score int64
	// Indexes that lead to the row, besides All, which always does.
	Indexes []Index
	// Body is JSON.
	Body []byte
}

// Index is the rows of a kind whose field has a value. The zero Index is All.
type Index struct{ Field, Value string }

// All leads to every row of a kind.
var All = Index{}

// Last is a version that no document has: what is deleted by it stays so,
// whatever was projected before.
const Last uint64 = 1<<53 - 1

// Store keeps rows. Every method may be repeated, and be called by many at once.
// A row and its places in the indexes change in one.
type Store interface {
	// Put writes rows, each alone, in any order. One whose Version is lower than
	// that of the stored row, or not higher than what the row was deleted by,
	// changes nothing; the same version again changes what differs.
	Put(ctx context.Context, rows ...Row) error
	// Delete removes rows that were projected from a version up to this one, and
	// keeps them from coming back for as long as whoever read the document before
	// may still put them (a day).
	Delete(ctx context.Context, kind Kind, version uint64, ids ...string) error
	// Get reads rows, in the order of the ids; those that are not there are left
	// out.
	Get(ctx context.Context, kind Kind, ids ...string) ([]Row, error)
	// Page reads up to limit rows of an index that come after a cursor (the empty
	// one: from the newest), newest first.
	Page(ctx context.Context, kind Kind, index Index, after Cursor, limit int) ([]Row, error)
	// Filter is Page of those rows of an index to which one index of each group
	// leads as well; others are passed over unread. It looks at up to look rows,
	// and gives the cursor behind the last one looked at: empty where the index
	// has no more. An index in a group is not All.
	Filter(ctx context.Context, kind Kind, index Index, groups [][]Index, after Cursor, limit, look int) ([]Row, Cursor, error)
	// Count tells how many rows each index leads to.
	Count(ctx context.Context, kind Kind, indexes ...Index) ([]int, error)
	// Values reads up to limit values of a field that lead to a row and begin with
	// a prefix, after one of them (empty: from the first), in the order of their
	// escaped bytes.
	Values(ctx context.Context, kind Kind, field, prefix, after string, limit int) ([]string, error)
}

// Cursor is a place in an index: right behind a row. It is the same in all of a
// row's indexes. Its text is <milliseconds, 13 digits>/<id>.
type Cursor string

// ErrCursor: a text is no cursor.
var ErrCursor = errors.New("view: no cursor")

const (
	scoreDigits = 13
	mostScore   = 9_999_999_999_999 // in the year 2286
	mostCursor  = 1200
)

// At is the place right behind a row.
func At(score int64, id string) Cursor {
	return Cursor(fmt.Sprintf("%0*d/%s", scoreDigits, min(max(score, 0), mostScore), id))
}

// Before is the place before all rows of a score and of lower ones.
func Before(score int64) Cursor { return At(score+1, "") }

// ParseCursor reads the text form, and only what At writes.
func ParseCursor(s string) (Cursor, error) {
	digits, id, ok := strings.Cut(s, "/")
	if !ok || len(digits) != scoreDigits || strings.Trim(digits, "0123456789") != "" || id == "" || len(s) > mostCursor {
		return "", ErrCursor
	}
	return Cursor(s), nil
}

// Place is where the row stands in its indexes.
func (r Row) Place() Cursor { return At(r.Score, r.ID) }
