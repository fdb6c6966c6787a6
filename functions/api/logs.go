package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/logs"
)

type logsInput struct {
	JobInput
	Attempt int   `query:"attempt" minimum:"0" doc:"The attempt; the last one by default, or with follow the first to come."`
	Offset  int64 `query:"offset" minimum:"0" doc:"Of the first byte wanted: where a broken answer goes on."`
	Line    int64 `query:"line" minimum:"0" doc:"Lines instead of bytes: the number of the first one wanted, from 1."`
	Lines   int   `query:"lines" minimum:"0" maximum:"10000" doc:"How many lines; 1000 by default."`
	Follow  bool  `query:"follow" doc:"Wait for what is yet to be written, until the log is closed."`
}

func logsOperation(h huma.API) huma.Operation {
	op := operation(h, "showLogs", http.MethodGet, "/v1/jobs/{id}/logs", "Read the log of an attempt")
	return streaming(op, "text/plain; charset=utf-8", "The log from the offset on. With follow it ends after four minutes at the latest: ask again from where it ended.",
		map[string]*huma.Param{
			client.HeaderAttempt: header("The attempt's number."),
			client.HeaderLog:     header("How the log stood when the answer began: open, or closed where it will never grow again."),
			client.HeaderGaps:    header("Bytes of a closed log that are lost, from-to with commas between. A line of the text says so in their place; offsets do not count it."),
			client.HeaderLine:    header("Of lines: the number of the first."),
			client.HeaderLines:   header("Of lines: how many the log has."),
			client.HeaderOffset:  header("Of lines: where the first begins, in bytes."),
		})
}

// follower copies one attempt's log to a reader.
type follower struct {
	api    *API
	id     string
	ref    events.AttemptRef
	offset int64
	follow bool
}

// showLogs answers with an attempt's log.
func (a *API) showLogs(ctx context.Context, in *logsInput) (*huma.StreamResponse, error) {
	run, job, err := a.ranJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	f := &follower{api: a, id: jobID(run.ID, job.Key), offset: in.Offset, follow: in.Follow}
	if f.ref, err = attemptOf(run, job, in.Attempt); err == nil && in.Line > 0 {
		return a.showLines(ctx, f.ref, in)
	}
	if err == nil {
		return &huma.StreamResponse{Body: f.stream}, nil
	}
	if !in.Follow || job.State.Final() || a.Feed == nil {
		return nil, err
	}
	if f.ref, err = a.awaitAttempt(ctx, in.ID, in.Attempt); err != nil {
		return nil, err
	}
	if f.ref == (events.AttemptRef{}) {
		return &huma.StreamResponse{Body: notYet}, nil
	}
	return &huma.StreamResponse{Body: f.stream}, nil
}

// notYet answers a follower whose attempt did not come in its stream's life: an
// empty log that is open, so that it asks again.
func notYet(hc huma.Context) {
	_, w := humago.Unwrap(hc)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(client.HeaderLog, client.LogOpen)
	w.WriteHeader(http.StatusOK)
}

// attemptOf names an attempt of a job by its number; 0: the last one.
func attemptOf(run *pipeline.Run, job *pipeline.Job, number int) (events.AttemptRef, error) {
	for i := len(job.Attempts) - 1; i >= 0; i-- {
		if at := job.Attempts[i]; number == 0 || at.Number == number {
			return run.AttemptRef(job, at), nil
		}
	}
	if number == 0 {
		return events.AttemptRef{}, refuse(http.StatusNotFound, "the job has no attempt yet")
	}
	return events.AttemptRef{}, refuse(http.StatusNotFound, "the job has no attempt %d", number)
}

// awaitAttempt waits until the job has the attempt, woken by the run's events.
// It gives none where the stream's life ended first.
func (a *API) awaitAttempt(ctx context.Context, id string, number int) (events.AttemptRef, error) {
	ctx, cancel := a.life(ctx)
	defer cancel()
	at, err := a.Feed.Last(ctx)
	for err == nil {
		run, job, _, lookErr := a.job(ctx, id)
		if lookErr != nil {
			return events.AttemptRef{}, lookErr
		}
		ref, none := attemptOf(run, job, number)
		if none == nil || job.State.Final() {
			return ref, none
		}
		at, err = a.awaitRun(ctx, run.ID, at)
	}
	if ctx.Err() == nil {
		return events.AttemptRef{}, a.fault(ctx, "wait for the attempt", err)
	}
	return events.AttemptRef{}, nil
}

// awaitRun waits for an event of a run, and gives the position behind it.
func (a *API) awaitRun(ctx context.Context, run events.RunID, at feed.Position) (feed.Position, error) {
	for {
		b, err := a.Feed.Next(ctx, at, batchSize)
		if err != nil {
			return at, err
		}
		at = b.Last()
		for _, e := range b.Entries {
			if b.Gap || e.RunID == string(run) {
				return at, nil
			}
		}
	}
}

