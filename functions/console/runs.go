package console

import (
	"cmp"
	"net/http"
	"net/url"
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
	Filters  []filterLink // in force, each with the way without it
	Runs     []runRow
	More     string // address of the next page
	Newer    bool   // this is not the first page
	Filtered bool
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
	word   string
	states []string
}{
	{"All", nil},
	{"Running", []string{"REQUESTED", "RUNNING"}},
	{"Failed", []string{"FAILED"}},
	{"Succeeded", []string{"SUCCEEDED"}},
	{"Cancelled", []string{"CANCELLED"}},
}

// originFields are the filters that links set, beside text and state.
var originFields = []string{"repository", "branch", "actor", "event", "pipeline", "project", "sha"}

// runFilter reads the filter of an address.
func runFilter(q url.Values) client.RunFilter {
	f := client.RunFilter{Pipeline: q.Get("pipeline")}
	f.Origin = client.Origin{
		Project: q.Get("project"), Repository: q.Get("repository"), Branch: q.Get("branch"), Actor: q.Get("actor"),
		SHA: q.Get("sha"), Event: q.Get("event"), Text: strings.TrimSpace(q.Get("q")),
	}
	for _, s := range runStates {
		if strings.EqualFold(s.word, q.Get("state")) {
			f.States = s.states
		}
	}
	return f
}

// showRuns lists runs.
func (c *Console) showRuns(r *http.Request) (view, error) {
	q := r.URL.Query()
	p := runsPage{Filter: runFilter(q), State: q.Get("state"), Newer: q.Get("cursor") != ""}
	for _, s := range runStates {
		value := strings.ToLower(s.word)
		if s.states == nil {
			value = ""
		}
		p.States = append(p.States, filterLink{s.word, with(q, "state", value), p.State == value})
	}
	for _, field := range originFields {
		if v := q.Get(field); v != "" {
			p.Filters = append(p.Filters, filterLink{Word: field + ": " + v, Href: with(q, field, "")})
		}
	}
	p.Filtered = len(p.Filters) > 0 || p.Filter.Text != "" || p.State != ""
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
	return view{Page: "runs", Title: "Runs", Tab: "runs", Live: "context=pipeline", Data: p}, nil
}

// with gives the address of the list with one filter changed, from its first
// page on.
func with(q url.Values, field, value string) string {
	next := url.Values{}
	for k, v := range q {
		if k != "cursor" && k != field && len(v) > 0 && v[0] != "" {
			next.Set(k, v[0])
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

func summaryLook(r client.RunSummary) look { return verdictLook(r.State, r.Verdict) }

// runLook is how a run stands: one that waits for a person says so.
func runLook(r client.Run) look {
	for _, j := range r.Jobs {
		if j.Approval {
			return stateLook("APPROVAL")
		}
	}
	return summaryLook(r.RunSummary)
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

// From is the branch, or the ref, that the run is of.
func (r runRow) From() string { return cmp.Or(refName(r.Branch), refName(r.Ref)) }
