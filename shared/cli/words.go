package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// How a step went, as the agent says it.
const (
	conclusionSuccess = "success"
	conclusionSkipped = "skipped"
)

// on says where an attempt runs.
func on(j *job, worker events.WorkerID) string {
	return " on " + oneLine(place(j, worker))
}

func place(j *job, worker events.WorkerID) string {
	switch {
	case j.place.Node == "":
		return "worker " + string(cmp.Or(worker, j.place.Worker))
	case j.place.Provider == "":
		return string(j.place.Node)
	}
	return fmt.Sprintf("%s (%s)", j.place.Node, j.place.Provider)
}

// attemptOf names the attempt, from the second on.
func attemptOf(j *job) string {
	if j.attempt < 2 {
		return ""
	}
	return fmt.Sprintf(", attempt %d", j.attempt)
}

// words say how a step went.
func (s *step) words() string {
	name, r := oneLine(s.name), s.result
	took := Duration(time.Duration(r.Millis) * time.Millisecond)
	switch r.Outcome {
	case conclusionSuccess:
		return fmt.Sprintf("step ok: %s (%s)", name, took)
	case conclusionSkipped:
		return "step skipped: " + name
	}
	text := fmt.Sprintf("step %s: %s (%s)", stepEnd(r.Outcome), name, took)
	if r.Exit > 0 {
		text += fmt.Sprintf(": exit status %d", r.Exit)
	}
	if r.Conclusion == conclusionSuccess {
		text += "; goes on all the same"
	}
	return text
}

func stepEnd(outcome string) string {
	switch outcome {
	case "failure":
		return "failed"
	case "timeout":
		return "timed out"
	}
	return oneLine(outcome)
}

func retryWords(j *job, v events.Verdict, wait time.Duration) string {
	text := fmt.Sprintf("attempt %d %s", j.attempt, ending(v)) + because(j.reason)
	if wait > 0 {
		return text + fmt.Sprintf("; attempt %d in %s", j.attempt+1, Duration(wait))
	}
	return text + fmt.Sprintf("; attempt %d at once", j.attempt+1)
}

// ending is a verdict as a predicate.
func ending(v events.Verdict) string {
	switch v {
	case events.Failed, "":
		return "failed"
	case events.Infra, events.Timeout:
		return "failed (" + string(v) + ")"
	}
	return oneLine(string(v))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func reasonOr(reason, otherwise string) string {
	if reason = oneLine(reason); reason != "" {
		return reason
	}
	return otherwise
}

// endWords say how a job ended.
func endWords(j *job) string {
	took := ""
	if !j.begun.IsZero() {
		took = " after " + Duration(j.took(j.ended))
	}
	switch j.phase {
	case succeeded:
		return "succeeded" + took + attemptOf(j)
	case skipped:
		return "skipped" + because(j.reason)
	case cancelled:
		return "cancelled" + took + because(j.reason)
	}
	return ending(j.verdict) + took + attemptOf(j) + because(j.reason)
}

// awaitWords say what a job awaits, and until when.
func awaitWords(d events.AwaitRequested) string {
	what := "the event " + oneLine(d.Type)
	if d.Where != "" {
		what += " where " + oneLine(d.Where)
	}
	if d.Approval {
		what = "an approval"
	}
	return "awaits " + what + " until " + d.Deadline.UTC().Format(time.RFC3339)
}

// detail says what a job does or waits for, in the tree.
func (r *run) detail(j *job, now time.Time) string {
	switch j.phase {
	case waiting:
		return r.waitsFor(j)
	case asked:
		if j.group != "" {
			return "waiting for the concurrency group " + j.group
		}
		return j.awaits
	case queued:
		return r.pools.why(j.offer)
	case scheduled, launched:
		return "starting" + on(j, "")
	case preparing:
		return j.preparing
	case running, ended:
		return stepDetail(j)
	case backingOff:
		return retryDetail(j, now)
	case succeeded:
		if j.attempt > 1 {
			return fmt.Sprintf("at attempt %d", j.attempt)
		}
		return ""
	}
	if j.attempt > 1 {
		return fmt.Sprintf("at attempt %d", j.attempt) + because(j.reason)
	}
	return j.reason
}

func (r *run) waitsFor(j *job) string {
	names := r.unmet(j)
	const most = 3
	switch n := len(names); {
	case n > most:
		return fmt.Sprintf("waiting for %s and %d more", strings.Join(names[:most], ", "), n-most)
	case n > 0:
		return "waiting for " + strings.Join(names, ", ")
	case r.started:
		return "waiting for its turn"
	}
	return ""
}

func stepDetail(j *job) string {
	text := strings.TrimPrefix(attemptOf(j)+", ", ", ")
	s := j.current()
	if s == nil {
		if len(j.steps) == 0 {
			return strings.TrimSuffix(text, ", ")
		}
		s = j.steps[len(j.steps)-1]
	}
	if all := len(j.Steps); all >= len(j.steps) {
		text += fmt.Sprintf("%d/%d ", len(j.steps), all)
	}
	return text + oneLine(s.name)
}

func retryDetail(j *job, now time.Time) string {
	text := fmt.Sprintf("retry %d", j.attempt+1)
	if left := j.notBefore.Sub(now); left > 0 {
		text += " in " + elapsed(left+time.Second-1)
	}
	return text + because(j.reason)
}
