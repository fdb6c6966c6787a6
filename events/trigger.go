package events

import (
	"encoding/json"
	"time"
)

// DeliveryID names something that came from outside: a forge's webhook, a
// CloudEvent, a tick of a schedule. It is derived from the sender's own id, so
// that what is delivered again has it again.
type DeliveryID string

// DeliveryRef names a delivery in the ledger of triggers.
type DeliveryRef struct {
	// Delivery is its id.
	Delivery DeliveryID `json:"delivery"`
}

// Subject is delivery/<id>.
func (r DeliveryRef) Subject() string { return "delivery/" + string(r.Delivery) }

// DeliveryReceived says that a delivery stands in the ledger of triggers and
// waits to be worked on.
type DeliveryReceived struct {
	DeliveryRef
	// Source is the front door: a forge's name, cloudevent or schedule.
	Source string `json:"source"`
	// Event is what the source calls it: push, pull_request, a CloudEvents type …
	Event string `json:"event"`
	// Repository of a forge or a schedule: owner/name.
	Repository string `json:"repository,omitempty"`
	// Round counts how often the delivery was asked to be worked on: a replay by a
	// person begins another one.
	Round int `json:"round"`
}

// ReportRef names a commit on a forge.
type ReportRef struct {
	// Forge that has the repository: github, gitlab …
	Forge string `json:"forge"`
	// Repository on it: owner/name.
	Repository string `json:"repository"`
	// SHA of the commit.
	SHA string `json:"sha"`
}

// Subject is report/<forge>/<repository>/<sha>.
func (r ReportRef) Subject() string {
	return "report/" + r.Forge + "/" + r.Repository + "/" + r.SHA
}

// StatusRequested asks to tell the forge what is known of a commit: the newest
// state of each context that it was not told yet.
type StatusRequested struct {
	ReportRef
	// Version of what is known; it rises with each change.
	Version uint64 `json:"version"`
}

// ChangeReceived says that a forge told of a pull or merge request: that it was
// opened, changed, or ended.
type ChangeReceived struct {
	DeliveryRef
	// Forge that has the repository: github, gitlab …
	Forge string `json:"forge"`
	// Repository that it is to be merged into: owner/name.
	Repository string `json:"repository"`
	// Number of the request.
	Number int `json:"number"`
	// Change is what happened to it.
	Change Change `json:"change"`
	// Title of the request.
	Title string `json:"title,omitempty"`
	// Link to the repository, for people.
	Link string `json:"link,omitempty"`
}

// Change is what happened to a pull or merge request.
type Change string

// The changes.
const (
	ChangeCreated   Change = "created"
	ChangeUpdated   Change = "updated" // other commits, another title, draft or not …
	ChangeMerged    Change = "merged"
	ChangeAbandoned Change = "abandoned" // closed, and not merged
)

// NewsRequested asks to tell other systems what became of a run and they were
// not told yet.
type NewsRequested struct {
	RunRef
}

// AwaitRequested says that a job waits for an event from outside. No worker is
// held.
type AwaitRequested struct {
	JobRef
	// Name of the job, shown to people.
	Name string `json:"name,omitempty"`
	// Type of the CloudEvent that is awaited; empty for an approval.
	Type string `json:"type"`
	// Where is a CESQL expression that the event must satisfy; empty: any of the
	// type.
	Where string `json:"where,omitempty"`
	// Approval: a person with the right to approve ends the wait, not an event.
	Approval bool `json:"approval,omitempty"`
	// Deadline after which the job has timed out.
	Deadline time.Time `json:"deadline"`
}

// AwaitMatched says that what a job waits for has come.
type AwaitMatched struct {
	JobRef
	// Event is the CloudEvent in its structured form, absent for an approval.
	Event json.RawMessage `json:"event,omitempty"`
	// By is who approved, as the access context authenticated them, or the
	// event's source.
	By string `json:"by"`
	// Refused: the approval was refused, and the job fails.
	Refused bool `json:"refused,omitempty"`
	// Reason that whoever approved or refused gave.
	Reason string `json:"reason,omitempty"`
}

// EventEmitted says that a step emitted an event of the user's own, which is to
// be published under its own type.
type EventEmitted struct {
	AttemptRef
	// Index numbers the events of the attempt, from 1.
	Index int `json:"index"`
	// Name is the CloudEvents type to publish; none of Relevo's own.
	Name string `json:"name"`
	// About is the CloudEvents subject to publish.
	About string `json:"about,omitempty"`
	// Content is the payload, JSON.
	Content json.RawMessage `json:"content,omitempty"`
}
