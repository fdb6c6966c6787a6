package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Load reads documents and the store's time in one round trip.
func (s *Store) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	var docs []protocol.Doc
	var moment protocol.Moment
	err := s.with(func(life *session) error {
		found, now, err := fetch(ctx, life, keysOf(p), ids)
		if err != nil {
			return err
		}
		// An answer came: the session has joined.
		moment = protocol.Moment{Now: now, Epoch: life.epoch, Installation: life.installation}
		docs, err = documents(ids, found)
		return err
	})
	if err != nil {
		return nil, protocol.Moment{}, fmt.Errorf("redis: load from %s: %w", p, err)
	}
	return docs, moment, nil
}

// fetch reads the time, and the values of documents kind by kind: in a
// transaction where there are several, since each kind is a hash of its own.
func fetch(ctx context.Context, life *session, k partition, ids []protocol.DocID) (map[protocol.DocID]string, time.Time, error) {
	kinds := map[string][]string{}
	for _, id := range ids {
		kinds[id.Kind()] = append(kinds[id.Kind()], string(id))
	}
	pipe := life.client.Pipeline()
	if len(kinds) > 1 {
		pipe = life.client.TxPipeline()
	}
	now := pipe.Time(ctx)
	values := make(map[string]*goredis.SliceCmd, len(kinds))
	for kind, names := range kinds {
		values[kind] = pipe.HMGet(ctx, k.docs(kind), names...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, time.Time{}, err
	}
	found := make(map[protocol.DocID]string, len(ids))
	for kind, names := range kinds {
		for i, value := range values[kind].Val() {
			if text, ok := value.(string); ok {
				found[protocol.DocID(names[i])] = text
			}
		}
	}
	return found, now.Val().Truncate(time.Millisecond).UTC(), nil
}

// documents puts what was found in the order asked for.
func documents(ids []protocol.DocID, found map[protocol.DocID]string) ([]protocol.Doc, error) {
	docs := make([]protocol.Doc, len(ids))
	for i, id := range ids {
		docs[i].ID = id
		value, ok := found[id]
		if !ok {
			continue
		}
		var err error
		if docs[i], err = document(id, value); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

func document(id protocol.DocID, value string) (protocol.Doc, error) {
	version, body, ok := strings.Cut(value, "|")
	v, err := strconv.ParseUint(version, 10, 64)
	if !ok || err != nil {
		return protocol.Doc{}, fmt.Errorf("document %q is not of the form version|body", id)
	}
	return protocol.Doc{ID: id, Version: v, Body: []byte(body)}, nil
}

// List reads every document of a kind, in order of id.
func (s *Store) List(ctx context.Context, p protocol.Partition, kind string) ([]protocol.Doc, error) {
	var docs []protocol.Doc
	err := s.with(func(life *session) error {
		found, err := life.client.HGetAll(ctx, keysOf(p).docs(kind)).Result()
		if err != nil {
			return err
		}
		docs = make([]protocol.Doc, 0, len(found))
		for id, value := range found {
			d, err := document(protocol.DocID(id), value)
			if err != nil {
				return err
			}
			docs = append(docs, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("redis: list %s of %s: %w", kind, p, err)
	}
	slices.SortFunc(docs, func(a, b protocol.Doc) int { return cmp.Compare(a.ID, b.ID) })
	return docs, nil
}

// Head reads the first n members of the partition's queue, and its length.
func (s *Store) Head(ctx context.Context, p protocol.Partition, n int) ([]string, int, error) {
	var members *goredis.StringSliceCmd
	var length *goredis.IntCmd
	err := s.with(func(life *session) error {
		_, err := life.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
			length = tx.ZCard(ctx, keysOf(p).queue())
			if n > 0 {
				members = tx.ZRange(ctx, keysOf(p).queue(), 0, int64(n)-1)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("redis: head of %s: %w", p, err)
	}
	if members == nil {
		return nil, int(length.Val()), nil
	}
	return members.Val(), int(length.Val()), nil
}

// Partitions lists the run partitions and every other that a commit was ever
// tried on.
func (s *Store) Partitions(ctx context.Context) ([]protocol.Partition, error) {
	var others []string
	err := s.with(func(life *session) error {
		var err error
		others, err = life.client.SMembers(ctx, partitionsKey).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: list partitions: %w", err)
	}
	slices.Sort(others)
	all := make([]protocol.Partition, 0, protocol.RunPartitions+len(others))
	for i := range protocol.RunPartitions {
		all = append(all, protocol.Partition(fmt.Sprintf("p%02d", i)))
	}
	for _, p := range others {
		all = append(all, protocol.Partition(p))
	}
	return all, nil
}

// isRun tells a run partition, which is always there, from the listed ones.
func isRun(p protocol.Partition) bool {
	if len(p) != 3 || p[0] != 'p' || p[1] < '0' || p[1] > '9' || p[2] < '0' || p[2] > '9' {
		return false
	}
	return int(p[1]-'0')*10+int(p[2]-'0') < protocol.RunPartitions
}
