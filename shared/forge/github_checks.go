package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Bounds of GitHub's check runs.
const (
	annotationsMost = 50 // in a request
	outputMost      = 60_000
	titleMost       = 250
)

// The states of a check run.
const (
	queued     = "queued"
	inProgress = "in_progress"
	completed  = "completed"
)

// A checkRun is what GitHub tells of one.
type checkRun struct {
	ID         int64  `json:"id"`
	ExternalID string `json:"external_id"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	Output     struct {
		Annotations int `json:"annotations_count"`
	} `json:"output"`
	App struct {
		ID       int64  `json:"id"`
		ClientID string `json:"client_id"`
	} `json:"app"`
}

// A checkChange is what GitHub is told of one.
type checkChange struct {
	Name       string       `json:"name,omitempty"`
	SHA        string       `json:"head_sha,omitempty"`
	ExternalID string       `json:"external_id,omitempty"`
	Link       string       `json:"details_url,omitempty"`
	Status     string       `json:"status"`
	Conclusion string       `json:"conclusion,omitempty"`
	Output     *checkOutput `json:"output,omitempty"`
}

type checkOutput struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Text        string       `json:"text,omitempty"`
	Annotations []annotation `json:"annotations,omitempty"`
}

type annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column,omitempty"`
	EndColumn   int    `json:"end_column,omitempty"`
	Level       string `json:"annotation_level"`
	Title       string `json:"title,omitempty"`
	Message     string `json:"message"`
}

// check tells by a check run: one for each run of a context, which it looks for
// before it makes it, as an answer may have been lost. Annotations go before the
// end, 50 at a time; those that GitHub has are not sent again.
func (c githubCalls) check(ctx context.Context, repository, sha string, s trigger.Status) error {
	mine, older, err := c.checks(ctx, repository, sha, s)
	if err != nil {
		return err
	}
	want, notes := checkOf(s), annotationsOf(s.Annotations)
	if mine == nil {
		for _, old := range older {
			if err := c.patch(ctx, repository, old.ID, superseded(s)); err != nil {
				return err
			}
		}
		want.Name, want.SHA, want.ExternalID = s.Context, sha, string(s.Run)
		notes = want.take(notes, s.State.Final())
		mine = &checkRun{}
		err := c.ask(ctx, http.MethodPost, "repos/"+repository+"/check-runs", want, mine)
		if want.refused(err) {
			s.Annotations = without(s.Annotations)
			return c.check(ctx, repository, sha, s)
		}
		if err != nil {
			return err
		}
		if mine.ID <= 0 {
			return fmt.Errorf("the answer names no check run")
		}
		if want.Status == checkOf(s).Status {
			return nil
		}
	} else {
		notes = notes[min(mine.Output.Annotations, len(notes)):]
		if !mine.lacks(want, notes) {
			return nil
		}
	}
	for {
		next := checkOf(s)
		notes = next.take(notes, s.State.Final())
		err := c.patch(ctx, repository, mine.ID, next)
		if next.refused(err) {
			s.Annotations, notes = without(s.Annotations), nil
			continue
		}
		if err != nil {
			return err
		}
		if next.Status != inProgress || !s.State.Final() {
			return nil
		}
	}
}

// checks finds the check run of a status, and those of older runs of its context
// that did not end.
func (c githubCalls) checks(ctx context.Context, repository, sha string, s trigger.Status) (mine *checkRun, older []checkRun, err error) {
	var found struct {
		Runs []checkRun `json:"check_runs"`
	}
	path := fmt.Sprintf("repos/%s/commits/%s/check-runs?check_name=%s&filter=all&per_page=%d", repository, sha, url.QueryEscape(s.Context), pageSize)
	if err := c.ask(ctx, http.MethodGet, path, nil, &found); err != nil {
		return nil, nil, err
	}
	for i, run := range found.Runs {
		switch {
		case run.App.ClientID != c.app.id && strconv.FormatInt(run.App.ID, 10) != c.app.id:
		case run.ExternalID == string(s.Run):
			if mine == nil {
				mine = &found.Runs[i]
			}
		case run.Status != completed:
			older = append(older, run)
		}
	}
	return mine, older, nil
}

// refused tells that GitHub may not take a change for what a step points at: the
// verdict must not be lost over it.
func (c checkChange) refused(err error) bool {
	var no *answer
	return errors.As(err, &no) && no.status == http.StatusUnprocessableEntity && len(c.Output.Annotations) > 0
}

