package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Me is who asks.
type Me struct {
	ID          string    `json:"id"`
	Name        string    `json:"name" doc:"For people."`
	Via         string    `json:"via" enum:"session,token,system,local,signature" doc:"How the server knows."`
	Ends        time.Time `json:"ends,omitzero" doc:"When the session or the token ends."`
	Roles       []Role    `json:"roles"`
	Permissions []string  `json:"permissions" doc:"What is allowed in some project at least."`
	Forgery     string    `json:"csrf,omitempty" doc:"Of a session: pages send it as X-Relevo-Csrf with what changes something."`
}

// Role is a role somewhere.
type Role struct {
	Project string `json:"project" example:"github/acme/*" doc:"A project, all in a folder (/*), or * for everything."`
	Role    string `json:"role" enum:"viewer,developer,operator,admin"`
}

// Link lets a browser in, once.
type Link struct {
	URL  string    `json:"url"`
	Ends time.Time `json:"ends"`
}

// TokenRequest asks for an API token.
type TokenRequest struct {
	Name     string   `json:"name" minLength:"1" maxLength:"80" doc:"What it is for."`
	Role     string   `json:"role" enum:"viewer,developer,operator,admin" doc:"The most that it may; never more than who makes it."`
	Projects []string `json:"projects" minItems:"1" maxItems:"20" nullable:"false" doc:"Where: projects, folders (/*), or *."`
	Days     int      `json:"days,omitempty" minimum:"1" maximum:"365" doc:"How long it is good for; by default 90."`
}

// Token is an API token, without its secret.
type Token struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Maker    string    `json:"maker" doc:"The id of who made it."`
	Role     string    `json:"role"`
	Projects []string  `json:"projects"`
	Made     time.Time `json:"made"`
	Ends     time.Time `json:"ends"`
	Used     time.Time `json:"used,omitzero" doc:"When it was used last, to the hour."`
}

// MadeToken is a new one.
type MadeToken struct {
	Token
	Secret string `json:"secret" doc:"What to show as a bearer token. It is not stored, and never shown again."`
}

// TokenList is a list of tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// Binding gives somebody a role.
type Binding struct {
	Subject string `json:"subject" maxLength:"256" example:"user:ana@example.com" doc:"user:<verified e-mail address, or id>, or group:<name>."`
	Project string `json:"project" maxLength:"512" example:"github/acme/*" doc:"A project, all in a folder (/*), or * for everything."`
	Role    string `json:"role" enum:"viewer,developer,operator,admin"`
}

// Grant is a binding that stands.
type Grant struct {
	Binding
	By    string    `json:"by,omitempty" doc:"Who gave it."`
	At    time.Time `json:"at,omitzero"`
	Fixed bool      `json:"fixed,omitempty" doc:"A setting gives it."`
}

// AccessList is who has which role.
type AccessList struct {
	Grants []Grant `json:"grants"`
}

// AuditEntry is something that somebody did.
type AuditEntry struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Principal string    `json:"principal"`
	Name      string    `json:"name,omitempty" doc:"As people knew the principal then."`
	Via       string    `json:"via,omitempty"`
	Token     string    `json:"token,omitempty" doc:"The id of the API token that was shown."`
	Action    string    `json:"action" example:"cancelPipeline" doc:"The operation's name."`
	Target    string    `json:"target" doc:"The path that was asked for."`
	Project   string    `json:"project,omitempty"`
	Outcome   string    `json:"outcome" enum:"done,refused,failed"`
	Status    int       `json:"status" doc:"The HTTP status of the answer."`
}

// AuditPage is a page of them, newest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next,omitempty" doc:"Cursor of the next page; empty on the last."`
}

// Me tells who the server takes the caller for.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/v1/me") }

// MakeLink makes a one-time link that lets a browser in as the caller.
func (c *Client) MakeLink(ctx context.Context) (Link, error) {
	return once[Link](ctx, c, http.MethodPost, "/v1/links", nil)
}

// MakeToken makes an API token. It is not repeated: what was lost on its way may
// have been made, and is to be revoked.
func (c *Client) MakeToken(ctx context.Context, t TokenRequest) (MadeToken, error) {
	return once[MadeToken](ctx, c, http.MethodPost, "/v1/tokens", t)
}

// Tokens lists the caller's tokens, or all.
func (c *Client) Tokens(ctx context.Context, all bool) (TokenList, error) {
	return get[TokenList](ctx, c, "/v1/tokens?"+url.Values{"all": {strconv.FormatBool(all)}}.Encode())
}

// RevokeToken revokes one at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := once[struct{}](ctx, c, http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil)
	return err
}

// Access lists who has which role where the caller manages access.
func (c *Client) Access(ctx context.Context) (AccessList, error) {
	return get[AccessList](ctx, c, "/v1/access")
}

// Grant gives a role, in place of the one that the subject has there.
func (c *Client) Grant(ctx context.Context, b Binding) (Binding, error) {
	return once[Binding](ctx, c, http.MethodPut, "/v1/access", b)
}

// Revoke takes a role away.
func (c *Client) Revoke(ctx context.Context, subject, project string) error {
	q := url.Values{"subject": {subject}, "project": {project}}
	_, err := once[struct{}](ctx, c, http.MethodDelete, "/v1/access?"+q.Encode(), nil)
	return err
}

// EndSessions ends all sessions of a user, by id.
func (c *Client) EndSessions(ctx context.Context, user string) error {
	_, err := once[struct{}](ctx, c, http.MethodDelete, "/v1/sessions?"+url.Values{"user": {user}}.Encode(), nil)
	return err
}

// Audit lists what was done, newest first: a page of at most limit, from a
// cursor ("": the newest).
func (c *Client) Audit(ctx context.Context, limit int, cursor string) (AuditPage, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return get[AuditPage](ctx, c, "/v1/audit?"+q.Encode())
}

// once makes a request that is not repeated.
func once[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return answer, fmt.Errorf("client: encode request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.BaseURL+path, bytes.NewReader(raw))
	if err != nil {
		return answer, fmt.Errorf("client: make request: %w", err)
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	return answer, c.ask(r, &answer)
}
