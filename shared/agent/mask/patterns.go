package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
)

const (
	// minLine is the shortest line of a secret of several lines that is looked
	// for alone: a brace of a JSON key would mask half a log.
	minLine = 4
	// minEncoded is the shortest base64 text that is looked for.
	minEncoded = 7
	// encodedLine is where base64(1) breaks its lines.
	encodedLine = 76
)

// patterns lists the forms in which a secret may show up in a log: as it is,
// line by line, quoted as JSON or in a URL, and in base64, alone or within a
// longer text.
func patterns(secret string) []string {
	value := strings.TrimSpace(secret)
	if value == "" {
		return nil
	}
	forms := []string{value}
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				forms = append(forms, line)
			}
		}
	}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	forms = append(forms, url.QueryEscape(value), url.PathEscape(value))
	for before := range 3 {
		forms = append(forms, encoded(value, before)...)
	}
	return distinct(forms)
}

// encoded gives the base64 letters that depend on value alone when it stands
// after a text whose length is before, modulo 3. A long one is cut where
// base64(1) cuts a text that begins with it; uncut, the pieces touch and are
// masked as one.
func encoded(value string, before int) []string {
	text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
	// The letters that the bytes before, or whatever follows, have bits in.
	text = text[[]int{0, 2, 3}[before]:]
	switch (before + len(value)) % 3 {
	case 1:
		text = text[:max(0, len(text)-3)]
	case 2:
		text = text[:max(0, len(text)-2)]
	}
	var forms []string
	for text != "" {
		line := text[:min(encodedLine, len(text))]
		if text = text[len(line):]; len(line) >= minEncoded {
			forms = append(forms, line, strings.NewReplacer("+", "-", "/", "_").Replace(line))
		}
	}
	return forms
}

func distinct(forms []string) []string {
	seen := map[string]bool{}
	kept := forms[:0]
	for _, f := range forms {
		if !seen[f] {
			seen[f] = true
			kept = append(kept, f)
		}
	}
	return kept
}
