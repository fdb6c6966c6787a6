package language

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

//go:embed reference.md.tmpl
var referenceText string

// Reference is docs/language.md.
func Reference() ([]byte, error) {
	funcs := template.FuncMap{
		"keys": func(id string) (string, error) {
			for _, p := range slices.Concat(places, overlayPlaces) {
				if p.ID == id {
					return p.table(), nil
				}
			}
			return "", fmt.Errorf("there is no place %s", id)
		},
		"refused": refusedTable,
		"events":  func() string { return "`" + strings.Join(Events(), "`, `") + "`" },
		"scopes":  func() string { return "`" + strings.Join(Scopes, "`, `") + "`" },
	}
	t, err := template.New("reference").Funcs(funcs).Parse(referenceText)
	if err != nil {
		return nil, fmt.Errorf("language: read reference: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, nil); err != nil {
		return nil, fmt.Errorf("language: write reference: %w", err)
	}
	return out.Bytes(), nil
}

// table lists the keys that are implemented.
func (p *Place) table() string {
	var b strings.Builder
	b.WriteString("| key | |\n|---|---|\n")
	for _, k := range p.Keys {
		if k.Support == Refused {
			continue
		}
		marks := ""
		if k.Required {
			marks += " (required)"
		}
		if slices.Contains(p.OneOf, k.Name) {
			marks += " (this or " + others(p.OneOf, k.Name) + ")"
		}
		if k.Support == Own {
			marks += " (Relevo's own)"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s |\n", k.Name, marks, cell(k.Doc))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// others are the names but one, as code.
func others(names []string, but string) string {
	var rest []string
	for _, n := range names {
		if n != but {
			rest = append(rest, "`"+n+"`")
		}
	}
	return strings.Join(rest, " or ")
}

// refusedTable lists what is known and refused, everywhere.
func refusedTable() string {
	var b strings.Builder
	b.WriteString("| key | instead |\n|---|---|\n")
	for _, p := range places {
		for _, k := range only(Refused, p.Keys) {
			fmt.Fprintf(&b, "| `%s` in %s | %s |\n", k.Name, p.Name, cell(k.Doc))
		}
	}
	var names []string
	for n := range refusedEvents {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(&b, "| the event `%s` | %s |\n", n, cell(refusedEvents[n]))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
