package hosted

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge/githubapp"
	"github.com/relevo-ci/relevo/shared/secrets"
)

// known is what jobs may know: it is read when a worker asks.
func known(c config.Config) (secrets.Source, error) {
	tokens, err := Tokens(c.Forges.Served())
	return secrets.Source{Folder: secrets.Folder{Path: c.Secrets.Dir}, Forge: secrets.Tokens(tokens)}, err
}

// Tokens are what the settings have of forges, for git. A GitHub App takes one
// when it is asked for. No forge's client is linked for it.
func Tokens(served []config.Served) ([]secrets.Token, error) {
	tokens := make([]secrets.Token, 0, len(served))
	for _, f := range served {
		t := secrets.Token{Forge: f.Name, URL: f.URL, Token: f.Token.Reveal()}
		if f.AppID != "" {
			app, err := githubapp.New(githubapp.Settings{ID: f.AppID, Key: f.AppKey.Reveal(), URL: f.URL})
			if err != nil {
				return nil, fmt.Errorf("hosted: open the App of %s: %w", f.Name, err)
			}
			t.Take = func(ctx context.Context, repository string) (string, time.Time, error) {
				return take(ctx, app, repository)
			}
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// take says of GitHub's refusals that it will not help to ask again, but of those
// that pass.
func take(ctx context.Context, app *githubapp.App, repository string) (string, time.Time, error) {
	t, err := app.Token(ctx, repository, githubapp.Checkout)
	var no *githubapp.Refusal
	if !errors.As(err, &no) {
		return t.Value, t.Until, err
	}
	switch no.Status {
	case http.StatusNotFound:
		return "", time.Time{}, fn.Faultf(fn.NotFound, "the App is not installed on %s: %w", repository, err)
	case http.StatusUnauthorized, http.StatusUnprocessableEntity:
		return "", time.Time{}, fn.Faultf(fn.Denied, "%w", err)
	}
	return "", time.Time{}, err // 403 is a limit on rates as often as not
}
