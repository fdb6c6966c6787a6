// Package bus is the broker of a single process: it carries each published
// event to every function that subscribes to its type, at least once.
//
// Every function has a queue and a bounded number of deliveries at a time, so
// that a slow one holds up no other. What a handler returns is published in
// turn. An error that may pass (fn.Kind.Retry) brings the delivery back after a
// growing pause; any other, and the last try, makes a dead letter.
//
// Order is promised to nobody. In the common case, without retries, a function
// gets the events of one subject one after another as they were published; one
// that hears every event gets those of one partition key so.
//
// An envelope's Data is shared among its handlers and taps: it is for reading.
package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Options of a Bus; the zero value means the defaults.
type Options struct {
	// Concurrency is how many deliveries a function takes at a time: 16.
	Concurrency int
	// Limits set another concurrency by function name.
	Limits map[string]int
	// Tries is how often a delivery is tried before it is a dead letter: 10.
	Tries int
	// Backoff is the pause after the first failure: 50 ms. It doubles with each
	// further one; half of it is random.
	Backoff time.Duration
	// BackoffMax bounds the pause: 10 s.
	BackoffMax time.Duration
	// Memory bounds, in bytes, what waits or is being delivered: 64 MiB. Beyond
	// it Publish refuses publishers from outside; handlers are never refused.
	Memory int64
	// DeadLetters keeps what could not be delivered: the newest 1,000 in memory.
	DeadLetters DeadLetters
	// Chaos loses, repeats or delays deliveries: nil, none.
	Chaos Chaos
	// Log hears of dead letters and panics: slog.Default.
	Log *slog.Logger
}

// ErrClosed is what Publish and Direct return once Close was called.
var ErrClosed = errors.New("bus: closed")

// Bus is the broker. New makes one; its methods may be called at any time from
// any goroutine.
type Bus struct {
	opts Options
	ctx  context.Context // of the handlers; marked as coming from inside
	stop context.CancelFunc

	routes atomic.Pointer[table]
	taps   atomic.Pointer[[]*tap]
	tapped sync.Mutex // held while the taps see an event: it makes their order

	held    atomic.Int64 // bytes of all pending deliveries
	pending atomic.Int64 // deliveries that wait, run or pause before a retry
	closing atomic.Bool
	workers sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the writing of routes and taps
	idle    []chan struct{}
	pausing map[*pause]struct{}
	stopped bool
}

// table is who gets what; it is replaced as a whole.
type table struct {
	byName   map[string]*queue
	byType   map[events.Type][]*queue
	filtered []filtered
}

type filtered struct {
	match Matcher
	queue *queue
}

// insideKey marks the context of handlers.
type insideKey struct{}

// New makes a bus without subscribers.
func New(opts Options) *Bus {
	opts.Concurrency = cmp.Or(opts.Concurrency, 16)
	opts.Tries = cmp.Or(opts.Tries, 10)
	opts.Backoff = cmp.Or(opts.Backoff, 50*time.Millisecond)
	opts.BackoffMax = cmp.Or(opts.BackoffMax, 10*time.Second)
	opts.Memory = cmp.Or(opts.Memory, 64<<20)
	if opts.DeadLetters == nil {
		opts.DeadLetters = NewMemory(1000)
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	b := &Bus{opts: opts, pausing: map[*pause]struct{}{}}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.ctx = context.WithValue(b.ctx, insideKey{}, b)
	b.routes.Store(&table{})
	b.taps.Store(&[]*tap{})
	return b
}

// Subscribe adds the event functions among those given; HTTP functions are
// passed over. A name that is taken, or an event function without a type or a
// handler, is an error, and then none is added.
func (b *Bus) Subscribe(functions ...fn.Function) error {
	return b.subscribe(functions, nil)
}

// SubscribeWhere adds f for the events of its type that pass every filter, as
// a Trigger with those filters would.
func (b *Bus) SubscribeWhere(f fn.Function, filters ...Filter) error {
	match, err := Compile(filters)
	if err != nil {
		return fmt.Errorf("bus: subscribe %s: %w", f.Name, err)
	}
	return b.subscribe([]fn.Function{f}, match)
}

func (b *Bus) subscribe(functions []fn.Function, match Matcher) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return fmt.Errorf("bus: subscribe: %w", ErrClosed)
	}
	next := b.routes.Load().clone()
	for _, f := range functions {
		if f.Handle == nil && f.HTTP != nil {
			continue
		}
		if f.Name == "" || f.On == "" || f.Handle == nil {
			return fmt.Errorf("bus: subscribe %q: it needs a name, an event type and a handler", f.Name)
		}
		if next.byName[f.Name] != nil {
			return fmt.Errorf("bus: subscribe %s: the name is taken", f.Name)
		}
		next.add(newQueue(b, f), match)
	}
	b.routes.Store(next)
	return nil
}

