package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/client"
)

// mayRun is the permission to run pipelines.
const mayRun = "run"

// newRun is the page that a pipeline is run from.
type newRun struct {
	From, FromName string // the run that it was taken from
	File, Project, Repository, Ref, SHA,
	Event, Inputs, Payload, Source, Once string
	More     bool // what is seldom needed is shown
	Lost     bool // the file of that run is not kept
	Projects []string
	Lines    []int
	Wrong    map[int]bool // lines
	Fault    string
	Faults   []fileFault
}

// fileFault is something that is wrong with what was sent.
type fileFault struct {
	client.Detail
	Code  string // the line
	Caret string // what puts a mark below its column
}

const firstFile = `name: Hello
jobs:
  hello:
    steps:
      - run: echo "hello, Relevo"
`

// showNewRun shows the form, empty or filled in as a run was.
func (c *Console) showNewRun(r *http.Request) (view, error) {
	me, err := c.api.Me(r.Context())
	if err != nil {
		return view{}, err
	}
	if !may(&me, mayRun) {
		return view{}, &client.Problem{Status: http.StatusForbidden, Title: "Not allowed", Detail: "Your role does not let you run pipelines."}
	}
	p := newRun{File: ".relevo/hello.yaml", Source: firstFile, Event: "workflow_dispatch", Once: once()}
	for _, role := range me.Roles {
		if !strings.HasSuffix(role.Project, "*") {
			p.Project = cmp.Or(p.Project, role.Project)
		}
	}
	if from := r.URL.Query().Get("from"); from != "" {
		if err := c.takeFrom(r.Context(), from, &p); err != nil {
			return view{}, err
		}
	}
	return c.newRunView(&p, me), nil
}

// newRunView completes what the form shows.
func (c *Console) newRunView(p *newRun, me client.Me) view {
	for _, role := range me.Roles {
		if !strings.HasSuffix(role.Project, "*") && !slices.Contains(p.Projects, role.Project) {
			p.Projects = append(p.Projects, role.Project)
		}
	}
	for n := range strings.Count(p.Source, "\n") + 1 {
		p.Lines = append(p.Lines, n+1)
	}
	return view{Page: "new", Title: "Run a pipeline", Tab: "runs", Data: p}
}

// takeFrom fills the form in as a run was submitted.
func (c *Console) takeFrom(ctx context.Context, id string, p *newRun) error {
	run, err := c.api.Run(ctx, id)
	if err != nil {
		return err
	}
	p.From, p.FromName = id, cmp.Or(run.Pipeline, short(id))
	sub, err := c.api.Submission(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		p.Lost, p.Source = true, ""
		p.File, p.Project, p.Repository, p.Ref, p.SHA, p.Event = run.File, run.Project, run.Repo, run.Ref, run.SHA, run.Event
		return nil
	}
	if err != nil {
		return err
	}
	p.File, p.Project, p.Source = sub.File, sub.Project, sub.Source
	if t := sub.Trigger; t != nil {
		p.Event, p.Repository, p.Ref, p.SHA = t.Event, t.Repository, t.Ref, t.SHA
		p.Inputs = inputLines(t.Inputs)
		if len(t.Payload) > 0 {
			p.Payload = indented(t.Payload)
		}
	}
	return nil
}

// inputLines writes inputs, one a line.
func inputLines(inputs map[string]any) string {
	var b strings.Builder
	names := make([]string, 0, len(inputs))
	for n := range inputs {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		text, ok := inputs[n].(string)
		if raw, err := json.Marshal(inputs[n]); err == nil && (!ok || strings.ContainsAny(text, "\r\n")) {
			text = string(raw)
		}
		fmt.Fprintf(&b, "%s: %s\n", n, text)
	}
	return b.String()
}

// readInputs reads "name: value" lines, or an object in JSON.
func readInputs(text string) (map[string]any, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	inputs := map[string]any{}
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &inputs); err != nil {
			return nil, errors.New("the inputs are no JSON object")
		}
		return inputs, nil
	}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("inputs, line %d: write name: value", i+1)
		}
		value = strings.TrimSpace(value)
		var quoted string
		if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &quoted) == nil {
			value = quoted
		}
		inputs[name] = value
	}
	return inputs, nil
}

