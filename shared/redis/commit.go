package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Commit applies c in one script, or changes nothing and returns an error.
func (s *Store) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if err := c.Validate(); err != nil {
		return protocol.Receipt{}, err
	}
	call, err := newCall(c)
	if err != nil {
		return protocol.Receipt{}, err
	}
	var receipt protocol.Receipt
	err = s.with(func(life *session) error {
		if err := life.ready(ctx); err != nil {
			return err
		}
		if err := life.register(ctx, c.Partition); err != nil {
			return err
		}
		call.stale(c.Epoch != 0 && c.Epoch != life.epoch)
		reply, err := commitScript.Run(ctx, life.client, call.keys, call.args...).Slice()
		if err != nil {
			return err
		}
		receipt, err = receiptOf(c, reply)
		return err
	})
	if err != nil {
		return protocol.Receipt{}, fmt.Errorf("redis: commit to %s: %w", c.Partition, err)
	}
	return receipt, nil
}

// register lists a partition, once in a session.
func (s *session) register(ctx context.Context, p protocol.Partition) error {
	if isRun(p) {
		return nil
	}
	if _, ok := s.known.Load(p); ok {
		return nil
	}
	if err := s.client.SAdd(ctx, partitionsKey, string(p)).Err(); err != nil {
		return err
	}
	s.known.Store(p, true)
	return nil
}

// call is what commit.lua is called with; see its head.
type call struct {
	keys []string
	args []any
}

// staleAt is the place of the argument that says that the epoch has changed.
const staleAt = 3

func (c *call) stale(yes bool) {
	c.args[staleAt] = ""
	if yes {
		c.args[staleAt] = "1"
	}
}

func newCall(c protocol.Commit) (*call, error) {
	k := keysOf(c.Partition)
	to := &call{
		keys: append(make([]string, 0, 8), k.inbox(), k.ledger(), k.outbox(), k.due(), k.queue()),
		args: make([]any, 0, 12+3*len(c.Checks)+4*len(c.Puts)+2*len(c.Due)+2*len(c.Queue)+len(c.Struck)),
	}
	absorbed, err := encode(c.Absorbed)
	if err != nil {
		return nil, err
	}
	emitted, err := encode(c.Emitted)
	if err != nil {
		return nil, err
	}
	to.args = append(to.args, c.Inbox, cause(c), protocol.Horizon.Milliseconds(), "", absorbed, emitted)
	to.documents(k, c)
	to.entries(c)
	return to, to.strikes(c.Struck)
}

// cause is the time of the cause in milliseconds, or "" where it cannot be too
// old. Asking Redis for the time costs a twentieth of a commit, so this clock is
// trusted with half of the horizon: it may be wrong by days.
func cause(c protocol.Commit) string {
	if len(c.Absorbed) == 0 || c.Absorbed[0].Time.IsZero() || time.Since(c.Absorbed[0].Time) < protocol.Horizon/2 {
		return ""
	}
	return strconv.FormatInt(c.Absorbed[0].Time.UnixMilli(), 10)
}

func (c *call) documents(k partition, from protocol.Commit) {
	kinds := map[string]int{}
	key := func(d protocol.Doc) int {
		kind := d.ID.Kind()
		at, ok := kinds[kind]
		if !ok {
			c.keys = append(c.keys, k.docs(kind))
			at = len(c.keys)
			kinds[kind] = at
		}
		return at
	}
	c.args = append(c.args, len(from.Checks))
	for _, d := range from.Checks {
		c.args = append(c.args, key(d), string(d.ID), prefix(d.Version))
	}
	c.args = append(c.args, len(from.Puts))
	for _, d := range from.Puts {
		value := []byte{}
		if d.Body != nil {
			value = make([]byte, 0, len(d.Body)+21)
			value = strconv.AppendUint(value, d.Version, 10)
			value = append(append(value, '|'), d.Body...)
		}
		c.args = append(c.args, key(d), string(d.ID), prefix(d.Version-1), value)
	}
}

// prefix is how the value of a document of that version begins.
func prefix(version uint64) string {
	if version == 0 {
		return ""
	}
	return strconv.FormatUint(version, 10) + "|"
}

func (c *call) entries(from protocol.Commit) {
	c.args = append(c.args, len(from.Due))
	for _, d := range from.Due {
		at := ""
		if !d.At.IsZero() {
			at = strconv.FormatInt(d.At.UnixMilli(), 10)
		}
		c.args = append(c.args, d.Name, at)
	}
	c.args = append(c.args, len(from.Queue))
	for _, q := range from.Queue {
		score := ""
		if !q.Remove {
			score = strconv.FormatFloat(q.Score, 'g', -1, 64)
		}
		c.args = append(c.args, q.Member, score)
	}
}

func (c *call) strikes(ids []protocol.LedgerID) error {
	c.args = append(c.args, len(ids))
	for _, id := range ids {
		p, err := id.Position()
		if err != nil {
			return err
		}
		c.args = append(c.args, member(p))
	}
	return nil
}

// receiptOf reads the answer of commit.lua.
func receiptOf(c protocol.Commit, reply []any) (protocol.Receipt, error) {
	word := func(i int) string {
		if i >= len(reply) {
			return ""
		}
		text, _ := reply[i].(string)
		return text
	}
	switch word(0) {
	case "ok":
		r := protocol.Receipt{Record: protocol.LedgerID(word(1))}
		if r.Record != "" {
			r.Emitted = protocol.Canonical(c.Emitted)
		}
		return r, nil
	case "again":
		emitted, err := decode(word(2))
		return protocol.Receipt{Duplicate: true, Record: protocol.LedgerID(word(1)), Emitted: emitted}, err
	case "old":
		return protocol.Receipt{}, fmt.Errorf("%w: %s", protocol.ErrTooOld, c.Absorbed[0].ID)
	case "epoch":
		return protocol.Receipt{}, fmt.Errorf("%w: epoch %d is over", protocol.ErrConflict, c.Epoch)
	case "conflict":
		return protocol.Receipt{}, fmt.Errorf("%w: %q has version %s", protocol.ErrConflict, word(1), word(2))
	}
	return protocol.Receipt{}, fmt.Errorf("answer %q of the script", reply)
}