func (t *table) clone() *table {
	next := &table{
		byName: map[string]*queue{}, byType: map[events.Type][]*queue{},
		filtered: slices.Clone(t.filtered),
	}
	maps.Copy(next.byName, t.byName)
	for typ, queues := range t.byType {
		next.byType[typ] = slices.Clone(queues)
	}
	return next
}

func (t *table) add(q *queue, match Matcher) {
	t.byName[q.fn.Name] = q
	if match == nil {
		for _, typ := range append([]events.Type{q.fn.On}, q.fn.Also...) {
			t.byType[typ] = append(t.byType[typ], q)
		}
		return
	}
	t.filtered = append(t.filtered, filtered{match: match, queue: q})
}

// Publish hands e to every subscriber of its type and returns before any of
// them has run. From outside a handler it fails with fn.Exhausted while the
// bus holds more than its memory bound, and with ErrClosed after Close; from
// inside one (its context says so) it always succeeds, so that handlers that
// publish can never wait for each other. A second Publish of the same event is
// a second delivery.
func (b *Bus) Publish(ctx context.Context, e events.Envelope) error {
	return b.PublishAll(ctx, []events.Envelope{e})
}

// PublishAll publishes several events, or none of them.
func (b *Bus) PublishAll(ctx context.Context, all []events.Envelope) error {
	if len(all) == 0 {
		return nil
	}
	if err := b.admit(ctx, all[0].ID); err != nil {
		return err
	}
	for _, e := range all {
		b.publish(&e)
	}
	return nil
}

func (b *Bus) admit(ctx context.Context, id string) error {
	if ctx.Value(insideKey{}) == b {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("bus: publish %s: %w", id, err)
	}
	if b.closing.Load() {
		return fmt.Errorf("bus: publish %s: %w", id, ErrClosed)
	}
	if held := b.held.Load(); held >= b.opts.Memory {
		return fn.Faultf(fn.Exhausted, "bus: publish %s: %d bytes are waiting, the bound is %d", id, held, b.opts.Memory)
	}
	return nil
}

// publish shows e to the taps before any handler can answer it, so that they
// see a cause before its effect.
func (b *Bus) publish(e *events.Envelope) {
	b.show(e)
	for q := range b.routes.Load().takers(e) {
		b.carry(q, e)
	}
}

// takers are who subscribes to e.
func (t *table) takers(e *events.Envelope) iter.Seq[*queue] {
	return func(yield func(*queue) bool) {
		for _, list := range [2][]*queue{t.byType[e.Type], t.byType[fn.Everything]} {
			for _, q := range list {
				if !yield(q) {
					return
				}
			}
		}
		for _, f := range t.filtered {
			if f.queue.fn.Takes(e.Type) && f.match.Match(*e) && !yield(f.queue) {
				return
			}
		}
	}
}

// carry brings e to one subscriber, through the chaos where there is one.
func (b *Bus) carry(q *queue, e *events.Envelope) {
	if b.opts.Chaos == nil {
		b.enqueue(q, delivery{event: e}, 0)
		return
	}
	fate := b.opts.Chaos.Fate(*e, q.fn.Name)
	if fate.Lost {
		return
	}
	for range 1 + fate.Copies {
		b.enqueue(q, delivery{event: e}, fate.Delay)
	}
}

func (b *Bus) enqueue(q *queue, d delivery, after time.Duration) {
	b.pending.Add(1)
	b.held.Add(d.size())
	if after > 0 {
		b.pause(q, d, after)
		return
	}
	q.push(d)
}
