package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Audit keeps who did what, in the order of its commits. Entries stand in
// segments, each a document: a page reads a few of them, whatever there is
// besides. The zero values of its settings mean the defaults.
type Audit struct {
	*Committer
	// Keep is how long entries stay: 90 days.
	Keep time.Duration

	mu      sync.Mutex
	waiting []*entering
	writing bool
}

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	ID string    `json:"id"` // of its event
	At time.Time `json:"at"`
	events.UIRecorded
}

const (
	auditPartition protocol.Partition = AccessPrefix + "audit"
	auditKeep                         = 90 * 24 * time.Hour

	segmentSize = 64
	// mostSegments are kept, whatever their age: some million entries.
	mostSegments = 20_000
	// mostRetired are dropped in one pass, and mostSearched looked through for a
	// page.
	mostRetired  = 1000
	mostSearched = 200
	// mostBatch of entries go into one commit.
	mostBatch = 256
	// recordTime bounds how long a commit of entries may take.
	recordTime = 5 * time.Second
)

// bounds says which segments there are, both ends included.
type bounds struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

type segment struct {
	Entries []AuditEntry `json:"entries"`
}

const boundsDoc protocol.DocID = "bounds/root"

func segmentDoc(n int64) protocol.DocID { return protocol.DocID(fmt.Sprintf("segment/%012d", n)) }

// entering is an entry on its way, of one caller who waits.
type entering struct {
	key  string
	what events.UIRecorded
	done chan struct{}
	res  Result
	err  error
}

