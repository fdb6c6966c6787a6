package state

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

const tallyDoc protocol.DocID = "index/deliveries"

// tally is what is known of all deliveries of a partition together.
type tally struct {
	Bytes   int64 `json:"bytes"` // as they were taken in
	Count   int   `json:"count"`
	Dropped int   `json:"dropped"` // for lack of room, ever
}

// headRoom is what a delivery counts beside its body: its outcomes grow.
const headRoom = 4 << 10

// evictLook is how many of the oldest deliveries are looked at first to make
// room; where they are not finished, more.
const evictLook = 64

// makeRoom counts a new delivery of that many bytes in, and lets the oldest
// finished ones go that there is no room for beside it.
func (s *Front) makeRoom(ctx context.Context, c *protocol.Commit, counted protocol.Doc, size int64) error {
	t, err := decoded[tally](counted)
	if err != nil {
		return err
	}
	t.Bytes += size
	t.Count++
	most := max(cmp.Or(s.Most, 20_000)/frontPartitions, 1)
	room := cmp.Or(s.Bytes, 512<<20) / frontPartitions
	over := func() bool { return t.Count > most || t.Bytes > room && t.Count > 1 }
	for seen := 0; over(); {
		oldest, length, err := s.Store.Head(ctx, c.Partition, max(evictLook, 4*seen))
		if err != nil {
			return fmt.Errorf("state: look for room in %s: %w", c.Partition, err)
		}
		gone, err := s.evict(ctx, c, oldest[min(seen, len(oldest)):], over, t)
		if err != nil {
			return err
		}
		t.Dropped += gone
		if seen = len(oldest); seen >= length {
			break
		}
	}
	if over() {
		return fn.Faultf(fn.Exhausted, "state: no room for another delivery: those that are kept are not worked on yet")
	}
	doc, err := written(counted, t)
	c.Puts = append(c.Puts, doc)
	return err
}

// evict adds the removal of finished deliveries to a commit, in their order and
// for as long as more says, and counts them out. It tells how many go.
func (s *Front) evict(ctx context.Context, c *protocol.Commit, members []string, more func() bool, t *tally) (int, error) {
	ids := make([]protocol.DocID, len(members))
	for i, m := range members {
		ids[i] = deliveryPlace(idOf(m)).doc()
	}
	docs, _, err := s.Store.Load(ctx, c.Partition, ids...)
	if err != nil {
		return 0, fmt.Errorf("state: load deliveries of %s: %w", c.Partition, err)
	}
	gone := 0
	for i, doc := range docs {
		if !more() {
			break
		}
		d, err := decoded[trigger.Delivery](doc)
		if err != nil {
			return gone, err
		}
		if doc.Version == 0 || !d.State.Final() {
			continue
		}
		t.Bytes, t.Count = max(t.Bytes-d.Stored, 0), max(t.Count-1, 0)
		gone++
		// A body is written once, with its delivery.
		c.Puts = append(c.Puts, removed(doc), protocol.Doc{ID: bodyDoc(d.ID), Version: 2})
		c.Queue = append(c.Queue, protocol.QueueOp{Member: members[i], Remove: true})
		c.Due = append(c.Due, protocol.Due{Name: string(doc.ID)})
	}
	return gone, nil
}

// retireStep is how many deliveries one commit retires.
const retireStep = 64

// retireDeliveries drops the finished deliveries that were received before a
// time.
func (s *Front) retireDeliveries(ctx context.Context, p protocol.Partition, before time.Time) error {
	members, err := s.queue(ctx, p)
	if err != nil {
		return err
	}
	limit := fmt.Sprintf("%013d/", before.UnixMilli())
	old, _ := slices.BinarySearch(members, limit)
	for some := range slices.Chunk(members[:old], retireStep) {
		if err := s.retireSome(ctx, p, some); err != nil && !conflicted(err) {
			return err
		}
	}
	return nil
}

func (s *Front) retireSome(ctx context.Context, p protocol.Partition, members []string) error {
	defer s.lock(p)()
	docs, moment, err := s.Store.Load(ctx, p, tallyDoc)
	if err != nil {
		return fmt.Errorf("state: load %s: %w", tallyDoc, err)
	}
	t, err := decoded[tally](docs[0])
	if err != nil {
		return err
	}
	c := protocol.Commit{Partition: p, Epoch: moment.Epoch}
	gone, err := s.evict(ctx, &c, members, func() bool { return true }, t)
	if err != nil || gone == 0 {
		return err
	}
	doc, err := written(docs[0], t)
	if err != nil {
		return err
	}
	c.Puts = append(c.Puts, doc)
	_, err = s.commit(ctx, c)
	return err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// packers are used again: one costs more than what most bodies need.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is one
	return w
}}

func pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, _ := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&out)
	_, err := w.Write(body)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("state: pack a body: %w", err)
	}
	return out.Bytes(), nil
}

// unpack reads a body; nil where it is not kept.
func unpack(packed []byte) ([]byte, error) {
	if packed == nil {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("state: unpack a body: %w", err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("state: unpack a body: %w", err)
	}
	return body, nil
}
