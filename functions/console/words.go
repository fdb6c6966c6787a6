package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are what templates call.
func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":   func(name string) string { return c.assets.address[name] },
		"ago":     func(t time.Time) moment { return moment{t, c.Now(), true} },
		"at":      func(t time.Time) moment { return moment{t, c.Now(), false} },
		"span":    span,
		"short":   short,
		"ref":     refName,
		"visible": visible,
		"state":   stateLook,
		"size":    size,
		"cores":   cores,
		"jobKey":  jobKey,
		"plain":   func(n any) string { return fmt.Sprint(n) },
		"plural":  plural, "millis": func(n int64) string { return span(time.Duration(n) * time.Millisecond) },
		"map":      dict,
		"join":     strings.Join,
		"add":      func(a, b int) int { return a + b },
		"clip":     clip,
		"may":      may,
		"sentence": sentence,
		"ticks":    ticks,
		"permille": func(n int) string { return fmt.Sprintf("%d.%d%%", n/10, n%10) },
	}
}

// dict lets a template hand several things on.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("console: key %v is no string", pairs[i])
		}
		m[k] = pairs[i+1]
	}
	return m, nil
}

// moment is a time as a page shows it: how long ago, which the script keeps
// true while the page stands.
type moment struct {
	At, Now time.Time
	Ago     bool
}

// Zero tells that there is none.
func (m moment) Zero() bool { return m.At.IsZero() }

// Stamp is for machines.
func (m moment) Stamp() string { return m.At.UTC().Format(time.RFC3339) }

// Says is for people.
func (m moment) Says() string {
	if !m.Ago {
		return m.At.UTC().Format("15:04:05 UTC")
	}
	switch d := m.Now.Sub(m.At); {
	case d <= -48*time.Hour:
		return fmt.Sprintf("in %d days", (-d+12*time.Hour)/(24*time.Hour))
	case d < 0:
		return "in " + span(-d)
	case d < 5*time.Second:
		return "now"
	case d < 48*time.Hour:
		return coarse(d) + " ago"
	case m.At.Year() == m.Now.Year():
		return m.At.UTC().Format("2 Jan")
	}
	return m.At.UTC().Format("2 Jan 2006")
}

// coarse gives a time in its largest unit.
func coarse(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h", d/time.Hour)
}

// span gives a length of time in at most two units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}

func short(sha string) string {
	if len(sha) > 8 {
		return sha[:8]
	}
	return sha
}

// refName is a git ref without what says its kind.
func refName(ref string) string {
	for _, kind := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if rest, ok := strings.CutPrefix(ref, kind); ok {
			return rest
		}
	}
	return ref
}

// jobKey is the part of a job's id that is its key.
func jobKey(id string) string {
	_, key, _ := strings.Cut(id, ".")
	return key
}

// sentence makes words of the name of an operation.
func sentence(name string) string {
	var b strings.Builder
	for i, r := range visible(name) {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// piece is a part of a text: code, where it stood between backticks.
type piece struct {
	Text string
	Code bool
}

func ticks(text string) []piece {
	var out []piece
	for i, part := range strings.Split(text, "`") {
		if part != "" {
			out = append(out, piece{part, i%2 == 1})
		}
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func size(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
}

// cores shows thousandths of a core.
func cores(milli int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", float64(milli)/1000), "0"), ".")
}

const (
	// mostShown bounds a name that somebody else chose, in characters.
	mostShown = 300
	// mostMarks is how many combining marks stand on a character: scripts that
	// people write need no more, and more would run over other lines.
	mostMarks = 4
)

// visible makes text of others safe to stand in a line: what would be unseen,
// or would turn the line around, is shown by a sign for it.
func visible(text any) string {
	s := fmt.Sprint(text)
	var b strings.Builder
	marks, count := 0, 0
	for _, r := range s {
		if count++; count > mostShown {
			b.WriteRune('…')
			break
		}
		if unicode.In(r, unicode.Mn, unicode.Me) {
			if marks++; marks > mostMarks {
				continue
			}
		} else {
			marks = 0
		}
		b.WriteString(seen(r))
	}
	return b.String()
}

// seen gives the sign for a character that has no shape of its own.
func seen(r rune) string {
	switch {
	case r < 0x20:
		return string(0x2400 + r)
	case r == 0x7f:
		return "␡"
	case r == utf8.RuneError:
		return "�"
	case r >= 0x80 && r < 0xa0, unicode.Is(unicode.Bidi_Control, r), r >= 0xe0000 && r < 0xe0080, r == 0x2028, r == 0x2029:
		return fmt.Sprintf("[U+%04X]", r)
	}
	return string(r)
}

// clip shortens text to a number of characters, for where nothing else can.
func clip(text string, most int) string {
	r := []rune(visible(text))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:most-1]) + "…"
}
