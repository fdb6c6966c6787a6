package client

import (
	"errors"
	"net/http"
	"strings"
)

// Problem is an error as the REST interface tells it: RFC 9457, with what is
// wrong one by one in Errors.
type Problem struct {
	Type   string   `json:"type,omitempty" example:"tag:relevo.dev,2025:problem/pipeline" doc:"What kind of problem; absent where the status says it all."`
	Title  string   `json:"title" doc:"The status in words."`
	Status int      `json:"status" doc:"The HTTP status."`
	Detail string   `json:"detail,omitempty" doc:"What happened here."`
	Errors []Detail `json:"errors,omitempty" doc:"Everything that is wrong, one by one."`
}

// Detail is one thing that is wrong.
type Detail struct {
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty" doc:"What to do about it."`
	Location string `json:"location,omitempty" example:"body.steps[0].run" doc:"Where: a part of the request, or file:line:column of a pipeline file."`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty" doc:"From 1."`
	Column   int    `json:"column,omitempty" doc:"From 1, in characters."`
}

// The types of problems that a status alone does not tell apart.
const (
	// ProblemPipeline: the pipeline, or the job, is wrong; see Errors.
	ProblemPipeline = "tag:relevo.dev,2025:problem/pipeline"
	// ProblemKey: the idempotency key was used before, with another body.
	ProblemKey = "tag:relevo.dev,2025:problem/idempotency-key"
)

// What a Problem may be, for errors.Is.
var (
	ErrInvalid     = errors.New("client: the request is wrong")       // 400, 413, 415, 416, 422
	ErrDenied      = errors.New("client: not allowed")                // 401, 403
	ErrNotFound    = errors.New("client: not found")                  // 404
	ErrConflict    = errors.New("client: in conflict with the state") // 409
	ErrUnavailable = errors.New("client: not to be had now")          // 429, 502, 503, 504: try again
)

// Is tells what kind of problem p is.
func (p *Problem) Is(target error) bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == ErrDenied
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return target == ErrUnavailable
	}
	return target == ErrInvalid && p.Status >= 400 && p.Status < 500
}

// Error gives the detail, and each error in a line of its own.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, d := range p.Errors {
		b.WriteString("\n" + d.String())
	}
	return b.String()
}

// String gives location: message (hint).
func (d Detail) String() string {
	s := d.Message
	if d.Location != "" {
		s = d.Location + ": " + s
	}
	if d.Hint != "" {
		s += " (" + d.Hint + ")"
	}
	return s
}
