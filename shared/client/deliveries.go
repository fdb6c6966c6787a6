package client

import (
	"context"
	"net/url"
	"time"
)

// Received answers a delivery of a forge.
type Received struct {
	Delivery  string `json:"delivery,omitempty" doc:"Its id in the ledger of triggers."`
	Outcome   string `json:"outcome" doc:"What became of it so far, for people."`
	Duplicate bool   `json:"duplicate,omitempty" doc:"It was there already: nothing happens twice."`
}

// DeliveryList is a page of deliveries, newest first.
type DeliveryList struct {
	Deliveries []Delivery `json:"deliveries"`
	Next       string     `json:"next,omitempty" doc:"Cursor of the next page; empty on the last."`
}

// Delivery is something that came from outside and may start runs.
type Delivery struct {
	ID         string            `json:"id"`
	Source     string            `json:"source" example:"github" doc:"Where it came in: a forge, cloudevent, schedule."`
	Sender     string            `json:"sender,omitempty" doc:"The id that its sender gave it."`
	Event      string            `json:"event" example:"push"`
	Action     string            `json:"action,omitempty" example:"opened"`
	Repository string            `json:"repository,omitempty" doc:"owner/name"`
	Ref        string            `json:"ref,omitempty"`
	SHA        string            `json:"sha,omitempty"`
	Actor      string            `json:"actor,omitempty" doc:"Whom the forge authenticated."`
	State      string            `json:"state" enum:"received,working,done,refused"`
	Reason     string            `json:"reason,omitempty" doc:"Why nothing came of it, or why it waits."`
	Received   time.Time         `json:"received"`
	NotUntil   time.Time         `json:"notUntil,omitzero" doc:"When work on it is tried again."`
	Ended      time.Time         `json:"ended,omitzero"`
	Round      int               `json:"round" doc:"1, and one more with each replay."`
	Tries      int               `json:"tries,omitempty" doc:"How often work on this round began."`
	Repeats    int               `json:"repeats,omitempty" doc:"How often it came again, and nothing was done."`
	Altered    int               `json:"altered,omitempty" doc:"How often it came again with another body, and was refused."`
	Size       int               `json:"size" doc:"Of its body, in bytes."`
	Outcomes   []DeliveryOutcome `json:"outcomes,omitempty" doc:"One a pipeline file."`
	Links      map[string]string `json:"links"`
}

// DeliveryOutcome is what came of a delivery for one pipeline file.
type DeliveryOutcome struct {
	File   string `json:"file,omitempty"`
	Result string `json:"result" enum:"started,skipped,refused"`
	Run    string `json:"run,omitempty" doc:"That was started."`
	Reason string `json:"reason,omitempty" doc:"Why it was started or skipped; what is wrong with the file, as file:line:column."`
}

// Delivery looks at one.
func (c *Client) Delivery(ctx context.Context, id string) (Delivery, error) {
	return get[Delivery](ctx, c, "/v1/deliveries/"+url.PathEscape(id))
}

// ReplayDelivery has a delivery worked on again. What it started is not started
// again; what it did not start may be.
func (c *Client) ReplayDelivery(ctx context.Context, id string) (Delivery, error) {
	return post[Delivery](ctx, c, "/v1/deliveries/"+url.PathEscape(id)+"/replay", nil, "")
}
