package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
)

// keep stores the report's log chunks and gives the length of the log: from
// there the agent sends on.
func (s *Reports) keep(ctx context.Context, r execution.Report, cause string, now time.Time) (int64, error) {
	if len(r.Logs) == 0 {
		_, size, _, err := s.Logs.Read(ctx, r.AttemptRef, 0, nil)
		return size, err
	}
	var size int64
	for _, c := range r.Logs {
		var err error
		if size, err = s.Logs.Append(ctx, r.AttemptRef, c.Offset, c.Data); err != nil {
			if errors.Is(err, logs.ErrClosed) {
				return size, err
			}
			return size, fmt.Errorf("worker: append log: %w", err)
		}
	}
	t := s.tail(r.AttemptRef)
	s.mu.Lock()
	if first := r.Logs[0].Offset; first > t.to {
		// What lies before was kept, and told, by another process, or by this one
		// before it was started again.
		t.from = min(first, size)
	}
	t.to = size
	s.mu.Unlock()
	if now.IsZero() {
		return size, nil
	}
	return size, s.tellLog(ctx, r.AttemptRef, cause, now, false)
}

// tellLog publishes log.appended, at most once a second but for the last.
func (s *Reports) tellLog(ctx context.Context, ref events.AttemptRef, cause string, now time.Time, last bool) error {
	t := s.tail(ref)
	s.mu.Lock()
	from, to, due := t.from, t.to, last || now.Sub(t.told) >= time.Second
	if due && to > from {
		t.from, t.told = to, now
	}
	trace := t.trace
	s.mu.Unlock()
	if !due || to <= from {
		return nil
	}
	sum, err := s.sum(ctx, ref, from, to)
	if err != nil {
		return err
	}
	e, err := events.New(
		events.DeriveID("log.appended", ref.Subject(), ref.Fence.String(), strconv.FormatInt(to, 10)),
		"/relevo/"+name, cause, now,
		events.LogAppended{AttemptRef: ref, Offset: from, Length: to - from, Digest: sum})
	if err != nil {
		return err
	}
	s.publish(ctx, []events.Envelope{e.Traced(trace)})
	return nil
}

func (s *Reports) sum(ctx context.Context, ref events.AttemptRef, from, to int64) (string, error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for from < to {
		n, _, _, err := s.Logs.Read(ctx, ref, from, buf[:min(int64(len(buf)), to-from)])
		if err != nil {
			return "", fmt.Errorf("worker: read log: %w", err)
		}
		if n == 0 {
			return "", fmt.Errorf("worker: read log: %w", io.ErrUnexpectedEOF)
		}
		h.Write(buf[:n])
		from += int64(n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// steps publishes what the agent says of its steps. These events carry no
// state: the results stand in the attempt's end.
func (s *Reports) steps(ctx context.Context, run *pipeline.Run, r execution.Report) error {
	if len(r.Steps) == 0 {
		return nil
	}
	cause := lastOf(run, r.Job)
	var out []events.Envelope
	for _, st := range r.Steps {
		if err := s.summary(ctx, r.AttemptRef, st); err != nil {
			return err
		}
		if st.Emitted != nil && st.Result != nil {
			if err := s.emitted(ctx, r.AttemptRef, *st.Emitted); err != nil {
				return err
			}
		}
		if st.Result != nil { // an agent of ours holds to the bounds
			st.Result = &execution.Bound([]events.StepResult{*st.Result})[0]
		}
		data := stepEvent(r.AttemptRef, st)
		id := events.DeriveID(string(data.EventType()), r.AttemptRef.Subject(), r.Fence.String(), strconv.Itoa(st.Index))
		e, err := events.New(id, "/relevo/"+name, cause, st.At, data)
		if err != nil {
			return err
		}
		out = append(out, run.Traced(e))
	}
	s.publish(ctx, out)
	return nil
}

// summary keeps what a step wrote for people beside the log. There being no room
// for it is no reason to hold up the step.
func (s *Reports) summary(ctx context.Context, ref events.AttemptRef, st execution.StepEvent) error {
	if st.Summary == "" || st.Result == nil {
		return nil
	}
	err := fmt.Errorf("%w: %d bytes", logs.ErrInvalid, len(st.Summary)) // agents cut theirs
	if len(st.Summary) <= execution.SummaryMax {
		err = logs.AddSummary(ctx, s.Logs, ref, st.ID, st.Summary)
	}
	if errors.Is(err, logs.ErrFull) || errors.Is(err, logs.ErrInvalid) {
		slog.WarnContext(ctx, "worker: summary not kept", "job", ref.Subject(), "step", st.ID, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("worker: keep summary: %w", err)
	}
	return nil
}

// lastOf is the id of the last event of a job: what an agent tells of follows
// from it.
func lastOf(run *pipeline.Run, key events.JobKey) string {
	if j := run.Job(key); j != nil {
		return j.Last
	}
	return ""
}

func stepEvent(ref events.AttemptRef, st execution.StepEvent) events.Data {
	switch {
	case st.Result == nil:
		return events.StepStarted{AttemptRef: ref, Step: st.ID, Name: st.Name}
	case st.Result.Outcome == "success":
		return events.StepCompleted{AttemptRef: ref, Step: *st.Result}
	case st.Result.Outcome == "skipped":
		return events.StepSkipped{AttemptRef: ref, Step: *st.Result}
	}
	return events.StepFailed{AttemptRef: ref, Step: *st.Result}
}
