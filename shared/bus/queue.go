package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// delivery is one event on its way to one function.
type delivery struct {
	event *events.Envelope // shared with the other subscribers
	tries int              // made and failed
}

// overhead is what a delivery weighs besides its payload, in bytes: envelope,
// attributes, places in queues.
const overhead = 512

func (d delivery) size() int64 { return overhead + int64(len(d.event.Data)) }

// queue holds one function's deliveries. Its workers are goroutines that come
// with the work and go with it.
type queue struct {
	bus   *Bus
	fn    fn.Function
	limit int

	mu      sync.Mutex
	ready   ring
	running int
	closed  bool
	// lanes keep the events of one key in order: a key is listed while one of its
	// deliveries is ready or running, and the others stand behind it.
	lanes map[string][]delivery
}

func newQueue(b *Bus, f fn.Function) *queue {
	limit := b.opts.Limits[f.Name]
	if limit <= 0 {
		limit = b.opts.Concurrency
	}
	return &queue{bus: b, fn: f, limit: limit, lanes: map[string][]delivery{}}
}

// lane is the key that orders e for this function. Jobs of one run must not
// wait for each other (each launch takes a while), but who hears everything
// wants a run's story in order.
func (q *queue) lane(e *events.Envelope) string {
	if q.fn.On == fn.Everything && e.PartitionKey != "" {
		return e.PartitionKey
	}
	return e.Subject
}

// push adds a delivery that the bus counts as pending, and wakes a worker.
func (q *queue) push(d delivery) {
	key := q.lane(d.event)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		q.bus.settle(d)
		return
	}
	if behind, busy := q.lanes[key]; busy && key != "" {
		q.lanes[key] = append(behind, d)
		q.mu.Unlock()
		return
	}
	if key != "" {
		q.lanes[key] = nil
	}
	q.ready.push(d)
	wake := q.running < q.limit
	if wake {
		q.running++
		q.bus.workers.Add(1)
	}
	q.mu.Unlock()
	if wake {
		go q.work()
	}
}

func (q *queue) work() {
	defer q.bus.workers.Done()
	for {
		q.mu.Lock()
		d, ok := q.ready.pop()
		if !ok {
			q.running--
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		out, err := q.call(q.bus.ctx, *d.event)
		q.bus.finish(q, d, out, err)
		q.leave(d.event)
	}
}

// leave lets the next delivery of e's lane go, now that what e led to is
// published.
func (q *queue) leave(e *events.Envelope) {
	key := q.lane(e)
	if key == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	behind := q.lanes[key]
	if len(behind) == 0 {
		delete(q.lanes, key)
		return
	}
	q.ready.push(behind[0])
	q.lanes[key] = behind[1:]
}

// close takes out what waits and refuses what comes.
func (q *queue) close() []delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	var dropped []delivery
	for d, ok := q.ready.pop(); ok; d, ok = q.ready.pop() {
		dropped = append(dropped, d)
	}
	for _, behind := range q.lanes {
		dropped = append(dropped, behind...)
	}
	clear(q.lanes)
	return dropped
}

// call runs the handler; a panic comes back as an error, which is tried again
// like any that nobody classed.
func (q *queue) call(ctx context.Context, e events.Envelope) (out []events.Envelope, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			q.bus.opts.Log.Error("bus: a handler panicked", "function", q.fn.Name,
				"event", e.ID, "panic", cause, "stack", string(debug.Stack()))
			out, err = nil, fmt.Errorf("bus: %s panicked: %v", q.fn.Name, cause)
		}
	}()
	return q.fn.Handle(ctx, e)
}

// finish publishes what a handler emitted, also beside an error: it committed
// that much. Then it decides what becomes of a delivery that failed. What is
// emitted is pending before its cause is settled, so that the bus never looks
// idle in between.
func (b *Bus) finish(q *queue, d delivery, out []events.Envelope, err error) {
	for i := range out {
		b.publish(&out[i])
	}
	if err == nil {
		b.settle(d)
		return
	}
	d.tries++
	if d.tries < b.opts.Tries && fn.KindOf(err).Retry() {
		b.pause(q, d, b.backoff(d.tries))
		return
	}
	b.bury(q, d, err)
	b.settle(d)
}

// backoff is the pause after so many failures: half of it fixed, half random,
// so that deliveries that collided do not meet again.
func (b *Bus) backoff(failures int) time.Duration {
	pause := b.opts.BackoffMax
	if shift := failures - 1; shift < 32 && b.opts.Backoff < b.opts.BackoffMax>>shift {
		pause = b.opts.Backoff << shift
	}
	return pause/2 + rand.N(pause/2+1)
}

// ring is a first-in-first-out queue that grows and lets go of its memory when
// it ran empty after a burst.
type ring struct {
	buf  []delivery
	head int
	n    int
}

// ringKeeps is the capacity that an empty ring keeps.
const ringKeeps = 1024

func (r *ring) push(d delivery) {
	if r.n == len(r.buf) {
		grown := make([]delivery, max(16, 2*r.n))
		copied := copy(grown, r.buf[r.head:])
		copy(grown[copied:], r.buf[:r.head])
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = d
	r.n++
}

func (r *ring) pop() (delivery, bool) {
	if r.n == 0 {
		return delivery{}, false
	}
	d := r.buf[r.head]
	r.buf[r.head] = delivery{}
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	if r.n == 0 && len(r.buf) > ringKeeps {
		*r = ring{}
	}
	return d, true
}
