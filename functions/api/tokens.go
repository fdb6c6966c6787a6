package api

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
)

type tokenInput struct {
	Body client.TokenRequest
}

type tokenOutput struct {
	Body client.MadeToken
}

// makeToken makes a token that may no more than its maker. It is not repeated
// with an Idempotency-Key: its secret is shown in one answer alone.
func (a *API) makeToken(ctx context.Context, in *tokenInput) (*tokenOutput, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	c := callerOf(ctx)
	if c.Via == access.ByToken { // one that leaked would else live on in others
		return nil, askedOf(ctx).deny(refuse(http.StatusForbidden, "an API token makes no others"))
	}
	ask := access.Token{Name: in.Body.Name, Maker: c.ID, Role: access.Role(in.Body.Role)}
	for _, text := range in.Body.Projects {
		s, err := access.ParseScope(text)
		if err != nil {
			return nil, located("body.projects", err.Error())
		}
		ask.Scopes = append(ask.Scopes, s)
	}
	var random [access.SecretBytes]byte
	_, _ = rand.Read(random[:]) // never fails
	secret := access.Secret(random)
	made, res, err := a.Access.Store.MakeToken(ctx, secret, ask, time.Duration(in.Body.Days)*24*time.Hour, c.Bindings)
	switch {
	case errors.Is(err, access.ErrBeyond):
		return nil, askedOf(ctx).deny(refuse(http.StatusForbidden, "a token may no more than who makes it"))
	case fn.KindOf(err) == fn.Exhausted:
		return nil, refuse(http.StatusConflict, "you have %d tokens: revoke some", access.MostOfMaker)
	case fn.KindOf(err) == fn.Invalid:
		return nil, located("body", rootOf(err))
	case err != nil:
		return nil, a.fault(ctx, "make the token", err)
	}
	askedOf(ctx).target = "/v1/tokens/" + made.ID
	a.publish(ctx, res.Emitted)
	return &tokenOutput{Body: client.MadeToken{Token: tokenView(made), Secret: secret}}, nil
}

// rootOf is what the domain says of what is asked for.
func rootOf(err error) string {
	for _, known := range []error{access.ErrName, access.ErrScopes, access.ErrExpiry} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the token cannot be made so"
}

type tokensInput struct {
	All bool `query:"all" doc:"Those of everybody: for who manages access to everything."`
}

type tokensOutput struct {
	Body client.TokenList
}

func (a *API) listTokens(ctx context.Context, in *tokensInput) (*tokensOutput, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	maker := callerOf(ctx).ID
	if in.All {
		if p := a.permit(ctx, access.ManageAccess, ""); p != nil {
			return nil, p
		}
		maker = ""
	}
	list, err := a.Access.Store.Tokens(ctx, maker)
	if err != nil {
		return nil, a.fault(ctx, "list the tokens", err)
	}
	out := &tokensOutput{Body: client.TokenList{Tokens: []client.Token{}}}
	for _, t := range list {
		out.Body.Tokens = append(out.Body.Tokens, tokenView(t))
	}
	return out, nil
}

type revokeTokenInput struct {
	ID string `path:"id" maxLength:"64"`
}

// revokeToken drops one's own token, or anybody's for who manages access to
// everything. Others' are not there.
func (a *API) revokeToken(ctx context.Context, in *revokeTokenInput) (*struct{}, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	c := callerOf(ctx)
	maker := c.ID
	if a.allowed(c, access.ManageAccess, "") {
		maker = ""
	}
	res, err := a.Access.Store.RevokeToken(ctx, in.ID, maker, c.Name)
	if err != nil {
		return nil, a.accessFault(ctx, "revoke the token", "token", err)
	}
	a.publish(ctx, res.Emitted)
	return nil, nil
}

func (a *API) accessFault(ctx context.Context, doing, what string, err error) error {
	if fn.KindOf(err) == fn.NotFound {
		return refuse(http.StatusNotFound, "there is no such %s", what)
	}
	return a.fault(ctx, doing, err)
}

func tokenView(t access.Token) client.Token {
	v := client.Token{ID: t.ID, Name: t.Name, Maker: t.Maker, Role: string(t.Role), Made: t.Made, Ends: t.Ends, Used: t.Used}
	for _, s := range t.Scopes {
		v.Projects = append(v.Projects, string(s))
	}
	return v
}
