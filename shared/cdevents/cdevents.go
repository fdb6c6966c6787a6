// Package cdevents writes CDEvents (cdevents.dev, 0.4.1): the words that CI/CD
// systems share, as the data of CloudEvents.
//
// They are written here and not by the CDEvents SDK, which compiles every schema
// that there is when a process starts: 60 ms for functions that wake in ten.
// Tests hold each to the SDK's own validation instead.
package cdevents

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

const specVersion = "0.4.1"

// Event is one CDEvent.
type Event struct {
	// Source is who tells: see SourceOf.
	Source string
	// Subject is the id of what it is about, and Type what that is, as it is
	// written there: pipelineRun.
	Subject, Type string
	// Predicate is what happened to it, and Version that of this kind of event.
	Predicate, Version string
	// Content of the subject; nil: none.
	Content any
	At      time.Time
	// Chain holds all that came of one thing together.
	Chain string
	// Links lead to events before this one.
	Links []Link
	// ID; empty: derived from subject and predicate, see ID.
	ID string
}

// Link points back to the event before this one in the chain.
type Link struct {
	Kind LinkKind  `json:"linkType"`
	From reference `json:"from"`
	Tags struct{}  `json:"tags"` // the SDK reads no link without
}

// LinkKind is PATH, or END from the last event of a chain.
type LinkKind string

// The kinds of links.
const (
	Path LinkKind = "PATH"
	End  LinkKind = "END"
)

type reference struct {
	ID string `json:"contextId"`
}

// After is a link to the event of that id.
func After(kind LinkKind, id string) Link { return Link{Kind: kind, From: reference{id}} }

// ID is derived from what an event is about, so that those after it can name it.
func ID(subject, predicate string) string { return events.DeriveID("cdevent", subject, predicate) }

// SourceOf is who tells, given the address that people know Relevo by; empty: it
// has none.
func SourceOf(public string) string { return cmp.Or(strings.TrimSuffix(public, "/"), "/relevo") }

// ChainOf is the chain of a run: that of the delivery that started it, or its
// own where nothing delivered it. One that is run again stays in it.
func ChainOf(r events.RunRequested) string {
	return cmp.Or(string(r.Trigger.Delivery), string(cmp.Or(r.RetryOf, r.Run)))
}

// Task is the subject of an attempt of a job: each is a taskRun of its own.
func Task(run events.RunID, job events.JobKey, attempt int) string {
	return string(run) + "." + string(job) + "/" + strconv.Itoa(attempt)
}

type body struct {
	Context context `json:"context"`
	Subject subject `json:"subject"`
}

type context struct {
	Version   string    `json:"version"`
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Chain     string    `json:"chainId"`
	Links     []Link    `json:"links,omitempty"`
}

type subject struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Type    string `json:"type"`
	Content any    `json:"content"`
}

// Write makes the CloudEvent that carries it.
func (e Event) Write() (events.Envelope, error) {
	kind := "dev.cdevents." + strings.ToLower(e.Type) + "." + e.Predicate + "." + e.Version
	id, at := cmp.Or(e.ID, ID(e.Subject, e.Predicate)), e.At.UTC()
	if e.Content == nil {
		e.Content = struct{}{}
	}
	data, err := json.Marshal(body{
		context{specVersion, id, e.Source, kind, at, e.Chain, e.Links},
		subject{e.Subject, e.Source, e.Type, e.Content},
	})
	return events.Envelope{ID: id, Source: e.Source, Type: events.Type(kind), Subject: e.Subject, Time: at, Data: data}, err
}
