package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/client"
)

// logPage is the log of an attempt.
type logPage struct {
	client.Job
	Look     look
	Pipeline string
	Attempt  int // whose log it is; 0: there is none yet
	Others   []client.Attempt
	Says     string
	Info     logInfo
	From, To int // the lines that are in the page itself
	Lines    []logLine
	Before   string // addresses of the lines before and after
	After    string
	Over     bool
}

// logInfo is what the script knows of a log.
type logInfo struct {
	Lines int         `json:"lines"`
	Bytes int64       `json:"bytes"`
	Over  bool        `json:"over"` // its attempt is
	Folds []fold      `json:"folds,omitempty"`
	Lost  []lostLines `json:"-"`
}

// lostLines is how much of a log is lost at a line.
type lostLines struct {
	Line  int
	Bytes int64
}

// logLine is a line as it is shown.
type logLine struct {
	N     int
	Kind  string
	Parts []segment
}

// MarshalJSON is short: a plain line is a string, another its kind and its
// pieces of text and class, by turns.
func (l logLine) MarshalJSON() ([]byte, error) {
	if l.Kind == "" && len(l.Parts) == 0 {
		return []byte(`""`), nil
	}
	if l.Kind == "" && len(l.Parts) == 1 && l.Parts[0].Class == "" {
		return json.Marshal(l.Parts[0].Text)
	}
	flat := []string{l.Kind}
	for _, p := range l.Parts {
		flat = append(flat, p.Text, p.Class)
	}
	return json.Marshal(flat)
}

const (
	// linesInPage are shown without the script.
	linesInPage = 400
	// mostLines are given to the script at a time.
	mostLines = 1024
	// mostFinds are found in a log, findsAtOnce of them in one request to the api.
	mostFinds   = 5000
	findsAtOnce = 1000
)

// attempt is a job with the number of the attempt that a request is about.
func (c *Console) attempt(r *http.Request) (client.Job, int, error) {
	job, err := c.api.Job(r.Context(), r.PathValue("id"))
	if err != nil {
		return job, 0, err
	}
	n, _ := strconv.Atoi(r.URL.Query().Get("attempt"))
	for _, a := range job.Attempts {
		if a.Number == n {
			return job, n, nil
		}
	}
	if n != 0 {
		return job, 0, &client.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: fmt.Sprintf("The job has no attempt %d.", n)}
	}
	if len(job.Attempts) == 0 {
		return job, 0, nil
	}
	return job, job.Attempts[len(job.Attempts)-1].Number, nil
}

