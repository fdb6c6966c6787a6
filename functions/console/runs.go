package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

const runsOnPage = 30

// runsPage is the list of runs.
type runsPage struct {
	Filter   client.RunFilter
	State    string // of the filter
	States   []filterLink
	Fields   []filterField
	Filters  []filterLink // in force, each with the way without it
	Runs     []runRow
	More     string // address of the next page
	Newest   string // address of the first page; empty: this is it
	Filtered bool
}

// filterField is a filter that people fill in.
type filterField struct {
	Name, Word, Value string
	Known             []string // values that there are, for choosing
}

// filterLink is one choice of a filter.
type filterLink struct {
	Word, Href string
	On         bool
}

// runRow is a run in the list.
type runRow struct {
	client.RunSummary
	Look  look
	Tally []tally
	Took  time.Duration
}

// tally is how many jobs stand one way.
type tally struct {
	Look  look
	Count int
	At    int // of its part of the bar, in thousandths
	Len   int
}

var runStates = []struct {
	word, value string
	states      []string
}{
	{"All", "", nil},
	{"Running", "running", []string{"REQUESTED", "RUNNING"}},
	{"Needs approval", needsApproval, nil},
	{"Failed", "failed", []string{"FAILED"}},
	{"Succeeded", "succeeded", []string{"SUCCEEDED"}},
	{"Cancelled", "cancelled", []string{"CANCELLED"}},
}

const needsApproval = "approval"

// runFields are the filters beside text and state. Those after the first five are
// set by links alone.
var runFields = []struct {
	name, word string
	of         func(client.RunSummary) string
}{
	{"repository", "Repository", func(r client.RunSummary) string { return r.Repo }},
	{"branch", "Branch", func(r client.RunSummary) string { return cmp.Or(r.Branch, r.Ref) }},
	{"pipeline", "Pipeline", func(r client.RunSummary) string { return r.Pipeline }},
	{"actor", "Triggered by", func(r client.RunSummary) string { return r.Actor }},
	{"event", "Event", func(r client.RunSummary) string { return r.Event }},
	{"project", "Project", nil},
	{"sha", "Commit", nil},
}

// runFilter reads the filter of an address.
func runFilter(q url.Values) client.RunFilter {
	f := client.RunFilter{Pipeline: q.Get("pipeline")}
	f.Origin = client.Origin{
		Project: q.Get("project"), Repository: q.Get("repository"), Branch: q.Get("branch"), Actor: q.Get("actor"),
		SHA: q.Get("sha"), Event: q.Get("event"), Text: strings.TrimSpace(q.Get("q")),
	}
	for _, s := range runStates {
		if s.value == q.Get("state") {
			f.States = s.states
		}
	}
	if q.Get("state") == needsApproval {
		f.Awaits = needsApproval
	}
	return f
}

// showRuns lists runs.
func (c *Console) showRuns(r *http.Request) (view, error) {
	q := r.URL.Query()
	p := runsPage{Filter: runFilter(q), State: q.Get("state")}
	for _, s := range runStates {
		p.States = append(p.States, filterLink{s.word, with(q, "state", s.value), p.State == s.value})
	}
	for _, field := range runFields {
		if v := q.Get(field.name); v != "" {
			p.Filters = append(p.Filters, filterLink{Word: field.word + ": " + refName(v), Href: with(q, field.name, "")})
		}
	}
	if p.Filter.Text != "" {
		p.Filters = append(p.Filters, filterLink{Word: "Search: " + p.Filter.Text, Href: with(q, "q", "")})
	}
	if q.Get("cursor") != "" {
		p.Newest = with(q, "cursor", "")
	}
	p.Filtered = len(p.Filters) > 0 || p.State != ""
	list, err := c.api.Runs(r.Context(), p.Filter, runsOnPage, q.Get("cursor"))
	if err != nil {
		return view{}, err
	}
	for _, s := range list.Runs {
		p.Runs = append(p.Runs, runRow{RunSummary: s, Look: summaryLook(s), Tally: tallies(s.Counts), Took: c.took(s)})
	}
	if list.Next != "" {
		p.More = with(q, "cursor", list.Next)
	}
	p.Fields = fields(q, list.Runs)
	return view{Page: "runs", Title: "Runs", Tab: "runs", Live: "context=pipeline", Data: p}, nil
}

// fields are the filters to fill in, with the values that the page shows to choose
// from.
func fields(q url.Values, runs []client.RunSummary) []filterField {
	var out []filterField
	for _, field := range runFields {
		f := filterField{Name: field.name, Word: field.word, Value: q.Get(field.name)}
		if field.of == nil {
			if f.Value != "" {
				out = append(out, f)
			}
			continue
		}
		for _, r := range runs {
			if v := field.of(r); v != "" && !slices.Contains(f.Known, v) {
				f.Known = append(f.Known, v)
			}
		}
		out = append(out, f)
	}
	return out
}

// tidied leads a filter with empty fields, as forms send them, to its short
// address.
func tidied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, v := range r.URL.Query() {
			if len(v) > 0 && strings.TrimSpace(v[0]) == "" {
				http.Redirect(w, r, with(r.URL.Query(), "cursor", r.URL.Query().Get("cursor")), http.StatusSeeOther)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// with gives the address of the list with one filter changed, from its first
// page on.
func with(q url.Values, field, value string) string {
	next := url.Values{}
	for k, v := range q {
		if k != "cursor" && k != field && len(v) > 0 && strings.TrimSpace(v[0]) != "" {
			next.Set(k, strings.TrimSpace(v[0]))
		}
	}
	if value != "" {
		next.Set(field, value)
	}
	if len(next) == 0 {
		return "/"
	}
	return "/?" + next.Encode()
}

// summaryLook is how a run stands: one that waits for a person says so.
func summaryLook(r client.RunSummary) look {
	if r.Approvals > 0 {
		return stateLook("APPROVAL")
	}
	return verdictLook(r.State, r.Verdict)
}

// tallies are a run's jobs in small: a part of a bar for each state.
func tallies(counts map[string]int) []tally {
	all := 0
	for _, n := range counts {
		all += n
	}
	var out []tally
	at := 0
	for _, state := range []string{"SUCCEEDED", "SKIPPED", "FAILED", "TERMINATED", "CANCELLED", "RUNNING", "SCHEDULED", "PENDING", "WAITING"} {
		if n := counts[state]; n > 0 {
			length := n * 1000 / all
			out = append(out, tally{Look: stateLook(state), Count: n, At: at, Len: length})
			at += length
		}
	}
	return out
}

// Of is what the run is of, in a line.
func (r runRow) Of() string { return cmp.Or(r.Repo, r.Project) }

// Jobs says in words what the bar shows.
func (r runRow) Jobs() string {
	var parts []string
	for _, t := range r.Tally {
		parts = append(parts, plural(t.Count, "job ", "jobs ")+strings.ToLower(t.Look.Word))
	}
	return strings.Join(parts, ", ")
}

// Branched is where the runs of the same branch are.
func (r runRow) Branched() string { return address("/", "branch", cmp.Or(r.Branch, r.Ref)) }

// By is where the runs of the same person are.
func (r runRow) By() string { return address("/", "actor", r.Actor) }

// From is the branch, or the ref, that the run is of.
func (r runRow) From() string { return cmp.Or(refName(r.Branch), refName(r.Ref)) }
