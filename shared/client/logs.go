package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/relevo-ci/relevo/events"
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

// HeaderGaps lists the bytes that are lost of a log, from-to with commas between.
// In their place the text has a line that says so; offsets count the bytes that
// were, not that line.
const HeaderGaps = "Relevo-Log-Gaps"

// Headers of an answer to a request for lines.
const (
	// HeaderLine is the number of the first line, from 1.
	HeaderLine = "Relevo-Log-Line"
	// HeaderLines is how many lines the log has, for now.
	HeaderLines = "Relevo-Log-Lines"
	// HeaderOffset is where the first line begins, in bytes.
	HeaderOffset = "Relevo-Log-Offset"
)

// LogMatches are lines of a run's logs, in order of jobs, attempts and lines.
type LogMatches struct {
	Matches []LogMatch `json:"matches"`
	// Next is the cursor of the page that follows; empty where none does. A page may
	// be short, or empty, and have a next: a request looks at so many bytes.
	Next string `json:"next,omitempty"`
}

// LogMatch is a line in which the text stands.
type LogMatch struct {
	Job     string        `json:"job"`
	Key     events.JobKey `json:"key"`
	Attempt int           `json:"attempt"`
	Line    int64         `json:"line" doc:"Its number, from 1; 0 where bytes before it are lost."`
	Offset  int64         `json:"offset" doc:"Of the line, in bytes."`
	Column  int           `json:"column" doc:"Of the text in the line, in bytes from 0."`
	Text    string        `json:"text" doc:"The line; of a long one what stands around."`
}

// LogIndex makes any line of a log cheap to find.
type LogIndex struct {
	Attempt int   `json:"attempt"`
	Size    int64 `json:"size"`
	Closed  bool  `json:"closed"`
	Lines   int64 `json:"lines"`
	// Every is how many lines lie between two of the offsets: those of the lines 1,
	// 1+every, 1+2*every …
	Every   int      `json:"every"`
	Offsets []int64  `json:"offsets"`
	Gaps    []LogGap `json:"gaps,omitempty"`
}

// LogGap is bytes that are lost, from the first to the one after the last.
type LogGap struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// LogSearch says what is looked for.
type LogSearch struct {
	Text       string
	IgnoreCase bool
	Job        string // key; empty: in all
	Limit      int    // 0: 100
	Cursor     string
}

// SearchLogs looks for a text in the logs of a run.
func (c *Client) SearchLogs(ctx context.Context, run string, s LogSearch) (LogMatches, error) {
	q := url.Values{"q": {s.Text}}
	if s.IgnoreCase {
		q.Set("ignoreCase", "true")
	}
	if s.Job != "" {
		q.Set("job", s.Job)
	}
	if s.Limit > 0 {
		q.Set("limit", strconv.Itoa(s.Limit))
	}
	if s.Cursor != "" {
		q.Set("cursor", s.Cursor)
	}
	return get[LogMatches](ctx, c, "/v1/pipelines/"+url.PathEscape(run)+"/logs/search?"+q.Encode())
}

// LogIndex tells where the lines of a log begin. Attempt 0 is the last one.
func (c *Client) LogIndex(ctx context.Context, job string, attempt int) (LogIndex, error) {
	return get[LogIndex](ctx, c, "/v1/jobs/"+url.PathEscape(job)+"/logs/index?attempt="+strconv.Itoa(attempt))
}
