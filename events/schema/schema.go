// Package schema validates events against the generated schemas. It is for
// tests and tools: the function host does not link it.
package schema

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/events/schemas"
)

// Validate checks one event in the structured JSON form of CloudEvents: its
// attributes, its payload by its type, and that subject and runid say of the
// payload what it says itself. The error lists all that is wrong; it is an
// events.ErrInvalid.
func Validate(line []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	bundle, err := compiled()
	if err != nil {
		return err
	}
	if err := bundle.Validate(value); err != nil {
		return fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	var e events.Envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	return agree(e)
}

// ValidateAll checks a stream of events, one a line, as `relevo run --events`
// writes them, and returns how many there were. The error names the first bad
// line, counted from 1.
func ValidateAll(r io.Reader) (int, error) {
	lines := bufio.NewReader(r)
	for n := 0; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return n, nil
		}
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("schema: read line %d: %w", n+1, err)
		}
		if err := Validate(line); err != nil {
			return n, fmt.Errorf("schema: line %d: %w", n+1, err)
		}
	}
}

// agree compares the attributes that repeat the payload with it.
func agree(e events.Envelope) error {
	entry, ok := events.Find(e.Type)
	if !ok {
		return fmt.Errorf("%w: the schemas know %s and the Catalog does not", events.ErrInvalid, e.Type)
	}
	payload := entry.New()
	if err := json.Unmarshal(e.Data, payload); err != nil {
		return fmt.Errorf("%w: %s: %w", events.ErrInvalid, e.Type, err)
	}
	if data, ok := payload.(events.Data); ok && data.Subject() != e.Subject {
		return fmt.Errorf("%w: subject %q, the payload speaks of %q", events.ErrInvalid, e.Subject, data.Subject())
	}
	if data, ok := payload.(interface{ RunOf() events.RunID }); ok && string(data.RunOf()) != e.RunID {
		return fmt.Errorf("%w: runid %q, the payload belongs to %q", events.ErrInvalid, e.RunID, data.RunOf())
	}
	return nil
}

// compiled compiles the bundle once.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	const name = "bundle.json"
	file, err := schemas.Files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("schema: %s: %w", name, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, text); err != nil {
		return nil, fmt.Errorf("schema: %s: %w", name, err)
	}
	return c.Compile(name)
})