// index knows the lines of an attempt's log, as far as it goes now. Whoever asks
// may see the job, and so its logs.
func (c *Console) index(ctx context.Context, job client.Job, attempt int) (*logIndex, logInfo, error) {
	over := job.Final()
	for _, a := range job.Attempts {
		over = over || a.Number == attempt && !a.Ended.IsZero()
	}
	i := c.indexes.of(job.ID + "#" + strconv.Itoa(attempt))
	if err := i.grow(ctx, c.api, job.ID, attempt, over); err != nil {
		return nil, logInfo{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	info := logInfo{Lines: i.lines, Bytes: i.offset, Folds: slices.Clone(i.folds), Over: over}
	for _, l := range i.lost {
		info.Lost = append(info.Lost, lostLines{Line: l.first, Bytes: l.to - l.from})
	}
	return i, info, nil
}

// showLog shows a log. Without the script it goes page by page.
func (c *Console) showLog(r *http.Request) (view, error) {
	job, attempt, err := c.attempt(r)
	if err != nil {
		return view{}, err
	}
	p := logPage{Job: job, Look: jobLook(job), Attempt: attempt, Others: job.Attempts}
	if run, err := c.api.Run(r.Context(), job.Run); err == nil {
		p.Pipeline = run.Pipeline
	}
	if x, err := c.api.Explain(r.Context(), job.Run); err == nil && !job.Final() {
		for _, j := range x.Jobs {
			if j.ID == job.ID {
				p.Says = c.says(j)
			}
		}
	}
	v := view{Page: "log", Title: "Log of " + visible(job.Key), Tab: "runs"}
	if !job.Final() {
		v.Live = "run=" + job.Run
	}
	if attempt > 0 && r.Header.Get("HX-Request") == "" {
		if err := c.firstLines(r, &p); err != nil {
			return view{}, err
		}
	}
	v.Data = p
	return v, nil
}

// firstLines puts a part of the log into the page itself.
func (c *Console) firstLines(r *http.Request, p *logPage) error {
	i, info, err := c.index(r.Context(), p.Job, p.Attempt)
	if err != nil {
		return err
	}
	p.Info = info
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	from = min(max(from, 1), max(info.Lines, 1))
	if p.Lines, err = c.lines(r.Context(), i, p.ID, p.Attempt, from, linesInPage); err != nil {
		return err
	}
	p.From, p.To = from, from+len(p.Lines)-1
	link := func(line int) string {
		return fmt.Sprintf("/jobs/%s?attempt=%d&from=%d", p.ID, p.Attempt, max(line, 1))
	}
	if from > 1 {
		p.Before = link(from - linesInPage)
	}
	if p.To < info.Lines {
		p.After = link(p.To + 1)
	}
	return nil
}

// lines reads some lines of a log.
func (c *Console) lines(ctx context.Context, i *logIndex, job string, attempt, from, count int) ([]logLine, error) {
	if len(i.lost) > 0 { // it never changes again
		return c.linesAround(ctx, i, job, attempt, from, count)
	}
	at, n := i.from(from)
	style := at.style
	var out []logLine
	err := readLines(ctx, c.api, job, attempt, at.offset, func(line []byte) bool {
		if n < from {
			style = lastStyle(line, style)
		} else {
			l := logLine{N: n}
			var rest string
			if l.Kind, rest = kind(line); l.Kind != "" {
				line = []byte(rest)
			}
			l.Parts, style = paint(line, style)
			out = append(out, l)
		}
		n++
		return n < from+count
	})
	return out, err
}

// giveInfo tells the script how far a log goes.
func (c *Console) giveInfo(w http.ResponseWriter, r *http.Request) {
	c.json(w, r, func() (any, error) {
		job, attempt, err := c.attempt(r)
		if err != nil || attempt == 0 {
			return logInfo{}, err
		}
		_, info, err := c.index(r.Context(), job, attempt)
		return info, err
	})
}

// giveLines gives the script some lines.
func (c *Console) giveLines(w http.ResponseWriter, r *http.Request) {
	c.json(w, r, func() (any, error) {
		job, attempt, err := c.attempt(r)
		if err != nil {
			return nil, err
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("from"))
		count, _ := strconv.Atoi(r.URL.Query().Get("count"))
		i, _, err := c.index(r.Context(), job, attempt)
		if err != nil {
			return nil, err
		}
		lines, err := c.lines(r.Context(), i, job.ID, attempt, max(from, 1), min(max(count, 1), mostLines))
		if lines == nil {
			lines = []logLine{}
		}
		return lines, err
	})
}

// finds is where something stands in a log.
type finds struct {
	Lines []int `json:"lines"`
	More  bool  `json:"more,omitempty"`
}

// search lets the api look through the logs of the job, without regard to case,
// and gives the lines of this attempt's in which the text is to be seen: numbers
// within what sets a colour are not.
func (c *Console) search(w http.ResponseWriter, r *http.Request) {
	c.json(w, r, func() (any, error) {
		job, attempt, err := c.attempt(r)
		if err != nil {
			return nil, err
		}
		found := finds{Lines: []int{}}
		ask := client.LogSearch{Text: r.URL.Query().Get("q"), IgnoreCase: true, Job: string(job.Key), Limit: findsAtOnce}
		for more := ask.Text != ""; more; more = ask.Cursor != "" {
			got, err := c.api.SearchLogs(r.Context(), job.Run, ask)
			if err != nil {
				return nil, err
			}
			for _, m := range got.Matches {
				if m.Attempt > attempt {
					return found, nil
				}
				if m.Attempt < attempt || m.Line == 0 || !shows(m.Text, ask.Text) {
					continue
				}
				if len(found.Lines) == mostFinds {
					found.More = true
					return found, nil
				}
				found.Lines = append(found.Lines, int(m.Line))
			}
			ask.Cursor = got.Next
		}
		return found, nil
	})
}

// shows tells whether a text is to be seen in a line.
func shows(line, text string) bool {
	return strings.Contains(strings.ToLower(string(plain([]byte(line)))), strings.ToLower(text))
}

// download gives a log as it is.
func (c *Console) download(w http.ResponseWriter, r *http.Request) {
	job, attempt, err := c.attempt(r)
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(job, attempt)))
	if _, err := c.api.Logs(r.Context(), job.ID, client.LogOptions{Attempt: attempt}, w); err != nil && r.Context().Err() == nil {
		c.Log.Warn("console: download log", "job", job.ID, "error", err)
		panic(http.ErrAbortHandler) // cut, or it is taken for whole
	}
}

// fileName is of characters that every system takes.
func fileName(job client.Job, attempt int) string {
	safe := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}
	key := strings.Map(safe, string(job.Key))
	return fmt.Sprintf("%s-%s-%d.log", job.Run, key[:min(len(key), 80)], attempt)
}

// json writes what make gives, or the problem.
func (c *Console) json(w http.ResponseWriter, r *http.Request, give func() (any, error)) {
	v, err := give()
	status := http.StatusOK
	if err != nil {
		t := c.trouble(r, err)
		status, v = t.Status, map[string]string{"error": t.Title}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		c.Log.Error("console: encode", "path", r.URL.Path, "error", err)
		status, raw = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(raw))
}