// life is the context of a stream: it ends with the request, after the stream's
// life, and when the host goes down.
func (a *API) life(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, a.Streams.Life)
	stop := context.AfterFunc(a.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// stream writes the answer.
func (f *follower) stream(hc huma.Context) {
	r, w := humago.Unwrap(hc)
	ctx, cancel := f.api.life(r.Context())
	defer cancel()
	_, size, closed, err := f.api.Logs.Read(ctx, f.ref, f.offset, nil)
	switch {
	case err == nil && !closed:
		closed, err = f.over(ctx)
	case err == nil && f.offset < size:
		err = f.begins(ctx)
	}
	switch {
	case err != nil:
		f.api.Log.Warn("api: read log", "error", err)
		refuse(http.StatusServiceUnavailable, "the log cannot be read; try again").with("Retry-After", "1").write(w)
		return
	case f.offset > size && (closed || !f.follow):
		refuse(http.StatusRequestedRangeNotSatisfiable, "the log has %d bytes", size).write(w)
		return
	}
	state := client.LogOpen
	if closed {
		state = client.LogClosed
		if gaps := f.api.gaps(ctx, f.ref); len(gaps) > 0 {
			w.Header().Set(client.HeaderGaps, gapText(gaps))
		} else {
			w.Header().Set("Content-Length", strconv.FormatInt(size-f.offset, 10))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set(client.HeaderAttempt, strconv.Itoa(f.ref.Attempt))
	w.Header().Set(client.HeaderLog, state)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if err := f.copy(ctx, newPatient(w, f.api.Streams.Patience), size, closed); err != nil && ctx.Err() == nil {
		f.api.Log.Warn("api: copy log", "error", err)
		panic(http.ErrAbortHandler) // cut, or the reader takes it for whole
	}
}

// begins reads what is asked for first: how long a log is may be known where its
// bytes cannot be had, as while their bucket is away, and that is to be said
// before an answer begins.
func (f *follower) begins(ctx context.Context) error {
	_, _, _, err := f.api.Logs.Read(ctx, f.ref, f.offset, make([]byte, 1))
	if lost := (*logs.Gap)(nil); errors.As(err, &lost) {
		return nil
	}
	return err
}

// copy writes what there is, up to size where the log is closed, and with
// follow what comes.
func (f *follower) copy(ctx context.Context, w *patient, size int64, closed bool) error {
	buf := make([]byte, 64<<10)
	for {
		part := buf
		if closed {
			part = buf[:min(int64(len(buf)), size-f.offset)]
		}
		n, _, nowClosed, err := f.api.Logs.Read(ctx, f.ref, f.offset, part)
		var lost *logs.Gap
		if errors.As(err, &lost) {
			lost.From = f.offset
			if err := w.write([]byte("\n" + lost.Mark() + "\n")); err != nil {
				return err
			}
			f.offset = lost.To
			continue
		}
		if err != nil {
			return fmt.Errorf("api: read log: %w", err)
		}
		f.offset += int64(n)
		if n > 0 {
			if err := w.write(part[:n]); err != nil {
				return err
			}
			continue
		}
		if closed || nowClosed || !f.follow {
			return nil
		}
		if over, err := f.wait(ctx); over || err != nil {
			return err
		}
	}
}

// wait returns when there is more, or tells that there will never be. The log
// of a worker that was lost is never closed: that its attempt is over is looked
// for now and then.
func (f *follower) wait(ctx context.Context) (over bool, err error) {
	beat, cancel := context.WithTimeout(ctx, f.api.Streams.Beat)
	defer cancel()
	switch err := f.api.Logs.Wait(beat, f.ref, f.offset); {
	case ctx.Err() != nil:
		return true, nil // the stream's life is over, or its reader gone
	case err == nil:
		return false, nil
	case !errors.Is(err, context.DeadlineExceeded):
		return false, fmt.Errorf("api: wait for log: %w", err)
	}
	return f.over(ctx)
}

// lastWords is how long a worker may still hand in its log after its attempt
// was ended from outside.
const lastWords = 15 * time.Second

// over tells whether the attempt has been over for so long that nothing more
// comes.
func (f *follower) over(ctx context.Context) (bool, error) {
	run, job, moment, err := f.api.job(ctx, f.id)
	if err != nil {
		var p *problem
		return errors.As(err, &p) && p.Status == http.StatusNotFound, nil
	}
	for _, at := range job.Attempts {
		if run.AttemptRef(job, at) == f.ref {
			return at.State.Over() && moment.Now.Sub(at.Ended) >= lastWords, nil
		}
	}
	return true, nil
}
