package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/feed"
)

// FeedBounds bound the feed; zero values mean the defaults.
type FeedBounds struct {
	// Events is the most that it holds: 10,000.
	Events int
	// Bytes is the most bytes of them in their encoded form: 32 MiB.
	Bytes int64
}

// Feed is a feed that all processes of an installation share: what one of them
// records, those who watch at another see.
type Feed struct {
	store  *Store
	bounds FeedBounds
}

var _ feed.Feed = (*Feed)(nil)

// Feed gives the installation's feed.
func (s *Store) Feed(b FeedBounds) *Feed {
	b.Events, b.Bytes = cmp.Or(b.Events, 10_000), cmp.Or(b.Bytes, 32<<20)
	return &Feed{store: s, bounds: b}
}

// newGeneration names a feed, should there be none yet: never as one before, or
// a position in a feed that Redis lost would be taken for one in the next.
func newGeneration() string { return strings.ToLower(rand.Text()[:13]) }

// Record keeps an event; see feed.Feed.
func (f *Feed) Record(ctx context.Context, e events.Envelope) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("redis: record %s: %w", e.ID, err)
	}
	raw, err := feed.Encode(e)
	if err != nil {
		return err
	}
	generation := newGeneration()
	weight := len(feed.NewEntry(feed.Place{Generation: generation, N: 1}.Position(), e.Type, e.RunID, raw).Frame)
	err = f.store.with(func(life *session) error {
		return recordScript.Run(ctx, life.client, []string{feedKey, feedIDsKey, entriesKey},
			generation, e.ID, string(e.Type), e.RunID, raw, weight, f.bounds.Events, f.bounds.Bytes, feedChanged).Err()
	})
	if err != nil {
		return fmt.Errorf("redis: record %s: %w", e.ID, err)
	}
	return nil
}

// Last is the position of the newest entry; see feed.Feed. It begins the feed
// where there is none: the position must stay good.
func (f *Feed) Last(ctx context.Context) (feed.Position, error) {
	var found *goredis.SliceCmd
	err := f.store.with(func(life *session) error {
		_, err := life.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
			tx.HSetNX(ctx, feedKey, "generation", newGeneration())
			found = tx.HMGet(ctx, feedKey, "generation", "last")
			return nil
		})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("redis: last of the feed: %w", err)
	}
	generation, last := text(found.Val(), 0), number(found.Val(), 1)
	return feed.Place{Generation: generation, N: last}.Position(), nil
}

// Next reads on from a position; see feed.Feed.
func (f *Feed) Next(ctx context.Context, after feed.Position, n int) (feed.Batch, error) {
	at, err := after.Place()
	if err != nil {
		return feed.Batch{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return feed.Batch{}, fmt.Errorf("redis: next of the feed: %w", err)
		}
		changed, done := f.store.bell.follow(feedChanged, "")
		b, err := f.read(ctx, at, max(n, 1))
		if err != nil || len(b.Entries) > 0 {
			done()
			return b, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
		done()
	}
}

// read gives what there is after a place.
func (f *Feed) read(ctx context.Context, at feed.Place, n int) (b feed.Batch, err error) {
	from := at.N
	for {
		var about *goredis.SliceCmd
		var found *goredis.XMessageSliceCmd
		err = f.store.with(func(life *session) error {
			_, err := life.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
				about = tx.HMGet(ctx, feedKey, "generation", "last", "dropped")
				found = tx.XRangeN(ctx, entriesKey, "("+strconv.FormatUint(from, 10)+"-0", "+", int64(n))
				return nil
			})
			return err
		})
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err() // nothing was missed: a deadline is no failure of Redis
			}
			return feed.Batch{}, fmt.Errorf("redis: read the feed: %w", err)
		}
		generation, last, dropped := text(about.Val(), 0), number(about.Val(), 1), number(about.Val(), 2)
		switch {
		case at == feed.Place{}: // Oldest
		case at.Generation != generation || at.N > last:
			b.Gap = true
			if from != 0 {
				from = 0
				continue
			}
		case at.N < dropped:
			b.Gap, b.Missed = true, dropped-at.N
		}
		b.Entries, err = entriesOf(generation, found.Val())
		return b, err
	}
}

func entriesOf(generation string, found []goredis.XMessage) ([]feed.Entry, error) {
	entries := make([]feed.Entry, 0, len(found))
	for _, m := range found {
		n, ok := entryNumber(m.ID)
		if !ok {
			return nil, fmt.Errorf("redis: read the feed: an entry is called %q", m.ID)
		}
		field := func(name string) string { value, _ := m.Values[name].(string); return value }
		at := feed.Place{Generation: generation, N: n}.Position()
		entries = append(entries, feed.NewEntry(at, events.Type(field("t")), field("r"), []byte(field("d"))))
	}
	return entries, nil
}

// entryNumber reads the id <n>-0.
func entryNumber(id string) (uint64, bool) {
	digits := len(id) - len("-0")
	if digits < 1 || id[digits:] != "-0" {
		return 0, false
	}
	n, err := strconv.ParseUint(id[:digits], 10, 64)
	return n, err == nil
}

// text and number read a value of HMGET; what is not there is empty and 0.
func text(values []any, i int) string {
	if i >= len(values) {
		return ""
	}
	s, _ := values[i].(string)
	return s
}

func number(values []any, i int) uint64 {
	n, _ := strconv.ParseUint(text(values, i), 10, 64)
	return n
}
