package knative

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/relevo-ci/relevo/events"
)

// ToEvent makes the SDK's form of e; events.ErrInvalid where e has no id,
// source or type, or its source is no URI reference.
func ToEvent(e events.Envelope) (event.Event, error) {
	source := types.ParseURIRef(e.Source)
	if e.ID == "" || e.Type == "" || source == nil {
		return event.Event{}, fmt.Errorf("%w: event %q needs id, type and a URI as its source", events.ErrInvalid, e.ID)
	}
	attributes := &event.EventContextV1{ID: e.ID, Source: *source, Type: string(e.Type)}
	if e.Subject != "" {
		attributes.Subject = &e.Subject
	}
	if !e.Time.IsZero() {
		attributes.Time = &types.Timestamp{Time: e.Time}
	}
	made := event.Event{Context: attributes}
	if len(e.Data) > 0 {
		attributes.DataContentType = event.StringOfApplicationJSON()
		made.DataEncoded = e.Data
	}
	attributes.Extensions = extensions(e)
	return made, nil
}

// extensions are ours, as far as they are set. The sequence travels as a
// string: CloudEvents integers have 32 bits.
func extensions(e events.Envelope) map[string]any {
	var set map[string]any
	put := func(name, value string) {
		if value == "" {
			return
		}
		if set == nil {
			set = make(map[string]any, 7)
		}
		set[name] = value
	}
	put("causeid", e.CauseID)
	put("runid", e.RunID)
	put("partitionkey", e.PartitionKey)
	put("traceparent", e.Traceparent)
	put("tracestate", e.Tracestate)
	if e.Sequence > 0 {
		put("sequence", strconv.FormatUint(e.Sequence, 10))
	}
	if e.Epoch > 0 {
		put("epoch", strconv.FormatUint(uint64(e.Epoch), 10))
	}
	return set
}

// FromEvent reads the SDK's form. Extensions that are not ours are dropped.
// events.ErrInvalid where the event is not a valid CloudEvent 1.0 with text in
// UTF-8, its payload is not JSON, or its sequence not a number.
func FromEvent(ev event.Event) (events.Envelope, error) {
	if err := ev.Validate(); err != nil {
		return events.Envelope{}, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	if v := ev.SpecVersion(); v != event.CloudEventsVersionV1 {
		return events.Envelope{}, fmt.Errorf("%w: specversion %s, want 1.0", events.ErrInvalid, v)
	}
	set := ev.Extensions()
	text := func(name string) string {
		value, ok := set[name]
		if !ok {
			return ""
		}
		formatted, _ := types.Format(value) // the SDK validated its type
		return formatted
	}
	e := events.Envelope{
		ID: ev.ID(), Source: ev.Source(), Type: events.Type(ev.Type()), Subject: ev.Subject(),
		CauseID: text("causeid"), RunID: text("runid"), PartitionKey: text("partitionkey"),
		Traceparent: text("traceparent"), Tracestate: text("tracestate"),
	}
	if t := ev.Time(); !t.IsZero() {
		e.Time = t.UTC()
	}
	if sequence := text("sequence"); sequence != "" {
		var err error
		if e.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
			return events.Envelope{}, fmt.Errorf("%w: sequence: %w", events.ErrInvalid, err)
		}
	}
	if epoch := text("epoch"); epoch != "" {
		n, err := strconv.ParseUint(epoch, 10, 32)
		if err != nil {
			return events.Envelope{}, fmt.Errorf("%w: epoch: %w", events.ErrInvalid, err)
		}
		e.Epoch = uint32(n)
	}
	if err := checkText(e); err != nil {
		return events.Envelope{}, err
	}
	return e, setData(&e, ev)
}

func setData(e *events.Envelope, ev event.Event) error {
	data := bytes.TrimSpace(ev.Data())
	if len(data) == 0 {
		return nil
	}
	if !isJSON(ev.DataContentType()) {
		return fmt.Errorf("%w: content type %q, want application/json", events.ErrInvalid, ev.DataContentType())
	}
	if !json.Valid(data) || !utf8.Valid(data) {
		return fmt.Errorf("%w: the payload is not JSON", events.ErrInvalid)
	}
	e.Data = data
	return nil
}

// isJSON also takes what has no content type: whether it is JSON is looked at
// anyway.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// fromBinaryEvent is FromEvent for one whose attributes are as they stood in
// HTTP headers: it unescapes them.
func fromBinaryEvent(ev event.Event) (events.Envelope, error) {
	e, err := FromEvent(ev)
	if err != nil {
		return e, err
	}
	e = Unescape(e)
	return e, checkText(e)
}

func checkText(e events.Envelope) error {
	for _, required := range []string{e.ID, e.Source, string(e.Type)} {
		if strings.TrimSpace(required) == "" {
			return fmt.Errorf("%w: id, source and type are required", events.ErrInvalid)
		}
	}
	for _, s := range attributes(&e) {
		if !utf8.ValidString(*s) {
			return fmt.Errorf("%w: attribute %q is not UTF-8", events.ErrInvalid, *s)
		}
	}
	if y := e.Time.Year(); y < 0 || y > 9999 {
		return fmt.Errorf("%w: year %d", events.ErrInvalid, y)
	}
	return nil
}

// attributes are the texts of e.
func attributes(e *events.Envelope) []*string {
	return []*string{
		&e.ID, &e.Source, (*string)(&e.Type), &e.Subject,
		&e.CauseID, &e.RunID, &e.PartitionKey, &e.Traceparent, &e.Tracestate,
	}
}

// Escape makes the texts of e fit for HTTP headers: CloudEvents' HTTP binding,
// 3.1.3.2, has them percent-encoded, which neither the SDK nor Knative does.
func Escape(e events.Envelope) events.Envelope {
	for _, s := range attributes(&e) {
		*s = escape(*s)
	}
	return e
}

// Unescape undoes Escape. Senders that do not escape leave the source's own
// percent codes bare: it stays a URI.
func Unescape(e events.Envelope) events.Envelope {
	sent := e.Source
	for _, s := range attributes(&e) {
		*s = unescape(*s)
	}
	if e.Source == sent {
		return e
	}
	if uri := types.ParseURIRef(e.Source); uri != nil {
		e.Source = uri.String()
	} else {
		e.Source = sent
	}
	return e
}

const hexDigits = "0123456789ABCDEF"

func plain(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }

func escape(s string) string {
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(out)
}

// unescape takes quotes off, which older senders set, and decodes once; a
// percent sign that begins no code stays.
func unescape(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// unquote takes the backslashes of a quoted-string (RFC 7230, 3.2.6) away.
func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}
