package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// ran is an api with so many jobs, a minute after one another, that took half a minute
// each, one a page less than asked for. It counts what it is asked.
func ran(jobs int, asked *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		since, _ := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since"))
		list := client.JobList{}
		for n := from; n < jobs && len(list.Jobs) < limit-1; n++ {
			at := noon.Add(-time.Duration(n) * time.Minute)
			if at.Before(since) {
				jobs = n
				break
			}
			list.Jobs = append(list.Jobs, client.JobSummary{ID: fmt.Sprint("R.j", n), State: "SUCCEEDED", Pool: "p", Node: "n", Requested: at, Started: at, Ended: at.Add(30 * time.Second)})
		}
		if from+len(list.Jobs) < jobs {
			list.Next = strconv.Itoa(from + len(list.Jobs))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
}

// TestLookBack: what was asked for is paged through, as far as is bearable; where that
// is not all, it is said.
func TestLookBack(t *testing.T) {
	for _, c := range []struct {
		jobs    int
		long    time.Duration
		stays   int
		asked   int
		cut     bool
		columns bool
	}{
		{100, 0, 61, 1, false, false},
		{10, 6 * time.Hour, 10, 1, false, false},
		{100_000, time.Hour, 61, 1, false, false},
		{100_000, 24 * time.Hour, 1441, 4, false, true},
		{100_000, 100 * time.Hour, 3493, 7, true, true},
	} {
		asked := 0
		console := &Console{API: ran(c.jobs, &asked), Now: func() time.Time { return noon.Add(30 * time.Second) }}
		New(console)
		p := console.lookBack(t.Context(), c.long)
		node := client.Node{ID: "n"}
		rows, busy := p.of(node, "p")
		if n := len(p.stays["p/n"]); n != c.stays || asked != c.asked || p.Cut.IsZero() == c.cut || (len(busy) > 0) != c.columns || len(rows) > 0 == c.columns {
			t.Errorf("%d jobs, %v: %d stays after %d requests, cut at %v, %d lanes, %d columns", c.jobs, c.long, n, asked, p.Cut, len(rows), len(busy))
		}
	}
}

// TestColumns: they say how many jobs ran at a time.
func TestColumns(t *testing.T) {
	p := past{from: noon.Add(-96 * time.Minute), until: noon}
	var jobs []client.JobSummary
	for range 3 {
		jobs = append(jobs, client.JobSummary{Pool: "p", Node: events.NodeID("n"), Started: noon.Add(-2 * time.Minute), Ended: noon.Add(-30 * time.Second)})
	}
	busy := p.columns(p.place(jobs)["p/n"], 6)
	if len(busy) != 2 || busy[0].Says != "11:58 to 11:59: 3.0 jobs on average" || busy[1].Says != "11:59 to 12:00: 1.5 jobs on average" || busy[0].Height != columnsHigh/2 || busy[1].Height != columnsHigh/4 {
		t.Errorf("%+v", busy)
	}
}
