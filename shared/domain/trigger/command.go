package trigger

import "strings"

// Command is one that somebody wrote in a comment.
type Command struct {
	Verb Verb
	// Name of the one pipeline that is meant; empty: all.
	Name string
}

// Verb of a command.
type Verb string

// The commands of comments.
const (
	Test   Verb = "test"       // start the pipelines of the pull request, or one
	Retest Verb = "retest"     // those again that failed
	OKTest Verb = "ok-to-test" // approve the head as it is now, and start
	Stop   Verb = "cancel"     // end what runs for the pull request
)

// Commands finds the commands in a comment: each stands on a line of its own.
// What stands in a block of code, a quotation or an HTML comment is none.
func Commands(body string) []Command {
	var found []Command
	fence, hidden := "", false
	for line := range strings.SplitSeq(strings.ReplaceAll(body, "\r\n", "\n"), "\n") {
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		text := strings.TrimSpace(line)
		switch {
		case hidden:
			hidden = !strings.Contains(text, "-->")
		case fence != "":
			if strings.HasPrefix(text, fence) && strings.Trim(text, fence[:1]) == "" {
				fence = ""
			}
		case fenceOf(text) != "":
			fence = fenceOf(text)
		case strings.HasPrefix(text, "<!--"):
			hidden = !strings.Contains(text, "-->")
		case indent > 3 || strings.Contains(line[:indent], "\t"):
			// a block of code
		default:
			if c, ok := commandOf(text); ok {
				found = append(found, c)
			}
		}
	}
	return found
}

// fenceOf is what opens a block of code: three or more of ` or ~.
func fenceOf(line string) string {
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(line, mark)
		if n := len(line) - len(rest); n >= 3 && (mark == "~" || !strings.Contains(rest, mark)) {
			return line[:n]
		}
	}
	return ""
}

func commandOf(line string) (Command, bool) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch verb := Verb(strings.ToLower(strings.TrimPrefix(word, "/"))); {
	case !strings.HasPrefix(word, "/"):
	case verb == Test:
		return Command{verb, rest}, true
	case rest == "" && (verb == Retest || verb == OKTest || verb == Stop):
		return Command{verb, ""}, true
	}
	return Command{}, false
}

// Ordered gives the commands of a happening: of a comment that was just made on
// an open pull request. Edited comments order nothing: the forge does not say
// who edited what.
func Ordered(h Happening) []Command {
	if h.Comment == nil || !h.Comment.OnPull || h.Action != "created" {
		return nil
	}
	return Commands(h.Comment.Body)
}
