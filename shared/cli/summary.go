package cli

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Summary is how a run went.
type Summary struct {
	Run      events.RunID
	Pipeline string
	Verdict  events.Verdict // empty: it is not over
	Reason   string
	Took     time.Duration
	Jobs     []JobSummary
}

// JobSummary is how a job went.
type JobSummary struct {
	Key      events.JobKey
	Name     string
	Result   string // the verdict, skipped, or unfinished
	Took     time.Duration
	Attempts int
	Reason   string
	Failure  *Failure // of a job that failed and whose log is known
	// Annotations are what the steps of its last attempt pointed people at.
	Annotations []events.Annotation
}

// Failure is where a job failed.
type Failure struct {
	Step  string   // its name; empty where no step is to blame
	Lines []string // its last ones, made harmless
}

// Write writes the jobs, the last lines of the steps that failed, and the
// verdict, in lines of at most cols cells; cols 0: of any length.
func (s Summary) Write(w io.Writer, cols int) error {
	_, err := io.WriteString(w, s.text(cols))
	return err
}

func (s Summary) text(cols int) string {
	text := ""
	if len(s.Jobs) > 0 {
		text = s.table(cols) + "\n"
	}
	return text + s.failures() + s.annotations() + s.Line() + "\n"
}

func (s Summary) table(cols int) string {
	rows := make([][]string, 0, len(s.Jobs))
	for _, j := range s.Jobs {
		took, attempts := "-", "-"
		if j.Took > 0 {
			took = Duration(j.Took)
		}
		if j.Attempts > 0 {
			attempts = strconv.Itoa(j.Attempts)
		}
		rows = append(rows, []string{j.Name, j.Result, took, attempts})
	}
	return table(cols, []string{"JOB", "RESULT", "TIME", "ATTEMPTS"}, rows)
}

// failures are the last lines of the steps that failed.
func (s Summary) failures() string {
	var b strings.Builder
	for _, j := range s.Jobs {
		if j.Failure == nil {
			continue
		}
		b.WriteString(oneLine(j.Name))
		if j.Failure.Step != "" && !strings.HasPrefix(j.Reason, "step ") { // the reason may name it
			fmt.Fprintf(&b, ", step %q", j.Failure.Step)
		}
		fmt.Fprintf(&b, ": %s", cmp.Or(oneLine(j.Reason), j.Result))
		if len(j.Failure.Lines) == tailLines {
			fmt.Fprintf(&b, " (the last %d lines)", tailLines)
		}
		b.WriteString("\n")
		for _, line := range j.Failure.Lines {
			b.WriteString(strings.TrimRight("    "+line, " ") + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Line is the verdict in one line.
func (s Summary) Line() string {
	text := "run"
	if s.Run != "" {
		text += " " + string(s.Run)
	}
	took := ""
	if s.Took > 0 {
		took = " after " + Duration(s.Took)
	}
	switch s.Verdict {
	case "":
		return text + " is not over"
	case events.Succeeded:
		return text + " succeeded" + took
	}
	return text + " " + ending(s.Verdict) + took + because(oneLine(s.Reason))
}

// summary is how the run went, with the lines of the steps that failed in
// colour or without.
func (r *run) summary(colour bool) Summary {
	s := Summary{Run: r.Run, Pipeline: r.Pipeline, Verdict: r.verdict, Reason: r.reason}
	if r.over {
		s.Took = r.took(r.ended)
	}
	for _, j := range r.jobs {
		n := JobSummary{Key: j.Key, Name: j.Name, Result: result(j), Attempts: j.attempt, Reason: j.reason, Annotations: j.annotations()}
		if j.phase.final() {
			n.Took = j.took(j.ended)
		}
		if j.phase == failed || j.phase == lost {
			n.Failure = j.failure(colour)
		}
		s.Jobs = append(s.Jobs, n)
	}
	return s
}

func result(j *job) string {
	switch {
	case !j.phase.final():
		return "unfinished"
	case j.phase == skipped:
		return "skipped"
	case j.verdict == "":
		return "failed"
	}
	return oneLine(string(j.verdict))
}

// failure finds the step to blame and its last lines; nil where there is
// neither.
func (j *job) failure(colour bool) *Failure {
	names, place := j.culprit()
	f := &Failure{}
	if place >= 0 {
		f.Step = oneLine(names[place])
	}
	if l, ok := j.logs[j.attempt]; ok && !l.quiet {
		for _, b := range l.tail(names, place) {
			f.Lines = append(f.Lines, shown(b, colour))
		}
	}
	if f.Step == "" && len(f.Lines) == 0 {
		return nil
	}
	return f
}
