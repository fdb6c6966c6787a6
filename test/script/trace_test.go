package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/events/schema"
)

// trace is what --events wrote: the events in order.
type trace []events.Envelope

// trace reads a file of events and wants each line to keep its schema.
func (s *stage) trace(name string) trace {
	s.t.Helper()
	tr, err := readTrace(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return tr
}

func readTrace(path string) (trace, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n, err := schema.ValidateAll(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var tr trace
	for line := range bytes.Lines(text) {
		var e events.Envelope
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		tr = append(tr, e)
	}
	if len(tr) == 0 || len(tr) != n {
		return nil, fmt.Errorf("%s: %d events, %d of them valid", path, len(tr), n)
	}
	return tr, nil
}

// of gives the events of a type.
func (tr trace) of(typ events.Type) trace {
	var some trace
	for _, e := range tr {
		if e.Type == typ {
			some = append(some, e)
		}
	}
	return some
}

// only gives the one event of a type.
func (tr trace) only(t *testing.T, typ events.Type) events.Envelope {
	t.Helper()
	some := tr.of(typ)
	if len(some) != 1 {
		t.Fatalf("%d events of type %s, want one", len(some), typ)
	}
	return some[0]
}

// all decodes the events of T's type.
func all[T events.Data](t *testing.T, tr trace) []T {
	t.Helper()
	var zero T
	var some []T
	for _, e := range tr.of(zero.EventType()) {
		d, err := events.Decode[T](e)
		if err != nil {
			t.Fatal(err)
		}
		some = append(some, d.Data)
	}
	return some
}

// job is the key of the job that an event speaks of; empty where it speaks of
// none.
func job(e events.Envelope) string {
	var d struct {
		Job string `json:"job"`
		For struct {
			Job string `json:"job"`
		} `json:"for"`
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return ""
	}
	return d.Job + d.For.Job
}

// short is an event in few words.
func short(e events.Envelope) string {
	typ := strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "dev.relevo."), ".v1")
	return strings.TrimSpace(typ + " " + job(e))
}

// chain follows the causes of an event to the first one.
func (tr trace) chain(e events.Envelope) trace {
	byID := map[string]events.Envelope{}
	for _, one := range tr {
		byID[one.ID] = one
	}
	way := trace{e}
	for e.CauseID != "" {
		cause, ok := byID[e.CauseID]
		if !ok || len(way) > len(tr) { // unknown, or a circle
			break
		}
		way = append(way, cause)
		e = cause
	}
	return way
}

// last gives the place of the last event that is meant; -1 for none.
func (tr trace) last(meant func(e events.Envelope) bool) int {
	at := -1
	for i, e := range tr {
		if meant(e) {
			at = i
		}
	}
	return at
}
