package bus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/fn"
)

// quiet is a log that nobody reads.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func envelope(typ events.Type, id string) events.Envelope {
	return events.Envelope{ID: id, Source: "/relevo/test", Type: typ, Subject: "thing/" + id}
}

// journal is what handlers and taps saw, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) sorted() []string {
	lines := j.all()
	slices.Sort(lines)
	return lines
}

// on is a function that writes down what it gets and emits what then returns.
func (j *journal) on(name string, typ events.Type, then func(e events.Envelope) ([]events.Envelope, error)) fn.Function {
	return fn.Function{Name: name, On: typ, Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
		j.add(name + " " + e.ID)
		if then == nil {
			return nil, nil
		}
		return then(e)
	}}
}

// start subscribes functions to a bus that is closed with the test.
func start(t *testing.T, opts bus.Options, functions ...fn.Function) *bus.Bus {
	t.Helper()
	opts.Log = quiet
	b := bus.New(opts)
	if err := b.Subscribe(functions...); err != nil {
		t.Fatal(err)
	}
	return b
}

func publish(t *testing.T, b *bus.Bus, all ...events.Envelope) {
	t.Helper()
	for _, e := range all {
		if err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func idle(t *testing.T, b *bus.Bus) {
	t.Helper()
	if err := b.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestEventsGoToTheirSubscribersAndOn(t *testing.T) {
	var j journal
	b := start(
		t, bus.Options{},
		j.on("a", "t.a", func(e events.Envelope) ([]events.Envelope, error) {
			return []events.Envelope{envelope("t.b", e.ID+"1"), envelope("t.b", e.ID+"2")}, nil
		}),
		j.on("b", "t.b", nil),
		j.on("b-too", "t.b", nil),
		j.on("everything", fn.Everything, nil),
		fn.Function{Name: "page", HTTP: http.NotFoundHandler()},
	)
	publish(t, b, envelope("t.a", "x"), envelope("t.unknown", "y"))
	idle(t, b)
	same(t, "deliveries", j.sorted(), []string{
		"a x", "b x1", "b x2", "b-too x1", "b-too x2",
		"everything x", "everything x1", "everything x2", "everything y",
	})
}

func TestAFunctionMayTakeFurtherTypes(t *testing.T) {
	b, j := bus.New(bus.Options{Log: quiet}), &journal{}
	f := j.on("f", "a", nil)
	f.Also = []events.Type{"b"}
	if err := b.Subscribe(f); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []events.Type{"a", "b", "c"} {
		if err := b.Publish(t.Context(), envelope(typ, "of "+string(typ))); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := j.sorted(); !slices.Equal(got, []string{"f of a", "f of b"}) {
		t.Errorf("%q", got)
	}
}

func TestSubscribeRefuses(t *testing.T) {
	handle := func(context.Context, events.Envelope) ([]events.Envelope, error) { return nil, nil }
	for name, f := range map[string]fn.Function{
		"no name":    {On: "t.a", Handle: handle},
		"no type":    {Name: "x", Handle: handle},
		"no handler": {Name: "x", On: "t.a"},
		"name taken": {Name: "a", On: "t.z", Handle: handle},
	} {
		var j journal
		b := start(t, bus.Options{}, j.on("a", "t.a", nil))
		if err := b.Subscribe(j.on("new", "t.a", nil), f); err == nil {
			t.Errorf("%s: subscribed", name)
		}
		publish(t, b, envelope("t.a", "1"))
		idle(t, b)
		same(t, name, j.all(), []string{"a 1"})
	}
}

func TestSubscribeWhereFilters(t *testing.T) {
	var j journal
	b := start(t, bus.Options{})
	if err := b.SubscribeWhere(j.on("runs", fn.Everything, nil), bus.Filter{Prefix: map[string]string{"subject": "thing/r"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.SubscribeWhere(j.on("typed", "t.a", nil), bus.Filter{Suffix: map[string]string{"id": "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.SubscribeWhere(j.on("bad", "t.a", nil), bus.Filter{}); !errors.Is(err, bus.ErrFilter) {
		t.Errorf("an empty filter: %v", err)
	}
	publish(t, b, envelope("t.a", "r1"), envelope("t.b", "r2"), envelope("t.a", "x1"), envelope("t.b", "x2"))
	idle(t, b)
	same(t, "deliveries", j.sorted(), []string{"runs r1", "runs r2", "typed r1", "typed x1"})
}

func TestOneFunctionHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		release := make(chan struct{})
		var running, most int
		var mu sync.Mutex
		slow := fn.Function{Name: "slow", On: "t.a", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return nil, nil
		}}
		b := start(t, bus.Options{Limits: map[string]int{"slow": 3}}, slow, j.on("quick", "t.a", nil))
		for i := range 20 {
			publish(t, b, envelope("t.a", strconv.Itoa(i)))
		}
		synctest.Wait()
		if n := len(j.all()); n != 20 {
			t.Errorf("the quick one got %d of 20 while the slow one is full", n)
		}
		close(release)
		idle(t, b)
		if most != 3 {
			t.Errorf("%d ran at a time, want 3", most)
		}
	})
}

func TestOrderWithinASubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		// The first of each subject takes longest: without order it would end last.
		f := fn.Function{Name: "f", On: "t.a", Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
			time.Sleep(time.Duration(100-e.Sequence) * time.Millisecond)
			j.add(fmt.Sprint(e.Subject, " ", e.Sequence))
			return nil, nil
		}}
		b := start(t, bus.Options{Concurrency: 8}, f)
		began := time.Now()
		for i := range uint64(40) {
			e := envelope("t.a", strconv.FormatUint(i, 10))
			e.Subject, e.Sequence = "s"+strconv.FormatUint(i%4, 10), i
			publish(t, b, e)
		}
		idle(t, b)
		perSubject := map[string][]string{}
		for _, line := range j.all() {
			subject, _, _ := strings.Cut(line, " ")
			perSubject[subject] = append(perSubject[subject], line)
		}
		for i := range 4 {
			var want []string
			for k := i; k < 40; k += 4 {
				want = append(want, fmt.Sprintf("s%d %d", i, k))
			}
			same(t, "order", perSubject["s"+strconv.Itoa(i)], want)
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("%v: the subjects waited for each other", took)
		}
	})
}

func TestWhoHearsEverythingHearsARunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		f := fn.Function{Name: "f", On: fn.Everything, Handle: func(_ context.Context, e events.Envelope) ([]events.Envelope, error) {
			time.Sleep(time.Duration(10-e.Sequence) * time.Millisecond)
			j.add(e.ID)
			return nil, nil
		}}
		b := start(t, bus.Options{}, f)
		var want []string
		for i := range uint64(10) {
			e := envelope("t.a", strconv.FormatUint(i, 10))
			e.PartitionKey, e.Sequence = "run", i
			want = append(want, e.ID)
			publish(t, b, e)
		}
		idle(t, b)
		same(t, "order", j.all(), want)
	})
}

