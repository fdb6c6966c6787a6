// Package protocol is how handlers change state: load, decide, commit, emit.
//
// State lives in partitions. A commit touches one partition, all or nothing:
// it checks the inbox and the versions of what was read, writes documents,
// appends a record to the ledger, sets due entries and remembers its answer.
// What a commit emits stays in the partition's outbox until it is struck.
//
// Store is the port; the memory and redis packages implement it and pass the
// suite in protocoltest.
package protocol

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Partition names a unit of atomicity: p00 … p63 for runs, pool:<id> for a
// pool, group:<name> for a concurrency group, front:00 … front:15 for the front
// doors.
type Partition string

// RunPartitions is how many partitions runs are spread over. It is fixed: a
// run's partition is derived from its id.
const RunPartitions = 64

// PartitionOf is the partition of a run and its jobs.
func PartitionOf(run events.RunID) Partition {
	h := fnv.New32a()
	h.Write([]byte(run))
	n := strconv.Itoa(int(h.Sum32() % RunPartitions))
	if len(n) == 1 {
		n = "0" + n
	}
	return Partition("p" + n)
}

// PoolPartition is the partition of a pool.
func PoolPartition(p events.PoolID) Partition { return Partition("pool:" + string(p)) }

// GroupPartition is the partition of a concurrency group.
func GroupPartition(group string) Partition { return Partition("group:" + group) }

// DocID names a document in its partition: kind/name, e.g. run/01J…, node/n1.
// The kind is what List lists.
type DocID string

// Kind is the part before the first slash.
func (d DocID) Kind() string {
	kind, _, _ := strings.Cut(string(d), "/")
	return kind
}

// Doc is a stored document and its version: 0 where there is none, else 1 and
// up by one with each write. A document that is deleted and written anew starts
// at 1 again: what must not be mistaken for its former self leaves a tombstone.
type Doc struct {
	ID      DocID
	Version uint64
	Body    []byte
}

// LedgerID orders the records of one partition's ledger; opaque to callers.
// The stores write "<milliseconds>-<counter>", both as numbers, the first never
// falling, even where the clock does.
type LedgerID string

// Record is one commit in the ledger.
type Record struct {
	ID LedgerID
	At time.Time
	// Absorbed are the events that the commit took in: they changed state but
	// others published them.
	Absorbed []events.Envelope
	// Emitted are the events that the commit made.
	Emitted []events.Envelope
}

// Commit is one atomic change of one partition. It is judged in this order:
// form (ErrInvalid), inbox (a duplicate is answered), age of the cause
// (ErrTooOld), epoch, checks and versions (ErrConflict); then it is written.
//
// Repeating a commit whose outcome is not known is safe with an Inbox, which
// answers, and with Puts, which conflict. A commit with neither writes its
// record again.
type Commit struct {
	Partition Partition
	// Inbox is "<function>/<event id>": a second commit with the same one
	// changes nothing, strikes included, and gets the first one's answer. Empty:
	// not remembered. With an inbox, Absorbed[0] is the cause, and its Time is
	// held against the Horizon.
	Inbox string
	// Epoch is that of the Moment which came with what was loaded: ErrConflict
	// where the store has another by now, since what was read may have been
	// lost, and a fence made of it used before. 0: not looked at.
	Epoch uint32
	// Checks are the documents that the decision was made on; ErrConflict when
	// one has another version by now. Only ID and Version are looked at.
	Checks []Doc
	// Puts are written with the version given, which must be one above the
	// stored one, else ErrConflict; a nil Body deletes. A put needs no check
	// beside it. No document may be put twice.
	Puts []Doc
	// Due sets the due entries of aggregates, in order, to the millisecond; a
	// zero time removes one.
	Due []Due
	// Queue adds to the partition's queue, or removes from it, in order. Adding a
	// member that is there gives it the new score.
	Queue []QueueOp
	// Absorbed and Emitted go into the ledger as one record. Without any, no
	// record is written.
	Absorbed []events.Envelope
	Emitted  []events.Envelope
	// Struck are records whose events have been published: they leave the
	// outbox. One that has left already, or never was there, does no harm.
	Struck []LedgerID
}