func indented(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(raw)
	}
	return string(out)
}

// startRun submits what the form holds and leads to the run. What is wrong is
// shown beside it.
func (c *Console) startRun(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<20)
	ctx := c.proven(r)
	p := newRun{
		From: r.PostFormValue("from"), FromName: r.PostFormValue("fromname"), File: r.PostFormValue("file"), Project: strings.TrimSpace(r.PostFormValue("project")),
		Repository: strings.TrimSpace(r.PostFormValue("repository")), Ref: strings.TrimSpace(r.PostFormValue("ref")), SHA: strings.TrimSpace(r.PostFormValue("sha")),
		Event: cmp.Or(strings.TrimSpace(r.PostFormValue("event")), "workflow_dispatch"), Inputs: r.PostFormValue("inputs"), Payload: strings.TrimSpace(r.PostFormValue("payload")),
		Source: strings.ReplaceAll(r.PostFormValue("source"), "\r\n", "\n"), Once: cmp.Or(r.PostFormValue("once"), once()), Wrong: map[int]bool{},
	}
	made, err := c.submit(ctx, p)
	if err == nil {
		http.Redirect(w, r, "/runs/"+made.Run, http.StatusSeeOther)
		return
	}
	var problem *client.Problem
	if !errors.As(err, &problem) || !errors.Is(err, client.ErrInvalid) && problem.Status != http.StatusForbidden {
		c.write(w, r, c.trouble(r, err))
		return
	}
	p.blame(problem)
	me, err := c.api.Me(r.Context())
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	v := c.newRunView(&p, me)
	v.Status = problem.Status
	c.write(w, r, v)
}

// submit asks for the run. The same form sent twice asks for one, a changed one
// for another.
func (c *Console) submit(ctx context.Context, p newRun) (client.Accepted, error) {
	invalid := func(detail string) error {
		return &client.Problem{Status: http.StatusUnprocessableEntity, Title: "Unprocessable Entity", Detail: detail}
	}
	inputs, err := readInputs(p.Inputs)
	if err != nil {
		return client.Accepted{}, invalid(err.Error())
	}
	if strings.TrimSpace(p.Source) == "" {
		return client.Accepted{}, invalid("there is no pipeline yet: write or paste one")
	}
	of := client.Submission{File: p.File, Source: p.Source, Project: p.Project, Trigger: &client.Trigger{Event: p.Event, Repository: p.Repository, Ref: p.Ref, SHA: p.SHA, Inputs: inputs}}
	if p.Payload != "" {
		if !json.Valid([]byte(p.Payload)) {
			return client.Accepted{}, invalid("the event's data are no JSON")
		}
		of.Trigger.Payload = json.RawMessage(p.Payload)
	}
	raw, err := json.Marshal(of)
	if err != nil {
		return client.Accepted{}, invalid("the form cannot be sent")
	}
	sum := sha256.Sum256(raw)
	return c.api.Submit(ctx, of, p.Once+hex.EncodeToString(sum[:8]))
}

// blame puts what is wrong beside the lines that it is about.
func (p *newRun) blame(problem *client.Problem) {
	p.Fault = cmp.Or(problem.Detail, problem.Title)
	p.More = p.Payload != "" || p.Event != "workflow_dispatch"
	lines := strings.Split(p.Source, "\n")
	for i, d := range problem.Errors {
		f := fileFault{Detail: d}
		p.Wrong[d.Line] = true
		if d.Line > 0 && d.Line <= len(lines) && (i == len(problem.Errors)-1 || problem.Errors[i+1].Line != d.Line || problem.Errors[i+1].Column != d.Column) {
			f.Code = clip(strings.ReplaceAll(lines[d.Line-1], "\t", " "), mostShown)
			f.Caret = strings.Repeat(" ", min(max(d.Column-1, 0), mostShown)) + "^"
		}
		p.Faults = append(p.Faults, f)
	}
}

// may tells whether somebody may do something, somewhere.
func may(me *client.Me, what string) bool { return me != nil && slices.Contains(me.Permissions, what) }
