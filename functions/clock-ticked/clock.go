// Package clockticked lets time do its part: due entries fire, events that
// nobody seems to have got are sent again, workers that nobody wants are
// removed. With a broker that loses every event it finishes every run alone.
package clockticked

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// Clock is what a tick works on.
type Clock struct {
	Runs   *state.Runs
	Pools  *state.Pools
	Groups *state.Groups
	// Front may be nil where there are no front doors.
	Front *state.Front
	// Access and Audit may be nil where nobody is known by name.
	Access *state.Access
	Audit  *state.Audit
	// Workers may be nil where no provider is at hand.
	Workers *workers.Workers
	// Publish sends what was decided to the broker.
	Publish func(ctx context.Context, es []events.Envelope) error
	// StartGrace gives the workers the time of a lease to be heard after this
	// process started: where it is the only control plane, they could not report
	// while it was away. A clock that starts cold for each tick must not have it,
	// or no lease would ever be over.
	StartGrace bool
	// Forget drops the logs of a run that is about to be retired; nil: they stay.
	Forget func(ctx context.Context, run events.RunID) error
	// Views are the read models, whose rows are held against their documents from
	// time to time; nil: there are none.
	Views *state.Views
	// Tidy moves up to limit closed logs to where there is room; nil: they stay.
	Tidy func(ctx context.Context, limit int) (moved int, err error)
	// Direct hands an event to every function that subscribes to it, and what
	// they emit to the next, round the broker.
	Direct func(ctx context.Context, e events.Envelope) error
	// Fresh tells that the store began with this process: nothing is left over
	// from before, so what is looked at from time to time is so first when that
	// time has passed.
	Fresh bool

	// Beside is for what others do in a tick: deliveries round the broker, and the
	// sweep. The zero value does them one after another.
	Beside Beside

	mu         sync.Mutex
	graceUntil time.Time
	failed     bool
	started    bool
	outboxAt   time.Time
	sweepAt    time.Time
	retireAt   time.Time
	tidyAt     time.Time
	mendAt     time.Time
	found      int                     // records in outboxes, ever
	seen       map[events.RunID]uint64 // live runs whose rows are right; of mend alone
	seenIn     uint32                  // the store's epoch then
}

const (
	batch        = 256              // due entries a tick
	outboxAge    = 2 * time.Second  // before a record counts as not published
	outboxEvery  = 5 * time.Second  // between looks at the outboxes
	sweepEvery   = 30 * time.Second // between looks for orphans
	outboxPerRun = 64
	most         = 40 * time.Second // of ticks that one event causes
	retireEvery  = time.Hour        // between looks for what is past its time
	mendEvery    = 30 * time.Second // between looks for rows that are behind
	tidyEvery    = 10 * time.Second // between looks for closed logs
	tidyLogs     = 64               // moved at a time
)

// Tick fires what is due. It returns when the next entry falls due (zero:
// none), by the store's time, and that time.
func (c *Clock) Tick(ctx context.Context) (next, now time.Time, err error) {
	ps, err := c.Runs.Store.Partitions(ctx)
	if err != nil {
		return c.fail(err)
	}
	_, moment, err := c.Runs.Store.Load(ctx, ps[0])
	if err != nil {
		return c.fail(err)
	}
	grace := c.grace(moment.Now)
	due, next, err := c.Runs.Store.Overdue(ctx, ps, batch)
	if err != nil {
		return c.fail(err)
	}
	var errs []error
	w := c.Beside.begin(ctx)
	for _, d := range due {
		if err := c.fire(ctx, w, d, grace); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, w.wait(), c.fill(ctx, due))
	if len(due) == batch {
		next = moment.Now
	}
	errs = append(errs, c.outboxes(ctx, ps, moment), c.sweep(ctx, moment.Now), c.mend(ctx, ps[0], moment), c.retire(ctx, ps, moment.Now), c.tidy(ctx, moment.Now))
	return next, moment.Now, errors.Join(errs...)
}

func (c *Clock) fail(err error) (time.Time, time.Time, error) {
	return time.Time{}, time.Time{}, c.away(err)
}

// away notes that the store was away: silence proves nothing until the workers
// had the time to be heard again.
func (c *Clock) away(err error) error {
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed = true
	}
	return err
}

func (c *Clock) grace(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Fresh && !c.started {
		c.outboxAt, c.sweepAt, c.retireAt, c.mendAt = now.Add(outboxEvery), now.Add(sweepEvery), now.Add(retireEvery), now.Add(mendEvery)
	}
	if c.failed || (c.StartGrace && !c.started) {
		c.graceUntil = now.Add(c.Runs.Policy.Lease)
	}
	c.failed, c.started = false, true
	return now.Before(c.graceUntil)
}

