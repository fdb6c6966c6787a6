package client

import (
	"context"
	"net/url"
)

// Receipts are the answer to CloudEvents, in the order in which they were sent.
type Receipts struct {
	Events []Receipt `json:"events"`
}

// Receipt is what became of one CloudEvent.
type Receipt struct {
	ID     string `json:"id" doc:"Of the event."`
	Source string `json:"source"`
	Type   string `json:"type"`
	// Delivery is its id in the ledger of triggers.
	Delivery string `json:"delivery" doc:"Its id in the ledger of triggers."`
	// Duplicate: an event of that source and id came before.
	Duplicate bool `json:"duplicate,omitempty" doc:"An event of that source and id came before, and counted."`
}

// Review is an answer to a job that awaits an approval.
type Review struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Shown with the job."`
}

// Approve answers a job that awaits an approval: it has succeeded.
func (c *Client) Approve(ctx context.Context, job, reason string) (Job, error) {
	return post[Job](ctx, c, "/v1/jobs/"+url.PathEscape(job)+"/approve", Review{Reason: reason}, "")
}

// Refuse answers it the other way: it has failed.
func (c *Client) Refuse(ctx context.Context, job, reason string) (Job, error) {
	return post[Job](ctx, c, "/v1/jobs/"+url.PathEscape(job)+"/refuse", Review{Reason: reason}, "")
}
