package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Await is what a job waits for instead of running steps: an event from
// outside, or somebody's approval. Such a job has no worker and asks no pool.
type Await struct {
	// Type of the CloudEvent; empty for an approval.
	Type string `json:"type,omitempty"`
	// Where is a filter in the CloudEvents SQL expression language; nil: any event
	// of the type. An expression in it stands for a string: see filter.
	Where *expression.Template `json:"where,omitempty"`
	// Approval: a person ends the wait.
	Approval bool `json:"approval,omitempty"`
	// TimeoutSeconds after which the job fails; 0: DefaultAwait.
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"`
}

// DefaultAwait is how long a job awaits what it awaits where its file does not
// say.
const DefaultAwait = 72 * time.Hour

// mostAwaitNudge bounds how long passes before a wait is told again: where its
// registration was lost, events pass it by until then.
const mostAwaitNudge = time.Hour

// await asks for what a job awaits.
func (r *Run) await(em *events.Emitter, j *Job, s *JobSpec) {
	d := events.AwaitRequested{JobRef: r.ref(j), Type: s.Await.Type, Approval: s.Await.Approval}
	wait := DefaultAwait
	if s.Await.TimeoutSeconds > 0 {
		wait = time.Duration(s.Await.TimeoutSeconds * float64(time.Second))
	}
	d.Deadline = em.Now.Add(wait).Truncate(time.Millisecond)
	env := r.env(j.Key, expression.Success)
	var err error
	if d.Name, err = s.Name.Eval(env); err != nil {
		r.fail(em, j, events.Failed, "name: "+err.Error())
		return
	}
	if s.Await.Where != nil {
		if d.Where, err = filter(*s.Await.Where, func(n *expression.Node) (string, error) {
			v, err := expression.Eval(n, env)
			return expression.String(v), err
		}); err != nil {
			r.fail(em, j, events.Failed, "where: "+err.Error())
			return
		}
	}
	r.emit(em, d)
}

// awaits applies await.requested.
func (j *Job) awaits(e events.Envelope, d events.AwaitRequested) error {
	j.Asked, j.AskedAt, j.Name, j.Await = e.ID, e.Time, d.Name, &d
	what := "the event " + d.Type
	if d.Where != "" {
		what += " where " + d.Where
	}
	if d.Approval {
		what = "an approval"
	}
	j.Reason = fmt.Sprintf("awaits %s until %s", what, d.Deadline.UTC().Format(time.RFC3339))
	return j.move(Pending)
}

// Awaiting tells whether the job waits for an event or an approval.
func (j *Job) Awaiting() bool { return j.State == Pending && j.Await != nil }

// Match takes what a job awaits. It tells whether that counted: a second time,
// late, or of another kind than what is awaited, it does not.
func (r *Run) Match(em *events.Emitter, d events.AwaitMatched) bool {
	j := r.Job(d.Job)
	if j == nil || !j.Awaiting() || j.Await.Approval == (len(d.Event) > 0) {
		return false
	}
	r.record(em.Cause)
	outputs, err := r.matched(j, d)
	switch {
	case d.Refused:
		reason := "refused by " + d.By
		if d.Reason != "" {
			reason += ": " + d.Reason
		}
		r.fail(em, j, events.Failed, reason)
	case err != nil:
		r.fail(em, j, events.Failed, err.Error())
	default:
		r.emit(em, events.JobCompleted{AttemptRef: events.AttemptRef{JobRef: r.ref(j)}, Outputs: outputs})
	}
	r.settle(em, j)
	return true
}

// matched are the outputs of a job whose wait is over: of an event its id,
// source, type, subject, time and data (text as it is, other data as JSON), of
// an approval by; and those that the job declares, which may read event.
func (r *Run) matched(j *Job, d events.AwaitMatched) (map[string]string, error) {
	outputs := map[string]string{"by": d.By}
	contexts := r.Contexts(j.Key)
	if len(d.Event) > 0 {
		event := map[string]any{}
		if err := json.Unmarshal(d.Event, &event); err != nil {
			return nil, fmt.Errorf("the event cannot be read: %w", err)
		}
		contexts["event"] = event
		outputs = map[string]string{}
		for _, name := range []string{"id", "source", "type", "subject", "time"} {
			outputs[name], _ = event[name].(string)
		}
		outputs["data"] = dataOf(event)
	}
	env := &expression.Env{Contexts: contexts}
	declared := map[string]string{}
	for _, o := range r.JobSpec(j.Key).Outputs {
		v, err := o.Value.Eval(env)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		declared[o.Name] = v
	}
	maps.Copy(outputs, declared)
	return outputs, nil
}

func dataOf(event map[string]any) string {
	data, ok := event["data"]
	if !ok {
		text, _ := event["data_base64"].(string)
		return text
	}
	if text, ok := data.(string); ok {
		return text
	}
	raw, err := json.Marshal(data)
	if err != nil { // it was decoded from JSON
		return ""
	}
	return string(raw)
}

func (r *Run) awaitDue(j *Job, now time.Time) time.Time {
	nudge := min(max(r.policy.Nudge, now.Sub(j.AskedAt)/4), mostAwaitNudge)
	return earlier(j.Await.Deadline, now.Add(nudge))
}

// fireAwait ends a wait that is over its time, and tells others again of one
// that is not.
func (r *Run) fireAwait(em *events.Emitter, j *Job) []events.Envelope {
	if em.Now.Before(j.Await.Deadline) {
		return []events.Envelope{r.rebuild(j.Asked, "/relevo/pipeline", j.AskedAt, *j.Await)}
	}
	what := "no event that it awaits came"
	if j.Await.Approval {
		what = "nobody approved"
	}
	r.fail(em, j, events.Timeout, fmt.Sprintf("%s within %s", what, j.Await.Deadline.Sub(j.AskedAt).Round(time.Second)))
	r.settle(em, j)
	return nil
}
