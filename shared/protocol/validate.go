package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/events"
)

// Validate tells what is malformed about c, as an ErrInvalid. Every store asks
// it before anything else, so that whatever gets into a ledger can be read
// back.
func (c Commit) Validate() error {
	if c.Partition == "" {
		return fmt.Errorf("%w: commit without a partition", ErrInvalid)
	}
	seen := make(map[DocID]bool, len(c.Puts))
	for _, d := range c.Puts {
		if seen[d.ID] {
			return fmt.Errorf("%w: document %q put twice", ErrInvalid, d.ID)
		}
		seen[d.ID] = true
	}
	for _, q := range c.Queue {
		if math.IsNaN(q.Score) {
			return fmt.Errorf("%w: score of %q is not a number", ErrInvalid, q.Member)
		}
	}
	for _, list := range [][]events.Envelope{c.Absorbed, c.Emitted} {
		for _, e := range list {
			if err := validEnvelope(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// validEnvelope holds e against what its JSON form can carry unchanged.
func validEnvelope(e events.Envelope) error {
	if e.ID == "" || e.Source == "" || e.Type == "" {
		return fmt.Errorf("%w: event %q without id, source or type", ErrInvalid, e.ID)
	}
	for _, s := range []string{
		e.ID, e.Source, string(e.Type), e.Subject, e.CauseID, e.RunID,
		e.PartitionKey, e.Traceparent, e.Tracestate,
	} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: event %q: attribute %q is not UTF-8", ErrInvalid, e.ID, s)
		}
	}
	if y := e.Time.UTC().Year(); y < 0 || y > 9999 {
		return fmt.Errorf("%w: event %q: year %d", ErrInvalid, e.ID, y)
	}
	if len(e.Data) > 0 && !json.Valid(e.Data) {
		return fmt.Errorf("%w: event %q: data is not JSON", ErrInvalid, e.ID)
	}
	return nil
}

// Canonical copies events as a ledger keeps them: times in UTC, to the
// millisecond. Data that is not compact JSON may come back compacted.
func Canonical(list []events.Envelope) []events.Envelope {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	for i, e := range list {
		list[i].Data = bytes.Clone(e.Data)
		if !e.Time.IsZero() {
			list[i].Time = e.Time.UTC().Truncate(time.Millisecond)
		}
	}
	return list
}
