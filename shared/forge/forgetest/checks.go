package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Check is a check run, as GitHub keeps it.
type Check struct {
	ID                          int
	Name, SHA, ExternalID, Link string
	Status, Conclusion          string
	Title, Summary, Text        string
	Annotations                 []Annotation
	// Heard are the states that it was given, change by change, even where one was
	// the same as before.
	Heard []string
}

// Annotation of a check run.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column"`
	EndColumn   int    `json:"end_column"`
	Level       string `json:"annotation_level"`
	Title       string `json:"title"`
	Message     string `json:"message"`
}

// Checks are the check runs of a commit, in the order in which they were made.
func (s *Server) Checks(repository, sha string) []Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Check
	for _, c := range s.repos[repository].checks {
		if c.SHA == sha {
			one := *c
			one.Annotations, one.Heard = slices.Clone(c.Annotations), slices.Clone(c.Heard)
			all = append(all, one)
		}
	}
	return all
}

// state is what a check run says in one word.
func (c *Check) state() string {
	if c.Status == "completed" {
		return c.Conclusion
	}
	return c.Status
}

type checkRequest struct {
	Name       string `json:"name"`
	SHA        string `json:"head_sha"`
	ExternalID string `json:"external_id"`
	Link       string `json:"details_url"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	Output     *struct {
		Title       string       `json:"title"`
		Summary     string       `json:"summary"`
		Text        string       `json:"text"`
		Annotations []Annotation `json:"annotations"`
	} `json:"output"`
}

// wrong is what GitHub finds wrong with a request; empty where nothing is.
func (in checkRequest) wrong() string {
	conclusions := []string{"success", "failure", "neutral", "cancelled", "timed_out", "skipped", "action_required", ""}
	switch {
	case !slices.Contains([]string{"queued", "in_progress", "completed", ""}, in.Status):
		return "status is not a member of the enumeration"
	case !slices.Contains(conclusions, in.Conclusion):
		return "conclusion is not a member of the enumeration"
	case in.Status == "completed" && in.Conclusion == "":
		return "conclusion is required where status is completed"
	case in.Status != "completed" && in.Conclusion != "":
		return "conclusion without completed"
	case in.Output == nil:
		return ""
	case in.Output.Title == "" || in.Output.Summary == "":
		return "output needs a title and a summary"
	case len(in.Output.Summary) > 65535 || len(in.Output.Text) > 65535:
		return "output is too long"
	case len(in.Output.Annotations) > 50:
		return "annotations: no more than 50 items are allowed"
	}
	for _, a := range in.Output.Annotations {
		columns := a.StartColumn > 0 || a.EndColumn > 0
		if a.Path == "" || strings.ContainsRune(a.Path, 0) || a.StartLine < 1 || a.EndLine < a.StartLine || a.Message == "" || columns && a.StartLine != a.EndLine ||
			!slices.Contains([]string{"notice", "warning", "failure"}, a.Level) {
			return fmt.Sprintf("annotations: %+v", a)
		}
	}
	return ""
}

// checkRuns answers check-runs, check-runs/{id} and commits/{sha}/check-runs.
func (r *repository) checkRuns(q request, rest string) answer {
	switch {
	case q.path[3] == "commits":
		return r.listChecks(q, strings.TrimSuffix(rest, "/check-runs"))
	case q.method == http.MethodPost && rest == "":
		var in checkRequest
		if !q.bind(&in) || in.Name == "" || in.wrong() != "" {
			return said(http.StatusUnprocessableEntity, "Invalid request. "+in.wrong())
		}
		if r.commit(in.SHA) != in.SHA {
			return said(http.StatusUnprocessableEntity, "No commit found for SHA: "+in.SHA)
		}
		c := &Check{ID: 1000*r.id + len(r.checks), Name: in.Name, SHA: in.SHA, Status: "queued"}
		r.checks = append(r.checks, c)
		r.apply(c, in)
		return answer{status: http.StatusCreated, body: r.server.checkBody(c)}
	case q.method == http.MethodPatch:
		i := slices.IndexFunc(r.checks, func(c *Check) bool { return strconv.Itoa(c.ID) == rest })
		var in checkRequest
		switch {
		case i < 0:
			return missing
		case !q.bind(&in) || in.wrong() != "":
			return said(http.StatusUnprocessableEntity, "Invalid request. "+in.wrong())
		}
		r.apply(r.checks[i], in)
		return found(r.server.checkBody(r.checks[i]))
	}
	return missing
}

// apply changes a check run: annotations are added to those that it has.
func (r *repository) apply(c *Check, in checkRequest) {
	before := c.state()
	if in.ExternalID != "" {
		c.ExternalID = in.ExternalID
	}
	if in.Link != "" {
		c.Link = in.Link
	}
	if in.Status != "" {
		c.Status, c.Conclusion = in.Status, in.Conclusion
	}
	if in.Output != nil {
		c.Title, c.Summary, c.Text = in.Output.Title, in.Output.Summary, in.Output.Text
		c.Annotations = append(c.Annotations, in.Output.Annotations...)
	}
	c.Heard = append(c.Heard, c.state())
	if len(c.Heard) == 1 || before != c.state() {
		r.tell(c.SHA, Told{c.Name, c.state(), c.Title, c.Link})
	}
}

func (r *repository) listChecks(q request, sha string) answer {
	if r.commit(sha) == "" {
		return said(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	list := []object{}
	for _, c := range slices.Backward(r.checks) {
		if c.SHA == r.commit(sha) && (q.query.Get("check_name") == "" || q.query.Get("check_name") == c.Name) {
			list = append(list, r.server.checkBody(c))
		}
	}
	if q.query.Get("filter") != "all" && len(list) > 1 {
		list = list[:1]
	}
	return found(object{"total_count": len(list), "check_runs": list})
}

func (s *Server) checkBody(c *Check) object {
	app := 0
	if s.app != nil {
		app, _ = strconv.Atoi(s.app.ID)
	}
	var conclusion any
	if c.Conclusion != "" {
		conclusion = c.Conclusion
	}
	return object{
		"id": c.ID, "name": c.Name, "head_sha": c.SHA, "external_id": c.ExternalID, "details_url": c.Link, "status": c.Status, "conclusion": conclusion,
		"output": object{"title": c.Title, "summary": c.Summary, "text": c.Text, "annotations_count": len(c.Annotations)},
		"app":    object{"id": app, "client_id": "Iv1.fake"},
	}
}
