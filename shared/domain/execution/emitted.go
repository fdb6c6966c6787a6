package execution

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Emitted is a CloudEvent of the user's own that a step emitted.
type Emitted struct {
	// Index numbers the events of the attempt, from 1.
	Index   int             `json:"index"`
	Type    string          `json:"type"`
	Subject string          `json:"subject,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// The bounds of events of the user's own. With them the whole event stays below
// the 64 KiB that every intermediary of CloudEvents has to forward.
const (
	MostEmitted     = 100      // of an attempt
	MostEmittedData = 60 << 10 // bytes
	mostEmittedType = 255      // bytes
	mostSubject     = 1024     // bytes
)

// ErrEmitted: an event is none that a step may emit.
var ErrEmitted = errors.New("execution: not an event that a step may emit")

// reserved begins the types that are not the user's.
const reserved = "dev.relevo."

// Check tells what is wrong with an event, as ErrEmitted.
func (e Emitted) Check() error {
	if wrong := WrongType(e.Type); wrong != "" {
		return fmt.Errorf("%w: %s", ErrEmitted, wrong)
	}
	switch {
	case e.Index < 1 || e.Index > MostEmitted:
		return fmt.Errorf("%w: a job emits at most %d", ErrEmitted, MostEmitted)
	case len(e.Subject) > mostSubject:
		return fmt.Errorf("%w: the subject has %d bytes, at most %d", ErrEmitted, len(e.Subject), mostSubject)
	case !utf8.ValidString(e.Subject) || strings.ContainsFunc(e.Subject, func(c rune) bool { return c < ' ' || c == 0x7F }):
		return fmt.Errorf("%w: the subject holds control characters", ErrEmitted)
	case len(e.Data) > MostEmittedData:
		return fmt.Errorf("%w: the data has %d bytes, at most %d: publish where it can be had instead", ErrEmitted, len(e.Data), MostEmittedData)
	case len(e.Data) > 0 && !json.Valid(e.Data):
		return fmt.Errorf("%w: the data is not JSON", ErrEmitted)
	}
	if k, ok := FindCDEvent(e.Type); ok {
		if e.Subject == "" {
			return fmt.Errorf("%w: %s needs the subject that it is about", ErrEmitted, e.Type)
		}
		_, err := k.Content(e.Data)
		return err
	}
	return nil
}

// WrongType says what is wrong with the type of an event of the user's own;
// empty where nothing is.
func WrongType(t string) string {
	begins := func(prefix string) bool { return len(t) >= len(prefix) && strings.EqualFold(t[:len(prefix)], prefix) }
	_, known := FindCDEvent(t)
	switch {
	case begins(reserved):
		return fmt.Sprintf("types that begin with %s are not yours to emit", reserved)
	case begins(CDEventPrefix) && !known:
		return fmt.Sprintf("%s is no CDEvent that a step emits: of %s there is %s", t, CDEventPrefix,
			strings.ReplaceAll(strings.Join(CDEvents(), ", "), CDEventPrefix, ""))
	case t == "":
		return "the type is empty"
	case len(t) > mostEmittedType:
		return fmt.Sprintf("the type has %d bytes, at most %d", len(t), mostEmittedType)
	case strings.ContainsFunc(t, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }):
		return fmt.Sprintf("the type %q holds blanks or letters other than ASCII", t)
	}
	return ""
}
