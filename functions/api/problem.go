package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

const problemType = "application/problem+json"

// problem is an error as callers see it. It is a huma.StatusError.
type problem struct {
	client.Problem
	header http.Header
}

// GetStatus is the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders are the headers beside it.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType is that of problems.
func (p *problem) ContentType(string) string { return problemType }

// MarshalJSON writes the problem's own fields.
func (p *problem) MarshalJSON() ([]byte, error) { return json.Marshal(p.Problem) }

// refuse makes the problem of a status.
func refuse(status int, format string, args ...any) *problem {
	return &problem{Problem: client.Problem{
		Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...),
	}}
}

// with adds a header.
func (p *problem) with(name, value string) *problem {
	p.header = http.Header{name: {value}}
	return p
}

// write answers where huma does not.
func (p *problem) write(w http.ResponseWriter) {
	for k, v := range p.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // the caller is gone
	}
}

// fault makes the problem of an error from below; one that is a problem already
// stays what it is. What another says goes to the log: it may name what callers
// need not know.
func (a *API) fault(ctx context.Context, doing string, err error) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, state.ErrNoRun) {
		return refuse(http.StatusNotFound, "there is no such run")
	}
	kind := fn.KindOf(err)
	if ctx.Err() == nil {
		a.Log.Warn("api: "+doing, "error", err)
	}
	switch kind {
	case fn.Invalid:
		return refuse(http.StatusUnprocessableEntity, "%s: refused as malformed", doing)
	case fn.Conflict:
		return refuse(http.StatusConflict, "%s: in conflict with what stands", doing)
	case fn.NotFound:
		return refuse(http.StatusNotFound, "%s: not found", doing)
	case fn.Denied:
		return refuse(http.StatusForbidden, "%s: not allowed", doing)
	case fn.Exhausted:
		return refuse(http.StatusTooManyRequests, "%s: too much waits already", doing).with("Retry-After", "5")
	}
	return refuse(http.StatusServiceUnavailable, "%s: the store did not answer; try again", doing).with("Retry-After", "1")
}

// transform makes problems of huma's own errors, without the values that they
// echo: a body may hold secrets.
func transform(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := refuse(e.Status, "%s", e.Detail)
	for _, d := range e.Errors {
		if d == nil {
			continue
		}
		p.Errors = append(p.Errors, client.Detail{Message: firstLine(d.Message), Location: d.Location})
	}
	return p, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// nowhere answers what no operation does: 405 where another method would.
func nowhere(mux *http.ServeMux) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, m := range methods {
			other := &http.Request{Method: m, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(other); pattern != "/" && pattern != "" {
				allowed = append(allowed, m)
			}
		}
		if len(allowed) > 0 {
			refuse(http.StatusMethodNotAllowed, "there is no %s here", r.Method).
				with("Allow", strings.Join(allowed, ", ")).write(w)
			return
		}
		refuse(http.StatusNotFound, "there is nothing here").write(w)
	}
}
