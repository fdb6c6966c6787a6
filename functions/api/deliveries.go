package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
)

// registerDeliveries adds the operations on the ledger of triggers.
func (a *API) registerDeliveries(h huma.API) {
	huma.Register(h, operation(h, "listDeliveries", http.MethodGet, "/v1/deliveries", "List what came from outside, newest first"), a.listDeliveries)
	huma.Register(h, operation(h, "showDelivery", http.MethodGet, "/v1/deliveries/{id}", "Show a delivery, and why it started what it started"), a.showDelivery)
	huma.Register(h, operation(h, "replayDelivery", http.MethodPost, "/v1/deliveries/{id}/replay", "Have a delivery worked on again"), a.replayDelivery)
}

type deliveriesInput struct {
	Limit      int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Deliveries on a page."`
	Cursor     string `query:"cursor" maxLength:"128" doc:"Next of the page before."`
	Source     string `query:"source" maxLength:"64" doc:"Only those of this forge; or cloudevent, schedule."`
	Repository string `query:"repository" maxLength:"512" doc:"Only those of this repository, owner/name."`
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

var (
	errNoDoors     = refuse(http.StatusServiceUnavailable, "this server has no front doors")
	deliveryCursor = regexp.MustCompile(`^[0-9]{13}/[0-9A-Za-z_-]{1,100}$`)
)

// mostLooked is how many deliveries are looked through at a time for those that
// are wanted.
const mostLooked = 500

// listDeliveries fills a page from as many of the ledger's as it takes.
func (a *API) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	if a.Doors == nil {
		return nil, errNoDoors
	}
	if in.Cursor != "" && !deliveryCursor.MatchString(in.Cursor) {
		return nil, located("query.cursor", "this is no cursor of a page")
	}
	out := &deliveriesOutput{Body: client.DeliveryList{Deliveries: []client.Delivery{}}}
	wanted := func(d doors.Delivery) bool {
		return (in.Source == "" || in.Source == d.Source) && (in.Repository == "" || in.Repository == d.Repository)
	}
	chunk := in.Limit
	if in.Source != "" || in.Repository != "" {
		chunk = mostLooked
	}
	for cursor := in.Cursor; ; {
		list, next, err := a.Doors.Deliveries(ctx, cursor, chunk)
		if err != nil {
			return nil, a.fault(ctx, "list the deliveries", err)
		}
		for _, d := range list {
			if !wanted(d) {
				continue
			}
			if len(out.Body.Deliveries) == in.Limit {
				last := out.Body.Deliveries[in.Limit-1]
				out.Body.Next = fmt.Sprintf("%013d/%s", last.Received.UnixMilli(), last.ID)
				return out, nil
			}
			out.Body.Deliveries = append(out.Body.Deliveries, deliveryView(d))
		}
		if cursor = next; cursor == "" {
			return out, nil
		}
		if len(out.Body.Deliveries) == in.Limit {
			out.Body.Next = cursor
			return out, nil
		}
	}
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
	by := "local"
	if a.Token != "" {
		by = "token"
	}
	d, res, err := a.Doors.Replay(ctx, name, events.DeliveryID(in.ID), by)
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
