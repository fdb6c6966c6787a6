// Package cli shows runs to people: as a live tree on a terminal, as plain
// lines in pipes and CI, as tables and as one line with the verdict.
//
// It is presentation alone: whoever uses it hands over events and log bytes,
// in any order and as often as they come, and gets text. Whatever a job prints
// is made harmless first: it cannot move the cursor, set a title or hide what
// others print.
package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// Plan is what is known of a run before it begins.
type Plan struct {
	Run      events.RunID // events of other runs are passed over; empty: none are
	Pipeline string
	Jobs     []Job
}

// Job is one job of a Plan.
type Job struct {
	Key   events.JobKey
	Name  string
	Needs []string // ids of jobs, each standing for all of its matrix
	Steps []string // names, as far as they are known
}

// View shows one run. Its methods may be called by many at once; after Close
// they do nothing.
type View interface {
	// Event tells what happened. It never waits for the output. Events may come
	// twice, late and before their predecessors; those of no interest are passed
	// over.
	Event(e events.Envelope)
	// Log takes the next bytes of an attempt's log, cut anywhere. It waits where
	// the output does not keep up. p is the caller's again when Log returns. The
	// output reads best when what there is of the log comes before the event
	// that speaks of it.
	Log(ref events.AttemptRef, p []byte)
	// Notice shows a line of the program's own.
	Notice(text string)
	// Close shows what is left to be shown, how the run went, and leaves the
	// terminal as it was. A second call does nothing.
	Close()
}

// Options say how a view may write.
type Options struct {
	Colour bool
	ASCII  bool // no glyphs
}

// Environment holds the variables that say what a terminal can do.
type Environment struct {
	Term    string // TERM
	NoColor string // NO_COLOR
	Locale  string // LC_ALL, else LC_CTYPE, else LANG
}

// Screen is what an output can do.
type Screen struct {
	Options
	Terminal bool // moves its cursor
	// Size tells the terminal's size in cells, 0 where it is not known.
	Size func() (cols, rows int)
}

// ScreenOf finds out what a file can do.
func ScreenOf(f *os.File, env Environment) Screen {
	s := Screen{Size: func() (cols, rows int) {
		cols, rows, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0, 0
		}
		return cols, rows
	}}
	s.Terminal = term.IsTerminal(int(f.Fd())) && env.Term != "dumb"
	s.Colour = s.Terminal && env.NoColor == ""
	locale := strings.ToLower(env.Locale)
	s.ASCII = !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
	return s
}

// New makes the view that suits the screen: a Tree on a terminal with colours,
// else a Plain.
func New(w io.Writer, s Screen, plan Plan) View {
	if s.Terminal && s.Colour {
		return NewTree(w, s.Size, plan, s.Options)
	}
	return NewPlain(w, plan, s.Options)
}

// PlanOf makes the plan of a compiled pipeline. Names with expressions are not
// known yet: a job goes by its key until its first event.
func PlanOf(run events.RunID, spec *pipeline.Spec) Plan {
	plan := Plan{Run: run, Pipeline: spec.Name}
	for i := range spec.Jobs {
		s := &spec.Jobs[i]
		j := Job{Key: s.Key, Name: string(s.Key), Needs: s.Needs}
		if name, ok := s.Name.Literal(); ok && name != "" {
			j.Name = name
		}
		for n := range s.Steps {
			j.Steps = append(j.Steps, stepName(&s.Steps[n]))
		}
		plan.Jobs = append(plan.Jobs, j)
	}
	return plan
}

// stepName is the step's name, after its script where it has none.
func stepName(s *pipeline.StepSpec) string {
	if s.Name != nil {
		name, _ := s.Name.Literal()
		return name
	}
	switch {
	case s.Uses != "":
		return "Run " + s.Uses
	case s.Emit != nil:
		return "Emit an event"
	}
	script, _ := s.Run.Literal()
	first, _, _ := strings.Cut(strings.TrimSpace(script), "\n")
	return "Run " + first
}

// ExitCode is the exit status that the last event of a run stands for: 0
// succeeded, 1 the author's doing, 3 infrastructure (and anything else than
// the end of a run), 130 cancelled.
func ExitCode(final events.Envelope) int {
	const infrastructure = 3
	switch final.Type {
	case events.TypeRunCompleted:
		return 0
	case events.TypeRunCancelled:
		return 130
	case events.TypeRunFailed:
		e, err := events.Decode[events.RunFailed](final)
		if err == nil && (e.Data.Verdict == events.Failed || e.Data.Verdict == events.Timeout) {
			return 1
		}
	}
	return infrastructure
}
