package trigger

import (
	"encoding/json"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Await is a job that waits for an event from outside, or for a person.
type Await struct {
	events.JobRef
	// Type of the CloudEvent; ApprovalType where a person is waited for.
	Type string `json:"type"`
	// Where is a CESQL expression that the event must satisfy; empty: any.
	Where string `json:"where,omitempty"`
	// Approval: a person with the right ends the wait, not an event.
	Approval bool      `json:"approval,omitempty"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline"`
	// Matched is what came; the await is over then, and kept until its job is.
	Matched *Answer `json:"matched,omitempty"`
}

// ApprovalType stands for the type of awaits of a person.
const ApprovalType = "approval"

// Answer is what ended an await.
type Answer struct {
	// Event in its structured form; absent for an approval.
	Event   json.RawMessage `json:"event,omitempty"`
	By      string          `json:"by"`
	Refused bool            `json:"refused,omitempty"`
	// Reason that whoever approved or refused gave.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Event tells the await's job what came.
func (a Await) Event() events.AwaitMatched {
	return events.AwaitMatched{
		JobRef: a.JobRef, Event: a.Matched.Event, By: a.Matched.By,
		Refused: a.Matched.Refused, Reason: a.Matched.Reason,
	}
}

// Subscription is a pipeline file that CloudEvents of a type start.
type Subscription struct {
	Forge      string `json:"forge"`
	Repository string `json:"repository"`
	// File of the pipeline, at the default branch, which is Branch.
	File   string `json:"file"`
	Branch string `json:"branch,omitempty"`
	// Type of the CloudEvents, Source that they must have (empty: any), and Where,
	// a CESQL expression.
	Type   string `json:"type"`
	Source string `json:"source,omitempty"`
	Where  string `json:"where,omitempty"`
}
