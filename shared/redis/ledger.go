package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// pruneStep bounds what one Prune looks at, of inbox and ledger each.
const pruneStep = 100

// member is how the record stands in the outbox; commit.lua writes the same.
func member(p protocol.Position) string { return fmt.Sprintf("%d-%010d", p.Millis, p.Counter) }

// encode gives events as JSON lines.
func encode(list []events.Envelope) ([]byte, error) {
	lines := []byte{}
	for i, e := range list {
		line, err := e.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%w: encode event %s: %w", protocol.ErrInvalid, e.ID, err)
		}
		if i > 0 {
			lines = append(lines, '\n')
		}
		lines = append(lines, line...)
	}
	return lines, nil
}

func decode(lines string) ([]events.Envelope, error) {
	if lines == "" {
		return nil, nil
	}
	list := make([]events.Envelope, 0, strings.Count(lines, "\n")+1)
	for line := range strings.SplitSeq(lines, "\n") {
		var e events.Envelope
		if err := e.UnmarshalJSON([]byte(line)); err != nil {
			return nil, fmt.Errorf("decode event of ledger: %w", err)
		}
		list = append(list, e)
	}
	return list, nil
}

// recordOf reads an entry of the stream.
func recordOf(id, absorbed, emitted string) (protocol.Record, error) {
	at, err := protocol.LedgerID(id).Position()
	if err != nil {
		return protocol.Record{}, err
	}
	r := protocol.Record{ID: protocol.LedgerID(id), At: time.UnixMilli(at.Millis).UTC()}
	if r.Absorbed, err = decode(absorbed); err != nil {
		return protocol.Record{}, err
	}
	r.Emitted, err = decode(emitted)
	return r, err
}

// Ledger reads up to n records after the one given.
func (s *Store) Ledger(ctx context.Context, p protocol.Partition, after protocol.LedgerID, n int) ([]protocol.Record, error) {
	start := "-"
	if after != "" {
		if _, err := after.Position(); err != nil {
			return nil, err
		}
		start = "(" + string(after)
	}
	if n < 1 {
		return nil, nil
	}
	var records []protocol.Record
	err := s.with(func(life *session) error {
		found, err := life.client.XRangeN(ctx, keysOf(p).ledger(), start, "+", int64(n)).Result()
		if err != nil {
			return err
		}
		records, err = recordsOf(found)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: read ledger of %s: %w", p, err)
	}
	return records, nil
}

func recordsOf(found []goredis.XMessage) ([]protocol.Record, error) {
	records := make([]protocol.Record, len(found))
	for i, m := range found {
		absorbed, _ := m.Values["a"].(string)
		emitted, _ := m.Values["e"].(string)
		var err error
		if records[i], err = recordOf(m.ID, absorbed, emitted); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// Outbox reads up to n records that nobody struck and that are age old or
// older, oldest first.
func (s *Store) Outbox(ctx context.Context, p protocol.Partition, age time.Duration, n int) ([]protocol.Record, error) {
	if n < 1 {
		return nil, nil
	}
	k := keysOf(p)
	var records []protocol.Record
	err := s.with(func(life *session) error {
		reply, err := outboxScript.Run(ctx, life.client, []string{k.ledger(), k.outbox()}, age.Milliseconds(), n).Slice()
		if err != nil {
			return err
		}
		records = make([]protocol.Record, 0, len(reply)/2)
		for ; len(reply) > 1; reply = reply[2:] {
			r, err := waiting(reply[0], reply[1])
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("redis: read outbox of %s: %w", p, err)
	}
	return records, nil
}

// waiting reads a record in the answer of outbox.lua: its id, and its fields
// and values in turn.
func waiting(id, fields any) (protocol.Record, error) {
	text, _ := id.(string)
	list, _ := fields.([]any)
	values := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		values[name], _ = list[i+1].(string)
	}
	return recordOf(text, values["a"], values["e"])
}

// Prune forgets inbox entries, and records that wait in no outbox, older than
// the horizon.
func (s *Store) Prune(ctx context.Context, p protocol.Partition, horizon time.Duration) (int, error) {
	k := keysOf(p)
	keys := []string{k.inbox(), k.ledger(), k.outbox(), k.pruned()}
	pruned := 0
	err := s.with(func(life *session) error {
		var err error
		pruned, err = pruneScript.Run(ctx, life.client, keys, horizon.Milliseconds(), pruneStep).Int()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redis: prune %s: %w", p, err)
	}
	return pruned, nil
}
