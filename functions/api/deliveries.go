package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/view"
)

// registerDeliveries adds the operations on the ledger of triggers.
func (a *API) registerDeliveries(h huma.API) {
	huma.Register(h, operation(h, "listDeliveries", http.MethodGet, "/v1/deliveries", "List what came from outside, newest first"), a.listDeliveries)
	huma.Register(h, operation(h, "showDelivery", http.MethodGet, "/v1/deliveries/{id}", "Show a delivery, and why it started what it started"), a.showDelivery)
	huma.Register(h, operation(h, "replayDelivery", http.MethodPost, "/v1/deliveries/{id}/replay", "Have a delivery worked on again"), a.replayDelivery)
}

type deliveriesInput struct {
	Page
	From
	State  []string `query:"state,explode" nullable:"false" maxItems:"4" enum:"received,working,done,refused" doc:"Only in one of these states."`
	Source string   `query:"source" maxLength:"64" doc:"Only those of this forge; or cloudevent, schedule."`
}

type deliveriesOutput struct {
	Body client.DeliveryList
}

type deliveryInput struct {
	ID string `path:"id" maxLength:"64"`
}

type deliveryOutput struct {
	Body client.Delivery
}

var errNoDoors = refuse(http.StatusServiceUnavailable, "this server has no front doors")

// listDeliveries lists deliveries from their read model.
func (a *API) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	if a.Doors == nil {
		return nil, errNoDoors
	}
	found, err := a.find(ctx, view.Deliveries, in.From, in.Page, map[string][]string{"state": in.State, "source": some(in.Source)})
	if err != nil {
		return nil, err
	}
	list, err := bodies[doors.Delivery](found.Rows)
	if err == nil {
		err = a.refresh(ctx, list)
	}
	if err != nil {
		return nil, a.fault(ctx, "list the deliveries", err)
	}
	out := &deliveriesOutput{Body: client.DeliveryList{Deliveries: make([]client.Delivery, len(list)), Next: string(found.Next)}}
	for i, d := range list {
		out.Body.Deliveries[i] = deliveryView(d)
	}
	return out, nil
}

// refresh reads those again that somebody may be working on. No event tells of a
// delivery's end: the row of one is behind where its projection failed.
func (a *API) refresh(ctx context.Context, list []doors.Delivery) error {
	var open []events.DeliveryID
	for _, d := range list {
		if !d.State.Final() {
			open = append(open, d.ID)
		}
	}
	if len(open) == 0 {
		return nil
	}
	now, err := a.Doors.Some(ctx, open...)
	if err != nil {
		return err
	}
	for i, d := range list {
		if at := slices.IndexFunc(now, func(n doors.Delivery) bool { return n.ID == d.ID }); at >= 0 {
			list[i] = now[at]
		}
	}
	return nil
}

func (a *API) showDelivery(ctx context.Context, in *deliveryInput) (*deliveryOutput, error) {
	if a.Doors == nil {
		return nil, errNoDoors
	}
	d, _, err := a.Doors.Delivery(ctx, events.DeliveryID(in.ID))
	if err != nil {
		return nil, a.deliveryFault(ctx, "look at the delivery", err)
	}
	return &deliveryOutput{Body: deliveryView(d)}, nil
}

// replayDelivery asks for another round. What the delivery started is not
// started again, for a run's id follows from the delivery and the file; what
// could not be started, or was refused, may be now. One that is under way goes on.
func (a *API) replayDelivery(ctx context.Context, in *deliveryInput) (*deliveryOutput, error) {
	if a.Doors == nil {
		return nil, errNoDoors
	}
	d, res, err := a.Doors.Replay(ctx, name, events.DeliveryID(in.ID), by(ctx))
	if err != nil {
		return nil, a.deliveryFault(ctx, "replay the delivery", err)
	}
	a.publish(ctx, res.Emitted)
	return &deliveryOutput{Body: deliveryView(d)}, nil
}

func (a *API) deliveryFault(ctx context.Context, doing string, err error) error {
	if fn.KindOf(err) == fn.NotFound {
		return refuse(http.StatusNotFound, "there is no such delivery")
	}
	return a.fault(ctx, doing, err)
}

func deliveryView(d doors.Delivery) client.Delivery {
	self := "/v1/deliveries/" + string(d.ID)
	v := client.Delivery{
		ID: string(d.ID), Source: d.Source, Sender: d.Sender, Event: d.Event, Action: d.Action,
		Repository: d.Repository, Ref: d.Ref, SHA: d.SHA, Actor: d.Actor, State: string(d.State), Reason: d.Reason,
		Received: d.Received, NotUntil: d.NotBefore, Ended: d.Ended, Round: d.Round, Tries: d.Tries,
		Repeats: d.Repeats, Altered: d.Altered, Size: d.Size,
		Links: map[string]string{"self": self, "replay": self + "/replay"},
	}
	for _, o := range d.Outcomes {
		v.Outcomes = append(v.Outcomes, client.DeliveryOutcome{File: o.File, Result: string(o.Result), Run: string(o.Run), Reason: o.Reason})
	}
	return v
}
