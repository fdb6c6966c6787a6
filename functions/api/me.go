package api

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/access"
)

// registerAccess adds the operations on who may do what.
func (a *API) registerAccess(h huma.API) {
	made := func(op huma.Operation) huma.Operation {
		op.DefaultStatus = http.StatusCreated
		return op
	}
	gone := func(op huma.Operation) huma.Operation {
		op.DefaultStatus = http.StatusNoContent
		return op
	}
	huma.Register(h, operation(h, "showMe", http.MethodGet, "/v1/me", "Show who one is, and what one may"), a.showMe)
	huma.Register(h, made(operation(h, "makeLink", http.MethodPost, "/v1/links", "Make a one-time link that lets one's browser in")), a.makeLink)
	huma.Register(h, operation(h, "listTokens", http.MethodGet, "/v1/tokens", "List one's API tokens, newest first"), a.listTokens)
	huma.Register(h, made(operation(h, "makeToken", http.MethodPost, "/v1/tokens", "Make an API token; its secret is shown this once")), a.makeToken)
	huma.Register(h, gone(operation(h, "revokeToken", http.MethodDelete, "/v1/tokens/{id}", "Revoke an API token at once")), a.revokeToken)
	huma.Register(h, operation(h, "listAccess", http.MethodGet, "/v1/access", "List who has which role"), a.listAccess)
	huma.Register(h, operation(h, "grantAccess", http.MethodPut, "/v1/access", "Give somebody a role in a project"), a.grantAccess)
	huma.Register(h, gone(operation(h, "revokeAccess", http.MethodDelete, "/v1/access", "Take a role away")), a.revokeAccess)
	huma.Register(h, gone(operation(h, "endSessions", http.MethodDelete, "/v1/sessions", "End all sessions of somebody")), a.endSessions)
	huma.Register(h, operation(h, "listAudit", http.MethodGet, "/v1/audit", "List who did what that changes something, newest first"), a.listAudit)
}

var errNoAccess = refuse(http.StatusServiceUnavailable, "this server keeps no users, tokens or audit")

type meOutput struct {
	Body client.Me
}

func (a *API) showMe(ctx context.Context, _ *struct{}) (*meOutput, error) {
	q := askedOf(ctx)
	me := client.Me{ID: q.caller.ID, Name: q.caller.Name, Via: string(q.caller.Via), Ends: q.ends, Roles: []client.Role{}, Permissions: []string{}}
	for _, b := range q.caller.Bindings {
		me.Roles = append(me.Roles, client.Role{Project: string(b.Scope), Role: string(b.Role)})
	}
	for _, rule := range access.Rules() {
		if access.Anywhere(q.caller.Bindings, rule.Permission) {
			me.Permissions = append(me.Permissions, string(rule.Permission))
		}
	}
	if q.secret != "" {
		me.Forgery = access.Forgery(q.secret)
	}
	return &meOutput{Body: me}, nil
}

// LinkInput knows how the server was addressed.
type LinkInput struct{ host string }

// Resolve reads that; huma hands it the request.
func (in *LinkInput) Resolve(hc huma.Context) []error {
	in.host = hc.Host()
	return nil
}

type linkOutput struct {
	Body client.Link
}

// makeLink is for whoever runs this installation, at a terminal: people log in,
// and an API token must not become a session.
func (a *API) makeLink(ctx context.Context, in *LinkInput) (*linkOutput, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	c := callerOf(ctx)
	if c.Via != access.ByMachine && c.Via != access.BySystem {
		return nil, askedOf(ctx).deny(refuse(http.StatusForbidden, "links are for who is on the server's machine, or has its own token"))
	}
	l, err := a.linkFor(ctx, in.host, c.ID)
	if err != nil {
		return nil, a.fault(ctx, "make the link", err)
	}
	return &linkOutput{Body: l}, nil
}

func (a *API) linkFor(ctx context.Context, host, user string) (client.Link, error) {
	code := rand.Text()
	ends, res, err := a.Access.Store.MakeLink(ctx, code, user)
	a.publish(ctx, res.Emitted)
	return client.Link{URL: a.link(host, code), Ends: ends}, err
}

// NewLink is where the browser of whoever runs this server is let in: a one-time
// link, or the login of a provider. The server is addressed as host:port.
func (a *API) NewLink(ctx context.Context, host string) (string, error) {
	if a.Access.Login != nil {
		return a.Access.Public + loginPath, nil
	}
	user := access.System
	if a.localMode() {
		user = access.Local
	}
	l, err := a.linkFor(ctx, host, user)
	return l.URL, err
}

type sessionsInput struct {
	User string `query:"user" required:"true" maxLength:"64" doc:"The id of a user, as the audit has it."`
}

func (a *API) endSessions(ctx context.Context, in *sessionsInput) (*struct{}, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	res, err := a.Access.Store.SignOut(ctx, in.User, by(ctx))
	if err != nil {
		return nil, a.accessFault(ctx, "end the sessions", "user", err)
	}
	a.publish(ctx, res.Emitted)
	return nil, nil
}
