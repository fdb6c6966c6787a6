package runrequestedcdevents

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

const (
	specVersion = "0.4.1"
	// typeVersion is that of the five types in that version of the specification.
	typeVersion = "0.2.0"
)

// cdEvent is a CDEvent: the data of a CloudEvent of the same type.
type cdEvent struct {
	Context cdContext `json:"context"`
	Subject subject   `json:"subject"`
}

type cdContext struct {
	Version   string    `json:"version"`
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	// Chain holds all that came of one delivery together, or of one run that
	// nothing delivered.
	Chain string `json:"chainId"`
	Links []link `json:"links,omitempty"`
}

// link points back to the event before this one in the chain: PATH, or END from
// the last one of it.
type link struct {
	Type string    `json:"linkType"`
	From reference `json:"from"`
	Tags struct{}  `json:"tags"` // the SDK reads no link without
}

type reference struct {
	ID string `json:"contextId"`
}

type subject struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Type    string `json:"type"`
	Content any    `json:"content"`
}

type runContent struct {
	Pipeline string `json:"pipelineName"`
	URL      string `json:"url"`
	Outcome  string `json:"outcome,omitempty"`
	Errors   string `json:"errors,omitempty"`
}

type taskContent struct {
	Task    string `json:"taskName"`
	URL     string `json:"url,omitempty"`
	Run     run    `json:"pipelineRun"`
	Outcome string `json:"outcome,omitempty"`
	Errors  string `json:"errors,omitempty"`
}

type run struct {
	ID     string `json:"id"`
	Source string `json:"source"`
}

// tell writes an event.
func (b bridge) tell(r *pipeline.Run, n news, e events.Envelope) (events.Envelope, error) {
	source := cmp.Or(strings.TrimSuffix(b.public, "/"), "/relevo")
	s, before := b.aboutRun(r, n), ""
	if n.job != "" {
		s = b.aboutTask(r, n, source)
	}
	s.Source = source
	kind := "dev.cdevents." + strings.ToLower(s.Type) + "." + n.predicate + "." + typeVersion
	chain := cmp.Or(string(r.Request().Trigger.Delivery), string(cmp.Or(r.Request().RetryOf, r.ID)))
	c := cdContext{
		Version: specVersion, ID: id(s.ID, n.predicate), Source: source, Type: kind, Timestamp: e.Time.UTC(), Chain: chain,
	}
	switch {
	case n.predicate == "started" && n.job == "":
		before = id(s.ID, "queued")
	case n.predicate == "started":
		before = id(string(r.ID), "started")
	case n.predicate == "finished":
		before = id(s.ID, "started")
	}
	if before != "" {
		l := link{Type: "PATH", From: reference{ID: before}}
		if n.predicate == "finished" && n.job == "" {
			l.Type = "END"
		}
		c.Links = []link{l}
	}
	data, err := json.Marshal(cdEvent{c, s})
	return events.Envelope{
		ID: c.ID, Source: source, Type: events.Type(kind), Subject: s.ID, Time: e.Time, Data: data,
		CauseID: e.ID, RunID: e.RunID, PartitionKey: e.PartitionKey, Traceparent: e.Traceparent, Tracestate: e.Tracestate,
	}, err
}

func (b bridge) aboutRun(r *pipeline.Run, n news) subject {
	return subject{ID: string(r.ID), Type: "pipelineRun", Content: runContent{
		Pipeline: r.Pipeline, URL: b.link("/v1/pipelines/" + string(r.ID)), Outcome: n.outcome, Errors: n.errors,
	}}
}

// aboutTask is about one attempt of a job: each is a taskRun of its own.
func (b bridge) aboutTask(r *pipeline.Run, n news, source string) subject {
	job := string(r.ID) + "." + string(n.job)
	return subject{ID: job + "/" + strconv.Itoa(n.attempt), Type: "taskRun", Content: taskContent{
		Task: jobName(r, n.job), URL: b.link("/v1/jobs/" + job),
		Run: run{ID: string(r.ID), Source: source}, Outcome: n.outcome, Errors: n.errors,
	}}
}

func (b bridge) link(path string) string {
	if b.public == "" {
		return ""
	}
	return strings.TrimSuffix(b.public, "/") + path
}

// id is derived from what an event is about, so that those after it can name it.
func id(subject, predicate string) string { return events.DeriveID("cdevent", subject, predicate) }
