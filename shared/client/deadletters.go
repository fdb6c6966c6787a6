package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// DeadLetter is an event that one destination did not take.
type DeadLetter struct {
	ID          string          `json:"id"`
	Event       string          `json:"event" doc:"The event's id."`
	Source      string          `json:"source"`
	Type        events.Type     `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Run         string          `json:"run,omitempty"`
	Destination string          `json:"destination,omitempty" doc:"Address or name of what did not take it."`
	Code        int             `json:"code,omitempty" doc:"The HTTP status that it answered with."`
	Reason      string          `json:"reason,omitempty" doc:"What it said, or why it could not be asked."`
	First       time.Time       `json:"first" doc:"When it became a dead letter."`
	Last        time.Time       `json:"last" doc:"When it last did."`
	Count       int             `json:"count" doc:"How often it did."`
	Replayed    *time.Time      `json:"replayed,omitempty" doc:"When it was sent again; absent where it is yet to be, or failed again since."`
	Whole       json.RawMessage `json:"whole,omitempty" doc:"The event as structured JSON, where one letter was asked for."`
}

// DeadLetters are the newest of them.
type DeadLetters struct {
	Letters []DeadLetter `json:"letters"`
	Kept    int          `json:"kept" doc:"How many there are in all."`
	Dropped int          `json:"dropped" doc:"How many had to go for lack of room."`
}

// DeadLetters lists up to limit, newest first.
func (c *Client) DeadLetters(ctx context.Context, limit int) (DeadLetters, error) {
	return get[DeadLetters](ctx, c, "/v1/deadletters?"+url.Values{"limit": {strconv.Itoa(limit)}}.Encode())
}

// DeadLetter looks at one, with its event.
func (c *Client) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	return get[DeadLetter](ctx, c, "/v1/deadletters/"+url.PathEscape(id))
}

// ReplayDeadLetter sends its event again, unless that was done; ErrConflict
// where it failed again.
func (c *Client) ReplayDeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	return post[DeadLetter](ctx, c, "/v1/deadletters/"+url.PathEscape(id)+"/replay", nil, "")
}

// DiscardDeadLetter drops one for good.
func (c *Client) DiscardDeadLetter(ctx context.Context, id string) error {
	_, err := retried[struct{}](ctx, c, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodDelete, c.BaseURL+"/v1/deadletters/"+url.PathEscape(id), nil)
	})
	return err
}
