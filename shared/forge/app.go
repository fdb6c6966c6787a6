package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/relevo-ci/relevo/shared/forge/githubapp"
)

// credentials put into a request what the forge wants to see.
type credentials interface {
	// present puts it in; a *noTokenError where there is none.
	present(r *http.Request) error
	// renew drops what a request had in it, since the forge did not take it; it
	// tells whether another may do.
	renew(r *http.Request) bool
}

// fixed is a token of the settings.
type fixed struct {
	token     string
	authorize func(http.Header, string)
}

func (f fixed) present(r *http.Request) error {
	if f.token != "" {
		f.authorize(r.Header, f.token)
	}
	return nil
}

func (fixed) renew(*http.Request) bool { return false }

// installed asks a GitHub App for a token that can do what the request is for, in
// its repository, and no more.
type installed struct{ app *app }

func (i installed) present(r *http.Request) error {
	repository, p, err := i.app.needs(r)
	if err != nil {
		return &noTokenError{err}
	}
	t, err := i.app.token(r.Context(), repository, p)
	if err != nil {
		return &noTokenError{err}
	}
	bearer(r.Header, t.Value)
	return nil
}

func (i installed) renew(r *http.Request) bool {
	i.app.forget(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	return true
}

// noTokenError is why there is no credential: it is a forge's error already.
type noTokenError struct{ error }

// app is a GitHub App, whose errors are a forge's.
type app struct {
	id     string
	base   string // of the API's paths
	tokens *githubapp.App
}

func openApp(s Settings, base *url.URL) (*app, error) {
	if s.Kind != GitHub {
		return nil, fmt.Errorf("%s has no Apps", s.Kind)
	}
	tokens, err := githubapp.New(githubapp.Settings{ID: s.AppID, Key: s.AppKey, URL: base.String(), Client: s.Client})
	return &app{id: s.AppID, base: strings.TrimSuffix(base.Path, "/"), tokens: tokens}, err
}

func (a *app) token(ctx context.Context, repository string, p githubapp.Permissions) (githubapp.Token, error) {
	t, err := a.tokens.Token(ctx, repository, p)
	var no *githubapp.Refusal
	switch {
	case err == nil:
		return t, nil
	case ctx.Err() != nil:
		return t, ctx.Err()
	case errors.Is(err, githubapp.ErrAnswer):
		return t, err
	case !errors.As(err, &no):
		return t, &Later{Err: err}
	case no.Status == http.StatusNotFound:
		return t, fmt.Errorf("%w: the App is not installed there: %w", ErrNotFound, err)
	case no.Status == http.StatusUnprocessableEntity:
		return t, fmt.Errorf("%w: the App's installation does not have these rights: %w", ErrDenied, err)
	}
	return t, refused(&http.Response{StatusCode: no.Status, Header: no.Header}, no.Body)
}

func (a *app) forget(token string) { a.tokens.Forget(token) }

// rights are what a request needs, by what it asks of its repository.
var rights = map[string]githubapp.Permissions{
	"contents": githubapp.Checkout, "compare": githubapp.Checkout, "commits": githubapp.Checkout,
	"pulls": {"pull_requests": "read"}, "collaborators": {"metadata": "read"}, "check-runs": {"checks": "write"},
}

// needs tells what a request is for. Where the forge sent it on, the request that
// was made first says it: a renamed repository has an address without a name.
func (a *app) needs(r *http.Request) (repository string, p githubapp.Permissions, err error) {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, a.base), "/"), "/")
	if len(parts) < 4 || parts[0] != "repos" {
		return "", nil, fmt.Errorf("%w: no right of an App is known for it", ErrDenied)
	}
	what := parts[3]
	if what == "commits" && parts[len(parts)-1] == "check-runs" {
		what = "check-runs"
	}
	p, known := rights[what]
	if !known {
		return "", nil, fmt.Errorf("%w: no right of an App is known for %.100s", ErrDenied, what)
	}
	return parts[1] + "/" + parts[2], p, nil
}
