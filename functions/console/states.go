package console

import (
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// look is how a state is shown: a colour, a shape and a word, so that none of
// them has to be told apart alone.
type look struct {
	Class string // colour and shape: ok, bad, run, wait, ask, off, skip, infra
	Word  string
}

var looks = map[string]look{
	"REQUESTED":  {"wait", "Requested"},
	"WAITING":    {"wait", "Waiting"},
	"PENDING":    {"wait", "Queued"},
	"SCHEDULED":  {"run", "Starting"},
	"RUNNING":    {"run", "Running"},
	"SUCCEEDED":  {"ok", "Succeeded"},
	"FAILED":     {"bad", "Failed"},
	"TIMED_OUT":  {"bad", "Timed out"},
	"CANCELLED":  {"off", "Cancelled"},
	"TERMINATED": {"infra", "Worker lost"},
	"SKIPPED":    {"skip", "Skipped"},
	"CREATED":    {"wait", "Created"},
	"LAUNCHED":   {"run", "Starting"},
	"APPROVAL":   {"ask", "Needs approval"},
	"RETRYING":   {"wait", "Retries soon"},

	"success":   {"ok", "Succeeded"},
	"failure":   {"bad", "Failed"},
	"skipped":   {"skip", "Skipped"},
	"cancelled": {"off", "Cancelled"},
	"timeout":   {"bad", "Timed out"},

	"received": {"wait", "Received"},
	"working":  {"run", "Working"},
	"done":     {"ok", "Done"},
	"refused":  {"bad", "Refused"},
	"started":  {"ok", "Started"},
}

// stateLook is the look of a state; one that is not known shows as it is.
func stateLook(state string) look {
	if l, ok := looks[state]; ok {
		return l
	}
	return look{"off", visible(state)}
}

// verdictLook says of an end whose fault it was, where the state does not.
func verdictLook(state string, v events.Verdict) look {
	l := stateLook(state)
	switch v {
	case events.Infra:
		return look{"infra", "Failed: platform"}
	case events.Timeout:
		return look{"bad", "Timed out"}
	case events.Rejected:
		return look{"bad", "Rejected"}
	}
	return l
}

// jobLook is how a job stands.
func jobLook(j client.Job) look {
	switch {
	case j.Approval:
		return stateLook("APPROVAL")
	case !j.NotUntil.IsZero() && !j.Final():
		return stateLook("RETRYING")
	}
	return verdictLook(j.State, j.Verdict)
}

// jobTimes are the times that a job's bar is drawn of; zero where it did not
// come so far.
func jobTimes(j client.Job) (asked, started, ended time.Time) {
	asked, ended = j.Asked, j.Ended
	if n := len(j.Attempts); n > 0 {
		started = j.Attempts[n-1].Started
		asked = j.Attempts[0].Scheduled
		if !j.Asked.IsZero() && j.Asked.Before(asked) {
			asked = j.Asked
		}
	}
	return asked, started, ended
}
