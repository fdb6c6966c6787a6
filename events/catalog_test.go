package events_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
)

// declared reads from the source which types have an EventType method, and the
// names of the constants of type Type.
func declared(t *testing.T) (payloads, constants []string) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && n.Name.Name == "EventType" {
					receiver, ok := n.Recv.List[0].Type.(*ast.Ident)
					if !ok {
						t.Errorf("%s: an EventType method on a pointer: Decode needs it on the value", name)
						return true
					}
					payloads = append(payloads, receiver.Name)
				}
			case *ast.ValueSpec:
				if typ, ok := n.Type.(*ast.Ident); ok && typ.Name == "Type" {
					constants = append(constants, n.Names[0].Name)
				}
			}
			return true
		})
	}
	return payloads, constants
}

func TestCatalogIsComplete(t *testing.T) {
	payloads, constants := declared(t)
	var rows, want []string
	for _, e := range events.Catalog() {
		name := reflect.TypeOf(e.New()).Elem().Name()
		rows = append(rows, name)
		want = append(want, "Type"+name)
	}
	for what, lists := range map[string][2][]string{
		"types with an EventType method": {payloads, rows},
		"constants of type Type":         {constants, want},
	} {
		slices.Sort(lists[0])
		slices.Sort(lists[1])
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s:\n%v\nthe Catalog:\n%v", what, lists[0], lists[1])
		}
	}
}

// Type names follow one pattern: functions, channels and brokers' filters are
// called by its parts.
func TestCatalogTypes(t *testing.T) {
	pattern := regexp.MustCompile(`^dev\.relevo\.([a-z]+)\.([a-z]+\.[a-z]+(?:ed|wn))\.v1$`)
	tails := map[string]events.Type{}
	for _, e := range events.Catalog() {
		m := pattern.FindStringSubmatch(string(e.Type))
		if m == nil {
			t.Errorf("%s is not dev.relevo.<context>.<noun>.<past participle>.v1", e.Type)
			continue
		}
		if m[1] != string(e.Context) {
			t.Errorf("%s belongs to the context %s", e.Type, e.Context)
		}
		if other, ok := tails[m[2]]; ok {
			t.Errorf("%s and %s have the same tail, which names a function", e.Type, other)
		}
		tails[m[2]] = e.Type

		data, ok := e.New().(events.Data)
		if !ok || data.EventType() != e.Type {
			t.Errorf("%s: New gives %T, which is not its payload", e.Type, e.New())
		}
		if found, ok := events.Find(e.Type); !ok || found.Type != e.Type {
			t.Errorf("Find(%s) = %v, %t", e.Type, found, ok)
		}
	}
	if e, ok := events.Find("dev.relevo.pipeline.run.imagined.v1"); ok {
		t.Errorf("Find of an unknown type gives %v", e)
	}
}

func TestCatalogIsACopy(t *testing.T) {
	c := events.Catalog()
	c[0] = events.Entry{}
	if events.Catalog()[0].Type == "" {
		t.Error("a caller can change the Catalog")
	}
	a, b := events.Catalog()[0].New(), events.Catalog()[0].New()
	if a == b {
		t.Error("New gives the same payload twice")
	}
}

// A field without a value is left out; null is no value of any field but those
// that hold JSON of others.
func TestNoFieldIsNull(t *testing.T) {
	for _, e := range events.Catalog() {
		raw, err := json.Marshal(e.New())
		if err != nil {
			t.Errorf("%s: %v", e.Type, err)
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Errorf("%s: %v", e.Type, err)
		}
		delete(fields, "spec")
		for name, value := range fields {
			if strings.Contains(string(value), "null") {
				t.Errorf("%s: %s is null when empty: give it omitempty", e.Type, name)
			}
		}
	}
}

func TestSubjects(t *testing.T) {
	job := events.JobRef{Run: "R", Job: "test.0"}
	attempt := events.AttemptRef{JobRef: job, Attempt: 1}
	placed := events.Placement{Pool: "linux", Node: "n1", Assignment: "a", Worker: "w"}
	for _, c := range []struct {
		data events.Data
		want string
		run  events.RunID
	}{
		{events.RunStarted{RunRef: events.RunRef{Run: "R"}}, "run/R", "R"},
		{events.JobSkipped{JobRef: job}, "run/R/job/test.0", "R"},
		{events.JobScheduled{AttemptRef: attempt, Placement: placed}, "run/R/job/test.0", "R"},
		{events.CancelRequested{RunRef: events.RunRef{Run: "R"}, Job: "test.0"}, "run/R", "R"},
		{events.ConcurrencyAcquired{GroupRef: events.GroupRef{Group: "g", Run: "R"}}, "group/g", "R"},
		{events.OfferCreated{OfferRef: events.OfferRef{Pool: "linux", Offer: "o"}, For: attempt}, "pool/linux/offer/o", "R"},
		{events.AssignmentCreated{AssignmentRef: events.AssignmentRef{Pool: "linux", Assignment: "a"}, For: attempt}, "pool/linux/assignment/a", "R"},
		{events.CapacityUpdated{Pool: "linux", Node: "n1"}, "pool/linux/node/n1", ""},
		{events.WorkerCreated{For: attempt, Placement: placed}, "worker/w", "R"},
		{events.ArtifactEvicted{RunRef: events.RunRef{Run: "R"}}, "run/R", "R"},
		{events.CacheEvicted{Key: "k"}, "cache/k", ""},
		{events.MetricEmitted{Name: "m"}, "metric/m", ""},
		{events.AuthGranted{Principal: "ana"}, "principal/ana", ""},
		{events.ClockTicked{}, "clock", ""},
	} {
		if got := c.data.Subject(); got != c.want {
			t.Errorf("%T: subject %q, want %q", c.data, got, c.want)
		}
		var run events.RunID
		if of, ok := c.data.(interface{ RunOf() events.RunID }); ok {
			run = of.RunOf()
		}
		if run != c.run {
			t.Errorf("%T belongs to run %q, want %q", c.data, run, c.run)
		}
	}
}