// without leaves out what points at files, and says so.
func without(all []events.Annotation) []events.Annotation {
	all = slices.DeleteFunc(slices.Clone(all), func(a events.Annotation) bool { return a.File != "" })
	return append(all, events.Annotation{Level: "notice", Message: "GitHub does not take the annotations of files: relevo get shows them"})
}

func (c githubCalls) patch(ctx context.Context, repository string, id int64, change checkChange) error {
	return c.ask(ctx, http.MethodPatch, fmt.Sprintf("repos/%s/check-runs/%d", repository, id), change, nil)
}

// lacks tells whether GitHub is to hear of a change: never of one that takes a
// check run back.
func (r *checkRun) lacks(want checkChange, notes []annotation) bool {
	order := map[string]int{queued: 0, inProgress: 1, completed: 2}
	if order[want.Status] != order[r.Status] {
		return order[want.Status] > order[r.Status]
	}
	return want.Status == completed && (want.Conclusion != r.Conclusion || len(notes) > 0)
}

// take puts as many annotations into a change as may go at once, and gives what
// is left. A check run that has not got all of them does not end yet.
func (c *checkChange) take(notes []annotation, final bool) []annotation {
	if !final {
		return nil
	}
	n := min(len(notes), annotationsMost)
	c.Output.Annotations = notes[:n]
	if n < len(notes) {
		c.Status, c.Conclusion = inProgress, ""
	}
	return notes[n:]
}

// checkOf puts a status as a check run. What is not the author's fault is
// cancelled: neutral would let a branch that demands the check take the commit.
func checkOf(s trigger.Status) checkChange {
	change := checkChange{Link: s.Link, Status: completed, Output: &checkOutput{Title: cut(cmp.Or(described(s), string(s.State)), titleMost)}}
	switch {
	case s.State == trigger.Pending && s.Running:
		change.Status = inProgress
	case s.State == trigger.Pending:
		change.Status = queued
	case s.State == trigger.Succeeded:
		change.Conclusion = "success"
	case s.Verdict == events.Timeout:
		change.Conclusion = "timed_out"
	case s.State == trigger.Failed:
		change.Conclusion = "failure"
	case s.Verdict == events.Rejected:
		change.Conclusion = "action_required"
	default:
		change.Conclusion = "cancelled"
	}
	change.Output.Summary = summaryOf(s)
	if s.State.Final() {
		change.Output.Text = textOf(s.Annotations)
	}
	return change
}

func summaryOf(s trigger.Status) string {
	text := block(cut(described(s), titleMost))
	if s.Verdict == events.Infra {
		text = "The CI system broke down. This says nothing of the commit: it is the platform's failure and not the author's. " +
			"Run it again to know more.\n\n" + text
	}
	if s.Link != "" {
		text += "\n\n[The run](" + s.Link + ")"
	}
	return strings.Trim(cmp.Or(text, string(s.State)), "\n")
}

// block shows a text as it is: in a block of code is no markup of a stranger's. A
// line ends for Markdown with \r too.
func block(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}

// textOf shows what points at no file, as it was printed.
func textOf(all []events.Annotation) string {
	var text strings.Builder
	for _, a := range all {
		if a.File != "" {
			continue
		}
		text.WriteString(block(a.Level + ": " + strings.TrimPrefix(a.Title+": ", ": ") + a.Message))
	}
	return cut(text.String(), outputMost)
}

// superseded ends the check run of an older run: what counts is the newer one's.
func superseded(s trigger.Status) checkChange {
	return checkChange{Status: completed, Conclusion: "cancelled", Output: &checkOutput{
		Title: "a newer run counts", Summary: "The run " + string(s.Run) + " was started later, and counts.",
	}}
}

// annotationsOf are those that point at a file, as GitHub takes them.
func annotationsOf(all []events.Annotation) []annotation {
	var list []annotation
	for _, a := range all {
		if a.File == "" || a.Message == "" {
			continue
		}
		out := annotation{
			Path: a.File, StartLine: max(a.Line, 1), Level: cmp.Or(map[string]string{"error": "failure", "warning": "warning"}[a.Level], "notice"),
			Title: cut(a.Title, titleMost), Message: cut(a.Message, outputMost),
		}
		out.EndLine = max(a.EndLine, out.StartLine)
		if a.Column > 0 && out.EndLine == out.StartLine { // GitHub takes columns within one line alone
			out.StartColumn, out.EndColumn = a.Column, max(a.EndColumn, a.Column)
		}
		list = append(list, out)
	}
	return list
}
