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

// evictLook is how many of the oldest deliveries are looked at to make room.
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
	if over() {
		oldest, _, err := s.Store.Head(ctx, c.Partition, evictLook)
		if err != nil {
			return fmt.Errorf("state: look for room in %s: %w", c.Partition, err)
		}
		for _, m := range oldest {
			if !over() {
				break
			}
			gone, err := s.evict(ctx, c, m, func(d *trigger.Delivery) bool { return d.State.Final() })
			if err != nil {
				return err
			}
			t.take(gone)
			t.Dropped += gone.count
		}
	}
	if over() {
		return fn.Faultf(fn.Exhausted, "state: no room for another delivery: those that are kept are not worked on yet")
	}
	doc, err := written(counted, t)
	c.Puts = append(c.Puts, doc)
	return err
}

type evicted struct {
	bytes int64
	count int
}

func (t *tally) take(gone evicted) {
	t.Bytes = max(t.Bytes-gone.bytes, 0)
	t.Count = max(t.Count-gone.count, 0)
}

// evict adds the removal of a delivery to a commit, where it may go.
func (s *Front) evict(ctx context.Context, c *protocol.Commit, m string, may func(*trigger.Delivery) bool) (evicted, error) {
	id := idOf(m)
	at := deliveryPlace(id)
	docs, _, err := s.Store.Load(ctx, c.Partition, at.doc(), bodyDoc(id))
	if err != nil {
		return evicted{}, fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	d, err := decoded[trigger.Delivery](docs[0])
	if err != nil {
		return evicted{}, err
	}
	gone := evicted{}
	if docs[0].Version > 0 {
		if !may(d) {
			return evicted{}, nil
		}
		c.Puts = append(c.Puts, removed(docs[0]))
		gone = evicted{d.Stored, 1}
	}
	if docs[1].Version > 0 {
		c.Puts = append(c.Puts, removed(docs[1]))
	}
	c.Queue = append(c.Queue, protocol.QueueOp{Member: m, Remove: true})
	c.Due = append(c.Due, protocol.Due{Name: at.subject})
	return gone, nil
}

// retireDeliveries drops the finished deliveries that were received before a
// time.
func (s *Front) retireDeliveries(ctx context.Context, p protocol.Partition, before time.Time) error {
	members, err := s.queue(ctx, p)
	if err != nil {
		return err
	}
	limit := fmt.Sprintf("%013d/", before.UnixMilli())
	for _, m := range members {
		if m >= limit {
			return nil
		}
		if err := s.retireDelivery(ctx, p, m); err != nil && !conflicted(err) {
			return err
		}
	}
	return nil
}

func (s *Front) retireDelivery(ctx context.Context, p protocol.Partition, m string) error {
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
	gone, err := s.evict(ctx, &c, m, func(d *trigger.Delivery) bool { return d.State.Final() })
	if err != nil || len(c.Queue) == 0 {
		return err
	}
	t.take(gone)
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

func pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(body)
	}
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