// fire lets a due entry fire. What its state asks to be sent again is left to w.
func (c *Clock) fire(ctx context.Context, w *work, d protocol.DueIn, grace bool) error {
	var res state.Result
	var again []events.Envelope
	var err error
	switch {
	case strings.HasPrefix(string(d.Partition), "pool:"):
		res, again, err = c.Pools.Fire(ctx, d.Partition, d.Name)
	case strings.HasPrefix(string(d.Partition), "group:"):
		res, again, err = c.Groups.Fire(ctx, d.Partition)
	case strings.HasPrefix(string(d.Partition), state.FrontPrefix):
		if c.Front == nil {
			return nil
		}
		res, again, err = c.Front.Fire(ctx, d.Partition, d.Name)
	case strings.HasPrefix(string(d.Partition), state.AccessPrefix):
		if c.Access == nil {
			return nil
		}
		res, err = c.Access.Fire(ctx, d.Partition, d.Name)
	default:
		res, again, err = c.Runs.Fire(ctx, d.Name, grace)
	}
	if errors.Is(err, protocol.ErrConflict) {
		return nil // it moved on by itself
	}
	if err != nil {
		return c.away(err)
	}
	if len(again) > 0 {
		w.do(string(d.Partition)+" "+d.Name, func(ctx context.Context) error {
			var errs []error
			for _, e := range again {
				errs = append(errs, c.Direct(ctx, e))
			}
			return errors.Join(errs...)
		})
	}
	if len(res.Emitted) > 0 {
		return c.Publish(ctx, res.Emitted)
	}
	return nil
}

// outboxes sends again what was committed and, as far as is known, never
// published.
func (c *Clock) outboxes(ctx context.Context, ps []protocol.Partition, m protocol.Moment) error {
	if !c.passed(&c.outboxAt, m.Now, outboxEvery) {
		return nil
	}
	var errs []error
	errs = append(errs, c.away(c.Runs.Flush(ctx)))
	w := c.Beside.begin(ctx)
	for _, p := range ps {
		records, err := c.Runs.Store.Outbox(ctx, p, outboxAge, outboxPerRun)
		if err != nil {
			errs = append(errs, c.away(err))
			break
		}
		if len(records) > 0 {
			c.mu.Lock()
			c.found += len(records)
			c.mu.Unlock()
			w.do("outbox "+string(p), func(ctx context.Context) error { return c.outbox(ctx, p, records, m.Epoch) })
		}
	}
	return errors.Join(append(errs, w.wait())...)
}

// outbox sends the records of one partition again, and strikes those that got
// there.
func (c *Clock) outbox(ctx context.Context, p protocol.Partition, records []protocol.Record, epoch uint32) error {
	var errs []error
	var sent []protocol.LedgerID
	for _, r := range records {
		if err := c.resend(ctx, r, epoch); err != nil {
			errs = append(errs, err)
			continue // the events of a later one may be what it waits for
		}
		sent = append(sent, r.ID)
	}
	if len(sent) > 0 {
		errs = append(errs, c.away(c.Runs.Strike(ctx, p, sent)))
	}
	return errors.Join(errs...)
}

// resend tells a record's events again. It stands in the ledger as of the tick's
// epoch, whichever it was made in.
// Those that are not of Relevo's language are for others, whom the broker alone
// knows.
func (c *Clock) resend(ctx context.Context, r protocol.Record, epoch uint32) error {
	for _, e := range r.Emitted {
		e.Epoch = epoch
		send := c.Direct
		if _, ours := events.Find(e.Type); !ours {
			send = func(ctx context.Context, e events.Envelope) error { return c.Publish(ctx, []events.Envelope{e}) }
		}
		if err := send(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes workers whose attempt is over: those that were made while the
// removal was under way, or whose removal was lost.
func (c *Clock) sweep(ctx context.Context, now time.Time) error {
	if c.Workers == nil || !c.passed(&c.sweepAt, now, sweepEvery) {
		return nil
	}
	w := c.Beside.begin(ctx)
	w.do("sweep", func(ctx context.Context) error {
		gone, err := c.Workers.Sweep(ctx)
		if len(gone) > 0 {
			err = errors.Join(err, c.Publish(ctx, gone))
		}
		return err
	})
	return w.wait()
}

// tidy moves logs that are closed. It takes as long as where they go does, so it
// is done beside the tick.
func (c *Clock) tidy(ctx context.Context, now time.Time) error {
	if c.Tidy == nil || !c.passed(&c.tidyAt, now, tidyEvery) {
		return nil
	}
	w := c.Beside.begin(ctx)
	w.do("tidy", func(ctx context.Context) error {
		_, err := c.Tidy(ctx, tidyLogs)
		return err
	})
	return w.wait()
}

func (c *Clock) passed(at *time.Time, now time.Time, every time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(*at) {
		return false
	}
	*at = now.Add(every)
	return true
}

// TypePing is the type of what Knative's PingSource sends.
const TypePing events.Type = "dev.knative.sources.ping"

// ticks is a tick and, while the outboxes hold what nobody published, more of
// them: where the broker is away each step of a run would else take the minute
// until the next tick.
func (c *Clock) ticks(ctx context.Context) error {
	var errs []error
	for first := (time.Time{}); ; {
		c.mu.Lock()
		before := c.found
		c.mu.Unlock()
		_, now, err := c.Tick(ctx)
		if errs = append(errs, err); first.IsZero() {
			first = now
		}
		c.mu.Lock()
		idle := c.found == before
		c.mu.Unlock()
		if idle || now.Sub(first) > most {
			return errors.Join(errs...)
		}
		if err := c.pause(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
}

func (c *Clock) pause(ctx context.Context) error {
	t := time.NewTimer(outboxEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// New makes the function. What a tick says does not matter, only that it came:
// so a PingSource may send whatever it likes.
func New(c *Clock) fn.Function {
	return fn.Function{
		Name: "clock-ticked", Context: events.Telemetry, On: events.TypeClockTicked, Also: []events.Type{TypePing},
		Doc: "fires due entries, sends again, sweeps",
		Handle: func(ctx context.Context, _ events.Envelope) ([]events.Envelope, error) {
			return nil, c.ticks(ctx)
		},
		Launches: true,
	}
}
