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

// Load reads documents and the store's time in one script.
func (s *Store) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	var docs []protocol.Doc
	var moment protocol.Moment
	err := s.with(func(life *session) error {
		reply, err := loadScript.Run(ctx, life.client, kindsOf(p, ids), indexed(ids)...).Slice()
		if err != nil {
			return err
		}
		if len(reply) != 2+len(ids) {
			return fmt.Errorf("answer of %d parts to %d documents", len(reply), len(ids))
		}
		// An answer came: the session has joined.
		moment = protocol.Moment{Epoch: life.epoch, Installation: life.installation}
		if moment.Now, err = timeOf(reply[0], reply[1]); err != nil {
			return err
		}
		docs, err = documents(ids, reply[2:])
		return err
	})
	if err != nil {
		return nil, protocol.Moment{}, fmt.Errorf("redis: load from %s: %w", p, err)
	}
	return docs, moment, nil
}

// kindsOf are the keys of the kinds that ids are of, each once.
func kindsOf(p protocol.Partition, ids []protocol.DocID) []string {
	k := keysOf(p)
	var keys []string
	for _, id := range ids {
		if key := k.docs(id.Kind()); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// indexed gives for each id the place of its kind in kindsOf, from 1, and
// itself.
func indexed(ids []protocol.DocID) []any {
	args := make([]any, 0, 2*len(ids))
	var kinds []string
	for _, id := range ids {
		at := slices.Index(kinds, id.Kind())
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, id.Kind())
		}
		args = append(args, at+1, string(id))
	}
	return args
}

func documents(ids []protocol.DocID, values []any) ([]protocol.Doc, error) {
	docs := make([]protocol.Doc, len(ids))
	for i, id := range ids {
		docs[i].ID = id
		if values[i] == nil {
			continue
		}
		text, _ := values[i].(string)
		var err error
		if docs[i], err = document(id, text); err != nil {
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

// timeOf reads the answer of TIME, to the millisecond.
func timeOf(seconds, micros any) (time.Time, error) {
	a, _ := seconds.(string)
	b, _ := micros.(string)
	sec, err1 := strconv.ParseInt(a, 10, 64)
	usec, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, fmt.Errorf("time %q %q", seconds, micros)
	}
	return time.UnixMilli(sec*1000 + usec/1000).UTC(), nil
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
