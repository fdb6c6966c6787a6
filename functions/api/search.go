package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
)

// mostSearched bounds the bytes that one request looks at.
const mostSearched = 64 << 20

type searchInput struct {
	RunInput
	Text   string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"What is looked for, as it stands: no pattern."`
	Fold   bool   `query:"ignoreCase" doc:"Upper and lower case are the same."`
	Job    string `query:"job" maxLength:"1024" doc:"Only in the logs of the job of this key."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Matches on a page."`
	Cursor string `query:"cursor" maxLength:"1200" doc:"Next of the page before."`
}

type searchOutput struct {
	Body client.LogMatches
}

// registerSearch adds the operations on logs beside reading one.
func (a *API) registerSearch(h huma.API) {
	huma.Register(h, operation(h, "searchLogs", http.MethodGet, "/v1/pipelines/{id}/logs/search", "Look for a text in the logs of a run"), a.searchLogs)
	huma.Register(h, operation(h, "showLogIndex", http.MethodGet, "/v1/jobs/{id}/logs/index", "Tell where the lines of a log begin"), a.showLogIndex)
}

// spot is where a search goes on: an attempt of a job, and a line of its log.
type spot struct {
	job, attempt int
	logs.Place
}

func (p spot) String() string {
	return fmt.Sprintf("%d.%d.%d.%d", p.job, p.attempt, p.Line, p.Offset)
}

// parseSpot reads what String wrote, and nothing else.
func parseSpot(s string) (spot, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return spot{}, false
	}
	var n [4]int64
	for i, part := range parts {
		v, err := strconv.ParseInt(part, 10, 64)
		if err != nil || v < 0 || i < 2 && v > 1<<30 {
			return spot{}, false
		}
		n[i] = v
	}
	p := spot{job: int(n[0]), attempt: int(n[1]), Place: logs.Place{Line: n[2], Offset: n[3]}}
	return p, p.String() == s
}

// searchLogs looks through the logs of a run, job by job and attempt by attempt,
// for as many bytes as a request may take: a page may be empty and have a next.
func (a *API) searchLogs(ctx context.Context, in *searchInput) (*searchOutput, error) {
	if strings.ContainsAny(in.Text, "\r\n") {
		return nil, located("query.q", "it is looked for within lines")
	}
	run, _, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	at := spot{Place: logs.Place{Line: 1}}
	if in.Cursor != "" {
		var ok bool
		if at, ok = parseSpot(in.Cursor); !ok {
			return nil, located("query.cursor", "this is no cursor of a page")
		}
	}
	s := searching{api: a, run: run, in: in, left: mostSearched, out: client.LogMatches{Matches: []client.LogMatch{}}}
	if err := s.from(ctx, at); err != nil {
		return nil, a.fault(ctx, "look through the logs", err)
	}
	return &searchOutput{Body: s.out}, nil
}

// searching is one request.
type searching struct {
	api  *API
	run  *pipeline.Run
	in   *searchInput
	left int64
	out  client.LogMatches
}

func (s *searching) from(ctx context.Context, at spot) error {
	for ; at.job < len(s.run.Jobs); at = (spot{job: at.job + 1, Place: logs.Place{Line: 1}}) {
		job := s.run.Jobs[at.job]
		if s.in.Job != "" && s.in.Job != string(job.Key) {
			continue
		}
		for ; at.attempt < len(job.Attempts); at.attempt, at.Place = at.attempt+1, (logs.Place{Line: 1}) {
			next, done, err := s.attempt(ctx, job, job.Attempts[at.attempt], at.Place)
			if err != nil {
				return err
			}
			if !done {
				at.Place = next
				s.out.Next = at.String()
				return nil
			}
		}
	}
	return nil
}

// attempt looks through one log; false where the request had enough.
func (s *searching) attempt(ctx context.Context, job *pipeline.Job, attempt *pipeline.Attempt, from logs.Place) (logs.Place, bool, error) {
	ref := s.run.AttemptRef(job, attempt)
	if len(s.out.Matches) == s.in.Limit || s.left <= 0 {
		return from, false, nil
	}
	found, next, done, err := logs.Search{
		Text: s.in.Text, Fold: s.in.Fold, Limit: s.in.Limit - len(s.out.Matches), Bytes: s.left,
	}.Run(ctx, s.api.Logs, func() (logs.Lines, error) { return s.api.lines(ctx, ref) }, ref, from)
	if err != nil {
		return from, false, err
	}
	s.left -= next.Offset - from.Offset
	for _, m := range found {
		s.out.Matches = append(s.out.Matches, client.LogMatch{
			Job: jobID(s.run.ID, job.Key), Key: job.Key, Attempt: attempt.Number, Line: m.Line, Offset: m.Offset, Column: m.Column, Text: m.Text,
		})
	}
	return next, done, nil
}

type logIndexInput struct {
	JobInput
	Attempt int `query:"attempt" minimum:"0" doc:"The attempt; the last one by default."`
}

type logIndexOutput struct {
	Body client.LogIndex
}

// showLogIndex tells how many lines a log has and where each thousandth begins.
func (a *API) showLogIndex(ctx context.Context, in *logIndexInput) (*logIndexOutput, error) {
	run, job, err := a.ranJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ref, err := attemptOf(run, job, in.Attempt)
	if err != nil {
		return nil, err
	}
	_, size, closed, err := a.Logs.Read(ctx, ref, 0, nil)
	if err != nil {
		return nil, a.fault(ctx, "look at the log", err)
	}
	lines, err := a.lines(ctx, ref)
	if err != nil {
		return nil, a.fault(ctx, "look at the log", err)
	}
	out := &logIndexOutput{Body: client.LogIndex{
		Attempt: ref.Attempt, Size: size, Closed: closed, Lines: lines.Count, Every: logs.Every, Offsets: lines.Offsets,
	}}
	if out.Body.Offsets == nil {
		out.Body.Offsets = []int64{}
	}
	if closed {
		out.Body.Gaps = a.gaps(ctx, ref)
	}
	return out, nil
}

// lines is the index of a log, kept beside it or made now.
func (a *API) lines(ctx context.Context, ref events.AttemptRef) (logs.Lines, error) {
	if i, ok := a.Logs.(logs.Inspector); ok {
		return i.Lines(ctx, ref)
	}
	return logs.Index(ctx, a.Logs, ref)
}

// gaps are what is lost of a closed log. That nobody can tell is no reason not to
// show the rest.
func (a *API) gaps(ctx context.Context, ref events.AttemptRef) []client.LogGap {
	i, ok := a.Logs.(logs.Inspector)
	if !ok {
		return nil
	}
	lost, err := i.Gaps(ctx, ref)
	if err != nil {
		a.Log.Warn("api: look for gaps in a log", "error", err)
	}
	var gaps []client.LogGap
	for _, g := range lost {
		gaps = append(gaps, client.LogGap{From: g.From, To: g.To})
	}
	return gaps
}
