// Package client speaks to Relevo's REST interface: it submits pipelines and
// jobs, looks at them, follows logs and events across broken connections. The
// shapes of what is said stand here too; the api function answers with the
// same types.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client speaks to one server. Its fields are set before its first use; it may
// then be used by many at once.
type Client struct {
	// BaseURL is http://host:port, without a path.
	BaseURL string
	// Token is sent as a bearer token; empty: none.
	Token string
	// HTTP does the requests; nil: http.DefaultClient. It must not have a
	// Timeout: streams last.
	HTTP *http.Client
	// Pause waits between tries; nil: a real wait.
	Pause func(ctx context.Context, d time.Duration) error
}

// New makes the client of a server at http://…, https://… or unix:///path.
func New(address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("client: address: %w", err)
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", u.Path)
			},
			IdleConnTimeout: time.Minute,
		}
		return &Client{BaseURL: "http://localhost", Token: token, HTTP: &http.Client{Transport: transport}}, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return &Client{BaseURL: strings.TrimSuffix(address, "/"), Token: token}, nil
	}
	return nil, fmt.Errorf("client: address %q is none of http://…, https://…, unix:///path", address)
}

const (
	// tries is how often a request is made that may pass later.
	tries = 4
	// mostAnswer bounds an answer that is no stream.
	mostAnswer = 64 << 20
)

// Submit asks for a run. It repeats what may have been lost on its way: with
// the same key there is one run. An empty key stands for a random one.
func (c *Client) Submit(ctx context.Context, s Submission, key string) (Accepted, error) {
	return post[Accepted](ctx, c, "/v1/pipelines", s, key)
}

// SubmitJob asks for a run of a single job; as Submit.
func (c *Client) SubmitJob(ctx context.Context, s JobSubmission, key string) (Accepted, error) {
	return post[Accepted](ctx, c, "/v1/jobs", s, key)
}

// Run looks at a run.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return get[Run](ctx, c, "/v1/pipelines/"+url.PathEscape(id))
}

// Submission gives what to submit to run a run's file once more, with changes:
// ErrNotFound where its text is not kept.
func (c *Client) Submission(ctx context.Context, id string) (Submission, error) {
	return get[Submission](ctx, c, "/v1/pipelines/"+url.PathEscape(id)+"/submission")
}

// Job looks at a job.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	return get[Job](ctx, c, "/v1/jobs/"+url.PathEscape(id))
}

// CancelRun cancels a run: after it returned, no success of it counts. One that
// is cancelled stays so; one that ended otherwise is ErrConflict.
func (c *Client) CancelRun(ctx context.Context, id, reason string) (Run, error) {
	return post[Run](ctx, c, "/v1/pipelines/"+url.PathEscape(id)+"/cancel", Cancellation{Reason: reason}, "")
}

// RetryRun runs a run that is over once more, as a run of its own. It repeats
// what may have been lost on its way: with the same key there is one.
func (c *Client) RetryRun(ctx context.Context, id, key string) (Accepted, error) {
	return post[Accepted](ctx, c, "/v1/pipelines/"+url.PathEscape(id)+"/retry", nil, key)
}

// RetryFailed runs once more what failed of a run that is over, and what needs
// that; the rest is carried over. As RetryRun; ErrConflict where nothing failed.
func (c *Client) RetryFailed(ctx context.Context, id, key string) (Accepted, error) {
	return post[Accepted](ctx, c, "/v1/pipelines/"+url.PathEscape(id)+"/retry?failed=true", nil, key)
}

// CancelJob cancels a job; as CancelRun.
func (c *Client) CancelJob(ctx context.Context, id, reason string) (Job, error) {
	return post[Job](ctx, c, "/v1/jobs/"+url.PathEscape(id)+"/cancel", Cancellation{Reason: reason}, "")
}

// Explain tells why a run stands where it stands.
func (c *Client) Explain(ctx context.Context, id string) (Explanation, error) {
	return get[Explanation](ctx, c, "/v1/pipelines/"+url.PathEscape(id)+"/explain")
}

// Nodes looks at all capacity.
func (c *Client) Nodes(ctx context.Context) (NodeList, error) {
	return get[NodeList](ctx, c, "/v1/nodes")
}

// Queue looks at all that waits for capacity.
func (c *Client) Queue(ctx context.Context) (Queue, error) {
	return get[Queue](ctx, c, "/v1/queue")
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return retried[T](ctx, c, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+path, nil)
	})
}

func post[T any](ctx context.Context, c *Client, path string, body any, key string) (T, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, fmt.Errorf("client: encode request: %w", err)
	}
	if key == "" {
		key = rand.Text()
	}
	return retried[T](ctx, c, func() (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BaseURL+path, bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		return r, nil
	})
}

// retried makes a request until it is answered, at most tries times.
func retried[T any](ctx context.Context, c *Client, request func() (*http.Request, error)) (answer T, err error) {
	for try := 1; ; try++ {
		var r *http.Request
		if r, err = request(); err != nil {
			return answer, fmt.Errorf("client: make request: %w", err)
		}
		if err = c.ask(r, &answer); err == nil || !passing(err) || try == tries {
			return answer, err
		}
		if c.pause(ctx, time.Duration(try*try)*100*time.Millisecond) != nil {
			return answer, err
		}
	}
}

// ask does one request and decodes its answer.
func (c *Client) ask(r *http.Request, into any) error {
	res, err := c.do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, mostAnswer)).Decode(into); err != nil {
		return &brokenError{fmt.Errorf("client: read answer of %s: %w", r.URL.Path, err)}
	}
	return nil
}

// do sends a request; an answer that is an error comes back as a *Problem.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	hc := c.HTTP
	if hc == nil {
		hc = http.DefaultClient
	}
	res, err := hc.Do(r)
	if err != nil {
		return nil, &brokenError{fmt.Errorf("client: %w", err)}
	}
	if res.StatusCode < 400 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, problemOf(res)
}

// problemOf reads an error; one that is no problem+json (of a proxy, say) keeps
// its status.
func problemOf(res *http.Response) *Problem {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		if json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(p) != nil {
			p = &Problem{}
		}
	}
	p.Status = res.StatusCode
	if p.Title == "" {
		p.Title = res.Status
	}
	return p
}

// brokenError is a request, or its answer, that was lost on its way.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

// passing tells whether the same request may go better later.
func passing(err error) bool {
	var broken *brokenError
	if errors.As(err, &broken) {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return errors.Is(err, ErrUnavailable)
}

func (c *Client) pause(ctx context.Context, d time.Duration) error {
	if c.Pause != nil {
		return c.Pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