// Record keeps what somebody did. Key is unique: recorded twice it is one. Those
// who come while a commit is under way share the next.
func (s *Audit) Record(ctx context.Context, key string, what events.UIRecorded) (Result, error) {
	e := &entering{key: key, what: what, done: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	lead := !s.writing
	s.writing = true
	s.mu.Unlock()
	if lead {
		s.write(context.WithoutCancel(ctx))
	}
	<-e.done // bounded by recordTime
	return e.res, e.err
}

// write commits until nobody waits.
func (s *Audit) write(ctx context.Context) {
	for {
		s.mu.Lock()
		n := min(len(s.waiting), mostBatch)
		batch := s.waiting[:n:n]
		s.waiting = s.waiting[n:]
		s.writing = n > 0
		s.mu.Unlock()
		if n == 0 {
			return
		}
		within, cancel := context.WithTimeout(ctx, recordTime)
		res, err := s.append(within, batch)
		cancel()
		for i, e := range batch {
			if e.err = err; err == nil && i < len(res.Emitted) {
				e.res = Result{Emitted: res.Emitted[i : i+1]}
			}
			close(e.done)
		}
	}
}

// append puts entries behind the last.
func (s *Audit) append(ctx context.Context, batch []*entering) (Result, error) {
	defer s.lock(auditPartition)()
	return s.retry(ctx, func() (Result, error) {
		b, bound, moment, err := s.bounds(ctx)
		if err != nil {
			return Result{}, err
		}
		docs, _, err := s.Store.Load(ctx, auditPartition, segmentDoc(b.Last), segmentDoc(b.Last+1))
		if err != nil {
			return Result{}, fmt.Errorf("state: load audit: %w", err)
		}
		last, err := decoded[segment](docs[0])
		if err != nil {
			return Result{}, err
		}
		entries, emitted, err := entriesOf(batch, moment)
		if err != nil {
			return Result{}, err
		}
		if s.holds(last.Entries, entries) { // of a commit whose reply was lost
			return Result{Emitted: emitted}, nil
		}
		c := protocol.Commit{Partition: auditPartition, Epoch: moment.Epoch, Emitted: emitted}
		over := docs[0]
		if over.Version > 0 && len(last.Entries) >= segmentSize {
			b.Last, last, over = b.Last+1, &segment{}, docs[1]
		}
		last.Entries = append(last.Entries, entries...)
		for _, put := range []struct {
			over protocol.Doc
			v    any
		}{{over, last}, {bound, b}} {
			doc, err := written(put.over, put.v)
			if err != nil {
				return Result{}, err
			}
			c.Puts = append(c.Puts, doc)
		}
		return s.commit(ctx, c)
	})
}

func (s *Audit) bounds(ctx context.Context) (*bounds, protocol.Doc, protocol.Moment, error) {
	docs, moment, err := s.Store.Load(ctx, auditPartition, boundsDoc)
	if err != nil {
		return nil, protocol.Doc{}, moment, fmt.Errorf("state: load audit: %w", err)
	}
	b, err := decoded[bounds](docs[0])
	return b, docs[0], moment, err
}

// entriesOf makes the entries of a commit, and their events in the same order.
func entriesOf(batch []*entering, m protocol.Moment) ([]AuditEntry, []events.Envelope, error) {
	var entries []AuditEntry
	var emitted []events.Envelope
	for _, e := range batch {
		id := events.DeriveID("ui.recorded", e.key)
		event, err := events.New(id, "/relevo/api", "", m.Now, e.what)
		if err != nil {
			return nil, nil, fn.Faultf(fn.Invalid, "%w", err)
		}
		entries, emitted = append(entries, AuditEntry{ID: id, At: m.Now, UIRecorded: e.what}), append(emitted, event)
	}
	return entries, emitted, nil
}

// holds tells whether the entries stand there already: a batch is committed as a
// whole.
func (s *Audit) holds(there, entries []AuditEntry) bool {
	return slices.ContainsFunc(there, func(e AuditEntry) bool { return e.ID == entries[0].ID })
}

// Page lists up to limit entries that wanted lets through, the newest first,
// from a cursor on ("": the newest), and the cursor of what follows; "" where
// nothing does. A page may be short of entries that are rare: go on.
func (s *Audit) Page(ctx context.Context, cursor string, limit int, wanted func(AuditEntry) bool) ([]AuditEntry, string, error) {
	b, doc, _, err := s.bounds(ctx)
	if err != nil || doc.Version == 0 {
		return nil, "", err
	}
	from, before := b.Last, -1 // entries of the first segment looked at, before that index
	if cursor != "" {
		var ok bool
		if from, before, ok = parseAuditCursor(cursor); !ok || from > b.Last {
			return nil, "", fn.Faultf(fn.Invalid, "state: %.40q is no cursor of the audit", cursor)
		}
	}
	var page []AuditEntry
	for n := from; n >= b.First; n-- {
		if from-n >= mostSearched {
			return page, auditCursor(n+1, 0), nil
		}
		docs, _, err := s.Store.Load(ctx, auditPartition, segmentDoc(n))
		if err != nil {
			return nil, "", fmt.Errorf("state: load audit: %w", err)
		}
		seg, err := decoded[segment](docs[0])
		if err != nil {
			return nil, "", err
		}
		i := len(seg.Entries)
		if n == from && before >= 0 {
			i = min(i, before)
		}
		for i--; i >= 0; i-- {
			if len(page) == limit {
				return page, auditCursor(n, i+1), nil
			}
			if e := seg.Entries[i]; wanted == nil || wanted(e) {
				page = append(page, e)
			}
		}
	}
	return page, "", nil
}

// A cursor is a segment and the index before which to go on.
func auditCursor(segment int64, before int) string {
	return strconv.FormatInt(segment, 10) + "." + strconv.Itoa(before)
}

func parseAuditCursor(s string) (int64, int, bool) {
	left, right, ok := strings.Cut(s, ".")
	n, err := strconv.ParseInt(left, 10, 64)
	i, err2 := strconv.Atoi(right)
	return n, i, ok && err == nil && err2 == nil && n >= 0 && i >= 0 && auditCursor(n, i) == s
}

// Retire drops segments whose entries are all past their time, and the oldest
// where there are too many.
func (s *Audit) Retire(ctx context.Context, now time.Time) error {
	before := now.Add(-cmp.Or(s.Keep, auditKeep))
	for range mostRetired {
		b, bound, _, err := s.bounds(ctx)
		if err != nil || bound.Version == 0 || b.First == b.Last {
			return err
		}
		docs, _, err := s.Store.Load(ctx, auditPartition, segmentDoc(b.First))
		if err != nil {
			return fmt.Errorf("state: load audit: %w", err)
		}
		seg, err := decoded[segment](docs[0])
		if err != nil {
			return err
		}
		n := len(seg.Entries)
		if b.Last-b.First < mostSegments && n > 0 && !seg.Entries[n-1].At.Before(before) {
			return nil
		}
		b.First++
		next, err := written(bound, b)
		if err != nil {
			return err
		}
		c := protocol.Commit{Partition: auditPartition, Puts: []protocol.Doc{next}}
		if docs[0].Version > 0 {
			c.Puts = append(c.Puts, removed(docs[0]))
		}
		if _, err := s.Store.Commit(ctx, c); err != nil && !conflicted(err) {
			return err
		}
	}
	return nil
}
