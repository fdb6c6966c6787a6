// Package events is the published language of Relevo: typed ids, one Go type
// per event, the envelope that carries them and the Catalog that lists them.
//
// Every event is a CloudEvent 1.0. Its type reads
// dev.relevo.<context>.<noun>.<past participle>.v1, its subject names the
// aggregate that it speaks of, and its id is derived (see DeriveID), so that a
// handler that runs twice emits the same events twice.
//
// Schemas and the AsyncAPI document in events/schemas are generated from the
// types and comments of this package.
package events

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Type is a CloudEvents type, e.g. dev.relevo.pipeline.job.requested.v1.
type Type string

// Data is the payload of an event: one Go type per event type.
type Data interface {
	// EventType is the CloudEvents type that this payload belongs to.
	EventType() Type
	// Subject names the aggregate: run/01J…/job/build, pool/linux/node/n1 …
	Subject() string
}

// Envelope is a CloudEvent with Relevo's extensions and its payload still
// encoded. It marshals to the structured JSON form of CloudEvents 1.0.
type Envelope struct {
	ID      string
	Source  string // /relevo/<function>
	Type    Type
	Subject string
	Time    time.Time // the store's time, millisecond precision, UTC
	Data    json.RawMessage

	CauseID      string // id of the event that led to this one; empty for a first cause
	RunID        string // the run, where there is one
	Sequence     uint64 // strictly rises within one subject; 0 where the subject has no ledger
	PartitionKey string // keeps the order of one run on brokers that partition
	Traceparent  string // W3C trace context
	Tracestate   string
	// Epoch of the store whose state the event tells of; 0 where it tells of the
	// world outside. One of an epoch that is over may tell of what was lost.
	Epoch uint32
}

// Event is an envelope whose payload is decoded.
type Event[T Data] struct {
	Envelope
	Data T
}

// ErrInvalid marks an envelope that is not a well-formed event of the Catalog.
var ErrInvalid = errors.New("events: invalid event")

// Decode opens the payload of e as a T. An unknown field in the payload is not
// an error: newer senders may add fields.
func Decode[T Data](e Envelope) (Event[T], error) {
	var data T
	if want := data.EventType(); e.Type != want {
		return Event[T]{}, fmt.Errorf("%w: type %q, want %q", ErrInvalid, e.Type, want)
	}
	payload := &data
	if err := json.Unmarshal(e.Data, &payload); err != nil {
		return Event[T]{}, fmt.Errorf("%w: decode %s %s: %w", ErrInvalid, e.Type, e.ID, err)
	}
	if payload == nil { // null is JSON, and no payload
		return Event[T]{}, fmt.Errorf("%w: decode %s %s: no payload", ErrInvalid, e.Type, e.ID)
	}
	return Event[T]{Envelope: e, Data: data}, nil
}

// DeriveID makes the id of an emitted event from its cause, the function that
// emits it and its place among that function's events. Same parts, same id.
func DeriveID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		// The length keeps ("ab","c") and ("a","bc") apart.
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	return crockford.EncodeToString(h.Sum(nil)[:16])
}

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New wraps data for sending. Sequence and partition key are filled in by whoever
// publishes. The trace context is the run's, or the delivery's, own: of one that
// goes on from another trace, Traced sets that.
func New(id, source, causeID string, at time.Time, data Data) (Envelope, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Envelope{}, fmt.Errorf("events: encode %s: %w", data.EventType(), err)
	}
	e := Envelope{
		ID: id, Source: source, Type: data.EventType(), Subject: data.Subject(),
		Time: at.UTC().Truncate(time.Millisecond), Data: raw, CauseID: causeID,
	}
	if r, ok := data.(interface{ RunOf() RunID }); ok {
		e.RunID = string(r.RunOf())
		e.PartitionKey = e.RunID
	}
	return e.Traced(""), nil
}

// wire is the structured JSON form. CloudEvents extensions are strings or
// signed 32-bit integers, so the sequence and the epoch travel as strings.
type wire struct {
	SpecVersion  string          `json:"specversion"`
	ID           string          `json:"id"`
	Source       string          `json:"source"`
	Type         Type            `json:"type"`
	Subject      string          `json:"subject,omitempty"`
	Time         string          `json:"time,omitempty"`
	ContentType  string          `json:"datacontenttype,omitempty"`
	CauseID      string          `json:"causeid,omitempty"`
	RunID        string          `json:"runid,omitempty"`
	Sequence     string          `json:"sequence,omitempty"`
	PartitionKey string          `json:"partitionkey,omitempty"`
	Traceparent  string          `json:"traceparent,omitempty"`
	Tracestate   string          `json:"tracestate,omitempty"`
	Epoch        string          `json:"epoch,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
}

// TimeLayout is RFC 3339 with milliseconds, in UTC.
const TimeLayout = "2006-01-02T15:04:05.000Z07:00"

// MarshalJSON gives the structured form of CloudEvents 1.0.
func (e Envelope) MarshalJSON() ([]byte, error) {
	w := wire{
		SpecVersion: "1.0", ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		CauseID: e.CauseID, RunID: e.RunID, PartitionKey: e.PartitionKey,
		Traceparent: e.Traceparent, Tracestate: e.Tracestate, Data: e.Data,
	}
	if !e.Time.IsZero() {
		w.Time = e.Time.UTC().Format(TimeLayout)
	}
	if len(e.Data) > 0 {
		w.ContentType = "application/json"
	}
	if e.Sequence > 0 {
		w.Sequence = strconv.FormatUint(e.Sequence, 10)
	}
	if e.Epoch > 0 {
		w.Epoch = strconv.FormatUint(uint64(e.Epoch), 10)
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the structured form; ErrInvalid where a required
// attribute is missing or malformed.
func (e *Envelope) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if w.SpecVersion != "1.0" || w.ID == "" || w.Source == "" || w.Type == "" {
		return fmt.Errorf("%w: specversion 1.0, id, source and type are required", ErrInvalid)
	}
	*e = Envelope{
		ID: w.ID, Source: w.Source, Type: w.Type, Subject: w.Subject, Data: w.Data,
		CauseID: w.CauseID, RunID: w.RunID, PartitionKey: w.PartitionKey,
		Traceparent: w.Traceparent, Tracestate: w.Tracestate,
	}
	var err error
	if w.Time != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, w.Time); err != nil {
			return fmt.Errorf("%w: time: %w", ErrInvalid, err)
		}
		e.Time = e.Time.UTC()
		if y := e.Time.Year(); y < 0 || y > 9999 { // its zone took it out of RFC 3339
			return fmt.Errorf("%w: time: year %d", ErrInvalid, y)
		}
	}
	if w.Sequence != "" {
		if e.Sequence, err = strconv.ParseUint(w.Sequence, 10, 64); err != nil {
			return fmt.Errorf("%w: sequence: %w", ErrInvalid, err)
		}
	}
	if w.Epoch != "" {
		n, err := strconv.ParseUint(w.Epoch, 10, 32)
		if err != nil {
			return fmt.Errorf("%w: epoch: %w", ErrInvalid, err)
		}
		e.Epoch = uint32(n)
	}
	return nil
}
