package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/workflow"
)

const (
	// inlineKey is the key of a job that was submitted by itself.
	inlineKey = "job"
	// inlineFile is its file's name for the front end; nobody sees it.
	inlineFile = "job.yaml"
)

// inline writes a job as a pipeline file, each of its keys in a line of its
// own, and tells which part of the request stands where in it.
func inline(s client.JobSubmission) ([]byte, places, error) {
	w := &inlineWriter{line: 1, column: 1}
	w.text(`{"jobs": {"` + inlineKey + `": {`)
	sep := "\n"
	for _, k := range jobKeys(s) {
		if len(k.value) == 0 {
			continue
		}
		w.text(sep)
		sep = ",\n"
		w.mark("body." + k.name)
		w.text(quote(k.name) + ": ")
		d := json.NewDecoder(bytes.NewReader(k.value))
		d.UseNumber()
		if err := w.value(d, "body."+k.name); err != nil {
			return nil, nil, fmt.Errorf("api: read %s: %w", k.name, err)
		}
	}
	if s.Run != "" {
		w.text(sep)
		w.mark("body.run")
		w.text(`"steps": [{"run": ` + quote(s.Run) + `}]`)
	}
	w.text("\n}}}\n")
	return w.buf.Bytes(), w.places, nil
}

// jobKey is one key of a job with its value as JSON.
type jobKey struct {
	name  string
	value json.RawMessage
}

func jobKeys(s client.JobSubmission) []jobKey {
	var label json.RawMessage
	if s.Name != "" {
		label = json.RawMessage(quote(s.Name))
	}
	return []jobKey{
		{"name", label},
		{"runs-on", s.RunsOn},
		{"if", s.If},
		{"container", s.Container},
		{"env", s.Env},
		{"defaults", s.Defaults},
		{"outputs", s.Outputs},
		{"permissions", s.Permissions},
		{"concurrency", s.Concurrency},
		{"timeout-minutes", s.TimeoutMinutes},
		{"continue-on-error", s.ContinueOnError},
		{"retry", s.Retry},
		{"resources", s.Resources},
		{"priority", s.Priority},
		{"affinity", s.Affinity},
		{"tolerations", s.Tolerations},
		{"steps", s.Steps},
		{"await", s.Await},
	}
}

// places say which part of a request stands where in the file made of it.
type places []place

type place struct {
	line, column int // from 1; columns in characters
	path         string
}

// of names the part that an error speaks of: the last that begins at or before
// its position.
func (ps places) of(e workflow.Error) string {
	i, found := slices.BinarySearchFunc(ps, e, func(p place, e workflow.Error) int {
		return cmp.Or(cmp.Compare(p.line, e.Line), cmp.Compare(p.column, e.Column))
	})
	if !found {
		i--
	}
	if i < 0 {
		return "body"
	}
	return ps[i].path
}

// inlineWriter writes JSON that is YAML as well, and keeps the places of its
// values.
type inlineWriter struct {
	buf          bytes.Buffer
	line, column int
	places       places
}

func (w *inlineWriter) mark(path string) {
	w.places = append(w.places, place{w.line, w.column, path})
}

func (w *inlineWriter) text(s string) {
	w.buf.WriteString(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		w.line += strings.Count(s, "\n")
		w.column, s = 1, s[i+1:]
	}
	w.column += utf8.RuneCountInString(s)
}

// value copies the next value of d.
func (w *inlineWriter) value(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	w.mark(path)
	switch t := token.(type) {
	case json.Delim:
		return w.nested(d, t, path)
	case string:
		w.text(quote(t))
	case json.Number:
		w.text(t.String())
	case bool:
		w.text(strconv.FormatBool(t))
	default:
		w.text("null")
	}
	return nil
}

// nested copies what follows an opening bracket.
func (w *inlineWriter) nested(d *json.Decoder, open json.Delim, path string) error {
	w.text(open.String())
	for i := 0; d.More(); i++ {
		if i > 0 {
			w.text(", ")
		}
		inner := path + "[" + strconv.Itoa(i) + "]"
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			inner = path + "." + key.(string)
			w.mark(inner)
			w.text(quote(key.(string)) + ": ")
		}
		if err := w.value(d, inner); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	w.text(end.(json.Delim).String())
	return nil
}

// quote writes a string as JSON and YAML both read it. JSON itself lets
// characters through that a YAML file may not hold.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ', r >= 0x7f && r <= 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
