package runrequestedcdevents

import (
	"context"
	"net/url"
	"strconv"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/cdevents"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

type changeContent struct {
	Description string    `json:"description,omitempty"`
	Repository  reference `json:"repository"`
}

// changeVersions are those of the kinds of events told of changes.
var changeVersions = map[events.Change]string{
	events.ChangeCreated: "0.3.0", events.ChangeUpdated: version, events.ChangeMerged: version, events.ChangeAbandoned: version,
}

// changeID is derived from the delivery that told of the change: one tells of
// one at most.
func changeID(d events.DeliveryID) string { return cdevents.ID("delivery/"+string(d), "change") }

// tellChange tells of a pull or merge request, once for each delivery.
func (b bridge) tellChange(ctx context.Context, e events.Envelope) ([]events.Envelope, error) {
	ev, err := events.Decode[events.ChangeReceived](e)
	if err != nil {
		return nil, err
	}
	d := ev.Data
	content := changeContent{Repository: reference{ID: d.Repository}}
	if u, err := url.Parse(d.Link); err == nil && u.Host != "" {
		content.Repository.Source = u.String()
	}
	if d.Change == events.ChangeCreated {
		content.Description = d.Title
	}
	written, err := cdevents.Event{
		Source: b.source, Subject: d.Forge + "/" + d.Repository + "/" + strconv.Itoa(d.Number), Type: "change",
		Predicate: string(d.Change), Version: changeVersions[d.Change], Content: content, At: e.Time, Chain: string(d.Delivery), ID: changeID(d.Delivery),
	}.Write()
	if err != nil || changeVersions[d.Change] == "" {
		return nil, fn.Faultf(fn.Invalid, "%s: a change that was %q cannot be told (%v)", name, d.Change, err)
	}
	written.CauseID, written.PartitionKey = e.ID, string(d.Delivery)
	written.Traceparent, written.Tracestate = e.Traceparent, e.Tracestate
	res, err := b.front.Tell(ctx, name, e, d.Subject(), "", true, []state.News{{Key: "change", Event: written}})
	return res.Emitted, err
}

// changeOf is the event that a run came of, where it came of a pull request's.
func (b bridge) changeOf(ctx context.Context, t events.Trigger) (string, error) {
	if t.PullRequest == 0 || t.Delivery == "" {
		return "", nil
	}
	d, _, err := b.front.Delivery(ctx, t.Delivery)
	switch {
	case err != nil && fn.KindOf(err) == fn.NotFound:
		return "", nil // there was no room for it any more
	case err != nil || d.Change == "":
		return "", err
	}
	return changeID(t.Delivery), nil
}
