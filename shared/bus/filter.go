package bus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
)

// Filter is one expression of a Knative Trigger's filters, in their JSON form.
// Exactly one member is set. Knative's own implementation links its whole
// client; this one agrees with it on everything that Compile accepts.
type Filter struct {
	// All passes what each of them passes.
	All []Filter `json:"all,omitempty"`
	// Any passes what one of them passes.
	Any []Filter `json:"any,omitempty"`
	// Not passes what it does not.
	Not *Filter `json:"not,omitempty"`
	// Exact, Prefix and Suffix compare the attributes named with a text; an
	// attribute that is not there does not pass.
	Exact  map[string]string `json:"exact,omitempty"`
	Prefix map[string]string `json:"prefix,omitempty"`
	Suffix map[string]string `json:"suffix,omitempty"`
	// CESQL is refused.
	CESQL string `json:"cesql,omitempty"`
}

// ErrFilter marks a filter that Compile refuses.
var ErrFilter = errors.New("bus: invalid filter")

// Matcher tells which events pass.
type Matcher interface {
	Match(e events.Envelope) bool
}

// Compile makes a matcher that passes what every filter passes; none passes
// everything. Knative skips a filter that it cannot read, which lets everything
// through; here it is ErrFilter, with where it stands.
func Compile(filters []Filter) (Matcher, error) {
	return compileAll(filters, "filters")
}

// Attributes makes a matcher of the older kind of filter (a Trigger's filter,
// not its filters): each attribute must equal its text; an empty text asks
// only that the attribute is there.
func Attributes(attributes map[string]string) Matcher { return attributesMatcher(attributes) }

func compileAll(filters []Filter, where string) (allMatcher, error) {
	all := make(allMatcher, 0, len(filters))
	for i, f := range filters {
		m, err := compile(f, fmt.Sprintf("%s[%d]", where, i))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func compile(f Filter, where string) (Matcher, error) {
	if n := f.dialects(); n != 1 {
		return nil, fmt.Errorf("%w: %s: %d expressions, want one", ErrFilter, where, n)
	}
	switch {
	case f.CESQL != "":
		return nil, fmt.Errorf("%w: %s: cesql is not supported here: say it with all, any, not, exact, prefix, suffix", ErrFilter, where)
	case f.Not != nil:
		m, err := compile(*f.Not, where+".not")
		return notMatcher{m}, err
	case len(f.All) > 0:
		return compileAll(f.All, where+".all")
	case len(f.Any) > 0:
		some, err := compileAll(f.Any, where+".any")
		return anyMatcher(some), err
	case len(f.Exact) > 0:
		return compileText(f.Exact, where+".exact", func(value, want string) bool { return value == want })
	case len(f.Prefix) > 0:
		return compileText(f.Prefix, where+".prefix", strings.HasPrefix)
	}
	return compileText(f.Suffix, where+".suffix", strings.HasSuffix)
}

func (f Filter) dialects() int {
	n := 0
	for _, set := range []bool{
		len(f.All) > 0, len(f.Any) > 0, f.Not != nil, len(f.Exact) > 0,
		len(f.Prefix) > 0, len(f.Suffix) > 0, f.CESQL != "",
	} {
		if set {
			n++
		}
	}
	return n
}

func compileText(texts map[string]string, where string, test func(value, want string) bool) (Matcher, error) {
	for name, want := range texts {
		if !attributeName(name) {
			return nil, fmt.Errorf("%w: %s: %q is not an attribute's name: a letter, then letters and digits, all lower case", ErrFilter, where, name)
		}
		if want == "" {
			return nil, fmt.Errorf("%w: %s: the text for %s is empty", ErrFilter, where, name)
		}
	}
	return textMatcher{texts, test}, nil
}

func attributeName(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

type allMatcher []Matcher

func (m allMatcher) Match(e events.Envelope) bool {
	for _, each := range m {
		if !each.Match(e) {
			return false
		}
	}
	return true
}

type anyMatcher []Matcher

func (m anyMatcher) Match(e events.Envelope) bool {
	for _, each := range m {
		if each.Match(e) {
			return true
		}
	}
	return false
}

type notMatcher struct{ inner Matcher }

func (m notMatcher) Match(e events.Envelope) bool { return !m.inner.Match(e) }

type textMatcher struct {
	texts map[string]string
	test  func(value, want string) bool
}

func (m textMatcher) Match(e events.Envelope) bool {
	for name, want := range m.texts {
		if value, ok := attribute(e, name); !ok || !m.test(value, want) {
			return false
		}
	}
	return true
}

type attributesMatcher map[string]string

func (m attributesMatcher) Match(e events.Envelope) bool {
	for name, want := range m {
		value, ok := attribute(e, name)
		if !ok || (want == "" && value == "") || (want != "" && value != want) {
			return false
		}
	}
	return true
}

// attribute is the text of an attribute as Knative's filters see it: those of
// the specification are always there, if need be empty (a missing time is the
// zero one); an extension is there when it is set.
func attribute(e events.Envelope, name string) (string, bool) {
	switch name {
	case "specversion":
		return "1.0", true
	case "type":
		return string(e.Type), true
	case "source":
		return e.Source, true
	case "subject":
		return e.Subject, true
	case "id":
		return e.ID, true
	case "time":
		text, err := e.Time.UTC().MarshalText()
		return string(text), err == nil
	case "datacontenttype", "datamediatype":
		if len(e.Data) == 0 {
			return "", true
		}
		return "application/json", true
	case "dataschema", "schemaurl", "datacontentencoding":
		return "", true
	}
	value := extension(e, name)
	return value, value != ""
}

func extension(e events.Envelope, name string) string {
	switch name {
	case "causeid":
		return e.CauseID
	case "runid":
		return e.RunID
	case "sequence":
		if e.Sequence > 0 {
			return strconv.FormatUint(e.Sequence, 10)
		}
	case "partitionkey":
		return e.PartitionKey
	case "traceparent":
		return e.Traceparent
	case "tracestate":
		return e.Tracestate
	case "epoch":
		if e.Epoch > 0 {
			return strconv.FormatUint(uint64(e.Epoch), 10)
		}
	}
	return ""
}
