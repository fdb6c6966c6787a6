// Package report is the agent's conversation with the control plane: short
// requests, one at a time, each said again until it was heard.
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/shared/agent/spool"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

const (
	// maxChunk and maxBatch bound the log bytes of a chunk and of a report.
	maxChunk = 256 << 10
	maxBatch = 1 << 20
	// minBatch is as small as reports are made when they are too large.
	minBatch = 16 << 10
	// maxSteps bounds the step events of a report, maxSummaries the bytes of
	// their summaries.
	maxSteps     = 200
	maxSummaries = 256 << 10
	// settle is how long the first output after a silence waits for more.
	settle = 100 * time.Millisecond
	// every is how long output waits at most.
	every = time.Second
	// refusedFor is how long the token may be refused before the attempt counts
	// as gone: a control plane that is just being set up refuses, too.
	refusedFor = time.Minute
	// folderGoneFor is how long the control plane's folder may be gone before the
	// attempt counts as gone too: nobody comes back to where there is nothing left.
	folderGoneFor = time.Minute
	// deliverFor is how long the end of a job is reported before giving up.
	deliverFor = 24 * time.Hour
	// maxBackoff bounds the wait between two tries.
	maxBackoff = 5 * time.Second
)

// ErrUndelivered: the control plane stayed away for a day after the job ended.
var ErrUndelivered = errors.New("report: gave up")

// errStuck: the log sent was not kept. Its store may be full.
var errStuck = errors.New("report: the log does not advance")

// Sender delivers reports; Client is the one that is used.
type Sender interface {
	Post(ctx context.Context, r *execution.Report) (execution.Reply, error)
}

// Config is what a Reporter is made of; all of it is needed.
type Config struct {
	// Identity is what every report says: attempt, worker and nonce.
	Identity execution.Report
	Sender   Sender
	Spool    *spool.Spool
	// Heartbeat is the longest silence.
	Heartbeat time.Duration
	// OrphanAfter is for how long nothing may listen where reports go before the attempt
	// counts as gone; 0: for ever.
	OrphanAfter time.Duration
	// OnCancel is told, once, why the job is to be cancelled.
	OnCancel func(reason string)
	// Log is for the people who run Relevo.
	Log *slog.Logger
}

// Reporter tells the control plane what happens, and hears whether to go on.
type Reporter struct {
	Config
	changed chan struct{}

	mu      sync.Mutex
	steps   []execution.StepEvent // not yet acknowledged
	end     *execution.Ending
	left    bool      // there will be no end
	endedAt time.Time // zero: it has not
	hasty   bool

	// The rest belongs to Run.
	at        int64 // up to where the control plane has the log
	batch     int
	buffer    []byte
	cancelled bool
	refused   time.Time // since when the token is refused
	unheard   time.Time // since when nothing listens
	lastSent  time.Time
	pending   time.Time // since when something waits to be sent
}

// New makes a reporter that has said nothing yet.
func New(c Config) *Reporter {
	return &Reporter{Config: c, changed: make(chan struct{}, 1), batch: maxBatch}
}

// Hello says hello until it is heard. ErrGone: another agent was first, or
// the attempt is over; the context's error when it ends.
func (r *Reporter) Hello(ctx context.Context) error {
	report := r.Identity
	report.Kind = execution.Hello
	for try := 0; ; try++ {
		started := time.Now()
		reply, err := r.post(ctx, &report)
		if err == nil {
			r.lastSent = started
			r.cancel(reply.Cancel)
			return nil
		}
		if err := r.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// Step adds what happened to a step.
func (r *Reporter) Step(e execution.StepEvent) {
	r.mu.Lock()
	r.steps = append(r.steps, e)
	r.mu.Unlock()
	r.wake()
}

// Finish ends the log: nothing may be appended to the spool any more. Run
// returns when all was heard.
func (r *Reporter) Finish(end execution.Ending) {
	r.mu.Lock()
	r.end, r.endedAt = &end, time.Now()
	r.mu.Unlock()
	r.wake()
}

func (r *Reporter) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run reports until the end was heard. It returns ErrGone, ErrLeft,
// ErrUndelivered or the context's error otherwise.
func (r *Reporter) Run(ctx context.Context) error {
	for try := 0; ; {
		if r.leaves() {
			return ErrLeft
		}
		if try == 0 {
			if err := r.rest(ctx); err != nil {
				return err
			}
		}
		report := r.compose()
		started := time.Now()
		reply, err := r.post(ctx, report)
		if err != nil {
			if err := r.pause(ctx, try, err); err != nil {
				return err
			}
			try++
			continue
		}
		r.lastSent = started
		before := r.at
		switch {
		case r.heard(report, reply):
			return nil
		case len(report.Logs) > 0 && r.at <= before:
			if err := r.pause(ctx, try, errStuck); err != nil {
				return err
			}
			try++
		default:
			try = 0
		}
	}
}

// rest waits until there is a reason to report.
func (r *Reporter) rest(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due := time.Until(r.due())
		if due <= 0 {
			r.pending = time.Time{}
			return ctx.Err()
		}
		timer.Reset(due)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-r.changed:
		case <-r.Spool.Grown():
		}
	}
}

