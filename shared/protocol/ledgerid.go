package protocol

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is a ledger id taken apart, for stores. The zero Position is that of
// no record.
type Position struct {
	Millis  int64 // since 1970; never falls, even where the clock does
	Counter uint64
}

// Compare is negative where p stands before q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Millis, q.Millis), cmp.Compare(p.Counter, q.Counter))
}

// ID is the text form, "<milliseconds>-<counter>".
func (p Position) ID() LedgerID {
	return LedgerID(strconv.FormatInt(p.Millis, 10) + "-" + strconv.FormatUint(p.Counter, 10))
}

// Position takes the id apart; ErrInvalid where it is none that ID writes.
func (id LedgerID) Position() (Position, error) {
	ms, n, ok := strings.Cut(string(id), "-")
	var p Position
	var err1, err2 error
	p.Millis, err1 = strconv.ParseInt(ms, 10, 64)
	p.Counter, err2 = strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil || p.ID() != id {
		return Position{}, fmt.Errorf("%w: ledger id %q", ErrInvalid, id)
	}
	return p, nil
}
