package execution

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// CDEvent is a kind of CDEvent (cdevents.dev, 0.4.1) that a step may emit: it
// knows what Relevo cannot, the artifacts, test runs and deployments that its
// commands make. What Relevo knows itself it tells by itself.
type CDEvent struct {
	// Subject is the type of what it is about, as it is written there: testSuiteRun.
	Subject string
	// Predicate is what happened to it.
	Predicate string
	Version   string
	content   fields
}

// CDEventPrefix begins the types of CDEvents.
const CDEventPrefix = "dev.cdevents."

// Type is that of the CloudEvent.
func (k CDEvent) Type() string { return k.short() + "." + k.Version }

func (k CDEvent) short() string {
	return CDEventPrefix + strings.ToLower(k.Subject) + "." + k.Predicate
}

// FindCDEvent looks a kind up by its type, whose version may be left out.
func FindCDEvent(t string) (CDEvent, bool) {
	i := slices.IndexFunc(cdEvents, func(k CDEvent) bool { return t == k.short() || t == k.Type() })
	if i < 0 {
		return CDEvent{}, false
	}
	return cdEvents[i], true
}

// CDEvents are the types that a step may emit, sorted, without their versions.
func CDEvents() []string {
	all := make([]string, len(cdEvents))
	for i, k := range cdEvents {
		all[i] = k.short()
	}
	slices.Sort(all)
	return all
}

// Content is the subject's content, as it is published: an empty one where data
// is none. What its schema refuses is an ErrEmitted.
func (k CDEvent) Content(data json.RawMessage) (json.RawMessage, error) {
	if len(data) == 0 {
		data = []byte("{}")
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: the data is not JSON", ErrEmitted)
	}
	if wrong := k.content.wrong(v); wrong != "" {
		return nil, fmt.Errorf("%w: %s: data%s", ErrEmitted, k.short(), wrong)
	}
	return data, nil
}

// A shape says what is wrong with a value, with the way to it: " must be …",
// ".environment has no id"; empty where nothing is.
type shape interface{ wrong(v any) string }

// field of an object.
type field struct {
	shape
	required bool
}

// fields are those that an object may have, and no others.
type fields map[string]field

func (f fields) wrong(v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return " must be a mapping"
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		value, there := object[name]
		switch {
		case there:
			if wrong := f[name].wrong(value); wrong != "" {
				return "." + name + wrong
			}
		case f[name].required:
			return " has no " + name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, known := f[name]; !known {
			return fmt.Sprintf(" must not have %q: there is %s", name, strings.Join(slices.Sorted(maps.Keys(f)), ", "))
		}
	}
	return ""
}

// text is one of some length at least.
type text int

func (least text) wrong(v any) string {
	if s, ok := v.(string); !ok || len(s) < int(least) {
		return " must be a text that is not empty"
	}
	return ""
}

// oneOf are the words that there are.
type oneOf []string

func (words oneOf) wrong(v any) string {
	if s, ok := v.(string); !ok || !slices.Contains(words, s) {
		return " must be one of " + strings.Join(words, ", ")
	}
	return ""
}

// address is a URI; with none relative ones too.
type address struct{ relative bool }

var (
	absoluteURI = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(//[A-Za-z0-9._~-]+(:[0-9]{1,5})?(/|$)|/[A-Za-z0-9]|[A-Za-z0-9])`)
	relativeURI = regexp.MustCompile(`^(/?[A-Za-z0-9._~-]+)(/|$)`)
	letters     = regexp.MustCompile(`^([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$`)
)

func (a address) wrong(v any) string {
	s, ok := v.(string)
	if !ok || !letters.MatchString(s) || strings.Count(s, "#") > 1 || !absoluteURI.MatchString(s) && (!a.relative || !relativeURI.MatchString(s)) {
		return " must be a URI"
	}
	return ""
}

func must(s shape) field { return field{s, true} }
func may(s shape) field  { return field{s, false} }

var (
	reference   = fields{"id": must(text(1)), "source": may(address{relative: true})}
	run         = fields{"id": must(text(1)), "source": may(text(0))}
	sbom        = fields{"uri": must(address{relative: true})}
	started     = fields{"type": may(oneOf{"manual", "pipeline", "event", "schedule", "other"}), "uri": may(address{})}
	outcome     = oneOf{"pass", "fail", "cancel", "error"}
	severity    = oneOf{"low", "medium", "high", "critical"}
	testCase    = fields{"id": must(text(1)), "version": may(text(0)), "name": may(text(0)), "type": may(testCases), "uri": may(address{})}
	testCases   = oneOf{"performance", "functional", "unit", "security", "compliance", "integration", "e2e", "other"}
	testSuite   = fields{"id": must(text(1)), "version": may(text(0)), "name": may(text(0)), "uri": may(address{})}
	queuedSuite = fields{"id": must(text(1)), "version": may(text(0)), "name": may(text(0)), "url": may(address{})} // so it is spelt there
	user        = fields{"user": may(text(1))}
	deployment  = fields{"environment": must(reference), "artifactId": must(text(1))}
)

var cdEvents = []CDEvent{
	{"artifact", "packaged", "0.2.0", fields{"change": must(reference), "sbom": may(sbom)}},
	{"artifact", "signed", "0.2.0", fields{"signature": must(text(1))}},
	{"artifact", "published", "0.2.0", fields{"sbom": may(sbom), "user": may(text(1))}},
	{"artifact", "downloaded", "0.1.0", user},
	{"artifact", "deleted", "0.1.0", user},
	{"testCaseRun", "queued", "0.2.0", fields{"environment": must(reference), "trigger": may(started), "testSuiteRun": may(run), "testCase": may(testCase)}},
	{"testCaseRun", "started", "0.2.0", fields{"environment": must(reference), "trigger": may(started), "testSuiteRun": may(run), "testCase": may(testCase)}},
	{"testCaseRun", "finished", "0.2.0", fields{
		"outcome": must(outcome), "environment": must(reference), "severity": may(severity), "reason": may(text(0)),
		"testSuiteRun": may(run), "testCase": may(testCase),
	}},
	{"testCaseRun", "skipped", "0.1.0", fields{"environment": may(reference), "reason": may(text(0)), "testSuiteRun": may(run), "testCase": may(testCase)}},
	{"testSuiteRun", "queued", "0.2.0", fields{"environment": must(reference), "trigger": may(started), "testSuite": may(queuedSuite)}},
	{"testSuiteRun", "started", "0.2.0", fields{"environment": must(reference), "trigger": may(started), "testSuite": may(testSuite)}},
	{"testSuiteRun", "finished", "0.2.0", fields{
		"outcome": must(outcome), "environment": must(reference), "severity": may(severity), "reason": may(text(0)), "testSuite": may(testSuite),
	}},
	{"testOutput", "published", "0.2.0", fields{
		"outputType": must(oneOf{"report", "video", "image", "log", "other"}), "format": must(text(0)), "uri": may(address{}), "testCaseRun": may(run),
	}},
	{"service", "deployed", "0.2.0", deployment},
	{"service", "upgraded", "0.2.0", deployment},
	{"service", "rolledback", "0.2.0", deployment},
	{"service", "removed", "0.2.0", fields{"environment": must(reference)}},
	{"service", "published", "0.2.0", fields{"environment": must(reference)}},
}
