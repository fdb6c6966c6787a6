package console

import (
	"net/http"
	"net/url"

	"github.com/relevo-ci/relevo/shared/client"
)

const deliveriesOnPage = 50

// triggersPage is the ledger of what came from outside.
type triggersPage struct {
	Rows     []deliveryRow
	Text     string
	States   []filterLink
	Filtered bool
	More     string
}

// deliveryRow is a delivery with what came of it.
type deliveryRow struct {
	client.Delivery
	Look     look
	Outcomes []outcomeRow
}

// outcomeRow is what came of a delivery for one file.
type outcomeRow struct {
	client.DeliveryOutcome
	Look look
}

var deliveryStates = []string{"", "received", "working", "done", "refused"}

// showTriggers lists deliveries.
func (c *Console) showTriggers(r *http.Request) (view, error) {
	q := r.URL.Query()
	f := client.DeliveryFilter{Origin: client.Origin{Text: q.Get("q"), Repository: q.Get("repository")}, Source: q.Get("source")}
	p := triggersPage{Text: f.Text, Filtered: q.Get("q") != "" || q.Get("state") != ""}
	state := q.Get("state")
	if state != "" {
		f.States = []string{state}
	}
	for _, s := range deliveryStates {
		word := "All"
		if s != "" {
			word = stateLook(s).Word
		}
		p.States = append(p.States, filterLink{word, address("/triggers", "state", s, "q", f.Text), s == state})
	}
	list, err := c.api.Deliveries(r.Context(), f, deliveriesOnPage, q.Get("cursor"))
	if err != nil {
		return view{}, err
	}
	for _, d := range list.Deliveries {
		p.Rows = append(p.Rows, rowOf(d))
	}
	if list.Next != "" {
		p.More = address("/triggers", "state", state, "q", f.Text, "cursor", list.Next)
	}
	return view{Page: "triggers", Title: "Triggers", Tab: "triggers", Live: "all=1", Data: p}, nil
}

// address makes a link of a path and what of the pairs is not empty.
func address(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func rowOf(d client.Delivery) deliveryRow {
	row := deliveryRow{Delivery: d, Look: stateLook(d.State)}
	for _, o := range d.Outcomes {
		l := stateLook(o.Result)
		if o.Result == "skipped" {
			l = look{"skip", "Skipped"}
		}
		row.Outcomes = append(row.Outcomes, outcomeRow{o, l})
	}
	return row
}

// showTrigger shows a delivery and why it started what it started.
func (c *Console) showTrigger(r *http.Request) (view, error) {
	d, err := c.api.Delivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	return view{Page: "trigger", Title: "Delivery " + visible(d.Event), Tab: "triggers", Live: "all=1", Data: rowOf(d)}, nil
}