// due is when to report next.
func (r *Reporter) due() time.Time {
	_, end := r.Spool.Bounds()
	waiting := end - r.at
	r.mu.Lock()
	steps, ended, heartbeat := len(r.steps), !r.endedAt.IsZero(), r.Heartbeat
	if r.hasty {
		heartbeat = min(every, heartbeat)
	}
	r.mu.Unlock()
	now := time.Now()
	switch {
	case ended, waiting >= int64(r.batch), waiting > r.Spool.Max()/2:
		return now
	case waiting == 0 && steps == 0:
		return r.lastSent.Add(heartbeat)
	}
	if r.pending.IsZero() {
		r.pending = now
	}
	next := r.lastSent.Add(min(every, r.Heartbeat))
	if soon := r.pending.Add(settle); soon.After(next) {
		next = soon
	}
	return next
}

// compose makes a report of what the control plane does not have yet.
func (r *Reporter) compose() *execution.Report {
	report := r.Identity
	report.Kind = execution.Beat
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Steps = firstSteps(r.steps)
	if r.buffer == nil {
		r.buffer = make([]byte, maxBatch)
	}
	n := r.Spool.ReadAt(r.buffer[:r.batch], r.at)
	for from := 0; from < n; from += maxChunk {
		data := r.buffer[from:min(from+maxChunk, n)]
		report.Logs = append(report.Logs, execution.Chunk{Offset: r.at + int64(from), Data: data})
	}
	if r.end != nil && r.at+int64(n) >= r.end.LogBytes && len(report.Steps) == len(r.steps) {
		report.Kind, report.End = execution.End, r.end
	}
	return &report
}

// firstSteps are as many as fit a report, one at least.
func firstSteps(steps []execution.StepEvent) []execution.StepEvent {
	size := 0
	for i, s := range steps {
		if size += s.Size(); i > 0 && size > maxSummaries || i == maxSteps {
			return steps[:i]
		}
	}
	return steps
}

// heard takes an answer; done when the end was heard, and all of the log.
func (r *Reporter) heard(report *execution.Report, reply execution.Reply) (done bool) {
	r.cancel(reply.Cancel)
	_, end := r.Spool.Bounds()
	acknowledged := max(0, min(reply.Acknowledged, end))
	// Only who was given logs looked how much there is. Less than before means
	// that some were lost: send them again, or what is left of them.
	if len(report.Logs) > 0 || acknowledged > r.at {
		r.at = acknowledged
		r.Spool.Acknowledge(acknowledged)
	}
	if r.batch < maxBatch {
		r.batch *= 2
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = r.steps[len(report.Steps):]
	return report.End != nil && r.at >= report.End.LogBytes
}

func (r *Reporter) cancel(reason string) {
	if reason != "" && !r.cancelled {
		r.cancelled = true
		r.OnCancel(reason)
	}
}

// post sends once, and judges refusals.
func (r *Reporter) post(ctx context.Context, report *execution.Report) (execution.Reply, error) {
	reply, err := r.Sender.Post(ctx, report)
	if nobodyListens(err) {
		limit := r.OrphanAfter
		if errors.Is(err, ErrFolderGone) {
			limit = cmp.Or(limit, folderGoneFor)
		}
		return reply, r.within(&r.unheard, limit, err)
	}
	r.unheard = time.Time{}
	if !errors.Is(err, ErrRefused) {
		r.refused = time.Time{}
		return reply, err
	}
	return reply, r.within(&r.refused, refusedFor, err)
}

// nobodyListens tells that there is no server, as against one that is slow.
func nobodyListens(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// within notes since when there is this error; once that is too long the attempt
// is gone.
func (r *Reporter) within(since *time.Time, limit time.Duration, err error) error {
	if since.IsZero() {
		*since = time.Now()
	}
	if limit > 0 && time.Since(*since) >= limit {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

// pause waits before the next try; the error tells that there is to be none.
func (r *Reporter) pause(ctx context.Context, try int, cause error) error {
	r.mu.Lock()
	late := !r.endedAt.IsZero() && time.Since(r.endedAt) > deliverFor
	r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(cause, ErrGone):
		return cause
	case late:
		return fmt.Errorf("%w: %w", ErrUndelivered, cause)
	case errors.Is(cause, ErrTooLarge):
		r.batch = max(r.batch/4, minBatch)
	}
	if try == 0 || try%20 == 0 {
		r.Log.Warn("control plane away, trying again", "error", cause)
	}
	wait := min(settle<<min(try, 10), maxBackoff, max(r.Heartbeat, settle))
	// Up to half as much again, so that many agents do not come back at once.
	wait += rand.N(wait/2 + 1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