// TestHandlersThatEmitNeverWaitForEachOther sends events in a circle of
// functions that take one at a time, far beyond the memory bound.
func TestHandlersThatEmitNeverWaitForEachOther(t *testing.T) {
	var b *bus.Bus
	hops := func(next events.Type) func(e events.Envelope) ([]events.Envelope, error) {
		return func(e events.Envelope) ([]events.Envelope, error) {
			if len(e.ID) > 8 {
				return nil, nil
			}
			return []events.Envelope{envelope(next, e.ID+"l"), envelope(next, e.ID+"r")}, nil
		}
	}
	var j journal
	b = start(
		t, bus.Options{Concurrency: 1, Memory: 1},
		j.on("a", "t.a", hops("t.b")), j.on("b", "t.b", hops("t.c")), j.on("c", "t.c", hops("t.a")),
	)
	publish(t, b, envelope("t.a", ""))
	idle(t, b)
	if got := len(j.all()); got != 1<<10-1 {
		t.Errorf("%d deliveries, want %d", got, 1<<10-1)
	}
}

func TestMemoryBoundRefusesOutsidersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var b *bus.Bus
		var inside error
		f := fn.Function{Name: "f", On: "t.a", Handle: func(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
			<-release
			if e.ID == "first" {
				inside = b.Publish(ctx, envelope("t.a", "from-inside"))
			}
			return nil, nil
		}}
		b = start(t, bus.Options{Memory: 1000}, f)
		big := envelope("t.a", "first")
		big.Data = []byte(`"` + strings.Repeat("x", 1000) + `"`)
		publish(t, b, big)
		err := b.Publish(t.Context(), envelope("t.a", "second"))
		if err == nil || fn.KindOf(err) != fn.Exhausted {
			t.Errorf("from outside: %v, want exhausted", err)
		}
		close(release)
		idle(t, b)
		if inside != nil {
			t.Errorf("from inside: %v", inside)
		}
		publish(t, b, envelope("t.a", "third"))
		idle(t, b)
	})
}

func TestPublishRefusesAnEndedContext(t *testing.T) {
	b := start(t, bus.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Publish(ctx, envelope("t.a", "1")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
