package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Headers of a log.
const (
	// HeaderAttempt is the number of the attempt whose log it is.
	HeaderAttempt = "Relevo-Attempt"
	// HeaderLog says how the log stood when the answer began: LogOpen, or
	// LogClosed where it will never grow again.
	HeaderLog = "Relevo-Log"

	LogOpen   = "open"
	LogClosed = "closed"
)

// LogOptions say which log, and which part of it.
type LogOptions struct {
	Attempt int   // 0: the last one, or with Follow the first to come
	Offset  int64 // of the first byte wanted
	// Follow waits for what is yet to be written, until the log is closed.
	Follow bool
}

// Logs copies an attempt's log to w and gives the offset up to which it came.
// A connection that breaks off is taken up again where it broke.
func (c *Client) Logs(ctx context.Context, job string, o LogOptions, w io.Writer) (offset int64, err error) {
	for failed := 0; ; {
		alive, whole, err := c.logs(ctx, job, &o, w)
		if alive {
			failed = 0
		} else {
			failed++
		}
		switch {
		case err == nil && (whole || !o.Follow):
			return o.Offset, nil
		case err != nil && (!passing(err) || failed == streamTries):
			return o.Offset, err
		}
		if err := c.pause(ctx, wait(failed)); err != nil {
			return o.Offset, err
		}
	}
}

// logs does one request and moves the offset on with what it copied. It tells
// whether the server began to answer, and whether the log is whole.
func (c *Client) logs(ctx context.Context, job string, o *LogOptions, w io.Writer) (alive, whole bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+"/v1/jobs/"+url.PathEscape(job)+"/logs?"+o.query().Encode(), nil)
	if err != nil {
		return false, false, fmt.Errorf("client: make request: %w", err)
	}
	res, err := c.do(r)
	if err != nil {
		return false, false, err
	}
	defer res.Body.Close()
	if n, err := strconv.Atoi(res.Header.Get(HeaderAttempt)); err == nil {
		o.Attempt = n // a retry is another log: stay with this one
	}
	out := &target{w: w}
	n, err := io.Copy(out, res.Body)
	o.Offset += n
	switch {
	case out.err != nil:
		return true, false, fmt.Errorf("client: write log: %w", out.err)
	case err != nil:
		return true, false, &brokenError{fmt.Errorf("client: read log: %w", err)}
	}
	return true, res.Header.Get(HeaderLog) == LogClosed, nil
}

func (o *LogOptions) query() url.Values {
	q := url.Values{"offset": {strconv.FormatInt(o.Offset, 10)}}
	if o.Attempt > 0 {
		q.Set("attempt", strconv.Itoa(o.Attempt))
	}
	if o.Follow {
		q.Set("follow", "true")
	}
	return q
}

// target tells a failure to write from one to read.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}
