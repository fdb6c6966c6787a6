package trigger

import (
	"regexp"
	"strings"
)

// The patterns of Actions' filters: * is any characters but a slash, ** any at
// all (and **/ no folder too), ? nothing or one of what stands before, + one or
// more of it, [] one of the characters or ranges in it, \ takes the next
// character as it is. A pattern stands for the whole name.
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet

// Matches tells whether a pattern matches a name. A leading ! is not looked at:
// it says what a match means, see Filter. What is no valid pattern (the
// compiler refuses it) is taken by the letter where it is wrong.
func Matches(pattern, name string) bool {
	return compile([]string{pattern})[0].expression.MatchString(name)
}

// Filter tells whether a list of patterns lets a name in: the last one that
// matches decides, and one with a leading ! lets it out.
func Filter(list []string, name string) bool { return compile(list).lets(name) }

// patterns are compiled once for all the names that they are held against.
type patterns []struct {
	negated    bool
	expression *regexp.Regexp
}

func compile(list []string) patterns {
	compiled := make(patterns, len(list))
	for i, p := range list {
		p, compiled[i].negated = strings.CutPrefix(p, "!")
		// What is no UTF-8 is compared as expressions see it in a name.
		compiled[i].expression = regexp.MustCompile(expressionOf(strings.ToValidUTF8(p, "\uFFFD")))
	}
	return compiled
}

func (ps patterns) lets(name string) bool {
	in := false
	for _, p := range ps {
		if in == p.negated && p.expression.MatchString(name) {
			in = !p.negated
		}
	}
	return in
}

// expressionOf translates a pattern. Regular expressions of Go take linear
// time, whatever the pattern.
func expressionOf(pattern string) string {
	var out strings.Builder
	out.WriteString(`(?s)^(?:`)
	atom := false // what stands before can be repeated
	for rest := pattern; rest != ""; {
		used, text, repeats := token(rest, atom, len(rest) == len(pattern) || pattern[len(pattern)-len(rest)-1] == '/')
		out.WriteString(text)
		rest, atom = rest[used:], repeats
	}
	out.WriteString(`)$`)
	return out.String()
}

// token translates the start of a pattern. It tells how much of it, and
// whether ? and + may follow.
func token(s string, atom, first bool) (used int, text string, repeats bool) {
	switch {
	case strings.HasPrefix(s, "**/") && first:
		return 3, `(?:.*/)?`, false
	case strings.HasPrefix(s, "**"):
		return 2, `.*`, false
	case s[0] == '*':
		return 1, `[^/]*`, false
	case (s[0] == '?' || s[0] == '+') && atom:
		return 1, s[:1], false
	case s[0] == '[':
		if n, class := classOf(s); n > 0 {
			return n, class, true
		}
	case s[0] == '\\' && len(s) > 1:
		n := character(s[1:])
		return 1 + n, regexp.QuoteMeta(s[1 : 1+n]), true
	}
	n := character(s)
	return n, regexp.QuoteMeta(s[:n]), true
}

// character is the length of the first one; a byte that is no UTF-8 counts as
// one.
func character(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// classOf translates [abc0-9]; 0 where it is not closed or has nothing in it.
func classOf(s string) (used int, text string) {
	end := strings.IndexByte(s, ']')
	if end < 2 {
		return 0, ""
	}
	var out strings.Builder
	out.WriteByte('[')
	members := []rune(s[1:end])
	for i := 0; i < len(members); i++ {
		from, to := members[i], members[i]
		if i+2 < len(members) && members[i+1] == '-' && members[i+2] >= from {
			to = members[i+2]
			i += 2
		}
		out.WriteString(quoted(from))
		if to != from {
			out.WriteString("-" + quoted(to))
		}
	}
	out.WriteByte(']')
	return end + 1, out.String()
}

func quoted(r rune) string {
	if r == '-' || r == '^' || r == '\\' || r == '[' || r == ':' {
		return `\` + string(r)
	}
	return string(r)
}