// Due is when an aggregate must be looked at.
type Due struct {
	Name string // the aggregate's subject within the partition
	At   time.Time
}

// QueueOp puts a member into the partition's queue by score (lower first, equal
// ones in the order of their bytes), or takes it out.
type QueueOp struct {
	Member string
	Score  float64
	Remove bool
}

// Receipt is the answer to a commit.
type Receipt struct {
	// Duplicate tells that the inbox knew the commit: nothing was changed.
	Duplicate bool
	// Record is where the commit (or, for a duplicate, the first one) stands in
	// the ledger; empty when it wrote none.
	Record LedgerID
	// Emitted are the events of that record: for a duplicate, the first answer
	// (none, where the record is older than the horizon and was pruned).
	Emitted []events.Envelope
}

// Errors of a Store. With one of these nothing was changed. Anything else means
// that the store could not be reached or could not answer, and that the outcome
// is not known: repeat the commit.
var (
	// ErrConflict: a checked document or the epoch changed. Load again and
	// decide again.
	ErrConflict = errors.New("protocol: conflict")
	// ErrTooOld: the cause is older than the inbox remembers.
	ErrTooOld = errors.New("protocol: event too old")
	// ErrInvalid: the call is malformed (see Commit.Validate), a defect of the
	// caller. Repeating it is of no use.
	ErrInvalid = errors.New("protocol: invalid")
)

// Horizon is how long the inbox remembers.
const Horizon = 7 * 24 * time.Hour

// Store keeps partitions. Every method may be repeated. Times are UTC, to the
// millisecond. Where n bounds an answer, n < 1 asks for nothing. What is handed
// in or out belongs to the caller: the store keeps copies.
type Store interface {
	// Load reads documents and the store's time in one go, in the order asked
	// for. A document that is not there comes back with version 0 and a nil body.
	Load(ctx context.Context, p Partition, ids ...DocID) ([]Doc, Moment, error)
	// List reads every document of a kind, in the order of the ids' bytes.
	List(ctx context.Context, p Partition, kind string) ([]Doc, error)
	// Head reads the first n members of the partition's queue, and its length.
	Head(ctx context.Context, p Partition, n int) (members []string, length int, err error)
	// Commit applies c, or changes nothing and returns an error.
	Commit(ctx context.Context, c Commit) (Receipt, error)
	// Overdue reads up to n due entries that are due at the store's now,
	// earliest first (then by partition and name), over the partitions given, and
	// when the next one after now falls due (zero: none). Nothing is taken out: a
	// commit on the aggregate moves its entry. With n entries, ask again.
	Overdue(ctx context.Context, ps []Partition, n int) (due []DueIn, next time.Time, err error)
	// Outbox reads up to n records of a partition that emitted, that nobody
	// struck and that are age old or older, oldest first.
	Outbox(ctx context.Context, p Partition, age time.Duration, n int) ([]Record, error)
	// Ledger reads up to n records after the one given ("" from the start), which
	// need not be there any more; ErrInvalid where it is no ledger id.
	Ledger(ctx context.Context, p Partition, after LedgerID, n int) ([]Record, error)
	// Partitions lists all the partitions that exist: the run partitions, then,
	// sorted, every other that a commit was ever tried on.
	Partitions(ctx context.Context) ([]Partition, error)
	// Prune forgets inbox entries, and records that wait in no outbox, older than
	// the horizon: it looks at a bounded number of each a call and tells how many
	// it forgot. Calls move on from one another; 0 does not mean that none is left.
	Prune(ctx context.Context, p Partition, horizon time.Duration) (int, error)
}

// DueIn is a due entry and where it stands.
type DueIn struct {
	Partition Partition
	Due
}

// Moment is the store's view of now.
type Moment struct {
	Now   time.Time
	Epoch uint32 // raised whenever the store may have lost writes
	// Installation tells this store's workers from another's on the same host.
	Installation string
}
