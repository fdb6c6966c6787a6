package trigger

import "strings"

// skipMarks are the words of Actions; GitLab and others take some of them, in
// any capitals.
var skipMarks = []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"}

// SkipMark finds what in a commit's message says that no pipeline is to run:
// one of the marks anywhere, or a last line "skip-checks: true" after an empty
// one. Empty where there is none.
func SkipMark(message string) string {
	lower := strings.ToLower(message)
	for _, mark := range skipMarks {
		if strings.Contains(lower, mark) {
			return mark
		}
	}
	lines := strings.Split(strings.TrimRight(lower, " \t\r\n"), "\n")
	for i := len(lines) - 1; i > 0; i-- {
		line := strings.TrimSpace(lines[i])
		key, value, isTrailer := strings.Cut(line, ":")
		if !isTrailer {
			return "" // the trailers are over
		}
		if key == "skip-checks" && strings.TrimSpace(value) == "true" && trailers(lines[:i]) {
			return "skip-checks: true"
		}
	}
	return ""
}

// trailers tells that what follows these lines is the block of trailers: an
// empty line stands before it, or other trailers after one.
func trailers(before []string) bool {
	for i := len(before) - 1; i >= 0; i-- {
		line := strings.TrimSpace(before[i])
		if line == "" {
			return true
		}
		if !strings.Contains(line, ":") {
			return false
		}
	}
	return false
}
