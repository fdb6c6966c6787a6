package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	domain "github.com/relevo-ci/relevo/shared/domain/access"
)

// OIDC logs people in by OpenID Connect: the code flow with PKCE, state and
// nonce. Its fields are set before its first use.
type OIDC struct {
	// Issuer is where the provider's configuration is found.
	Issuer string
	// ClientID and ClientSecret are what the provider knows this installation by;
	// a public client has no secret.
	ClientID, ClientSecret string
	// Redirect is where the provider sends browsers back to: <public>/login/callback.
	Redirect string
	// GroupsClaim names the claim with the groups; empty: groups.
	GroupsClaim string
	// Scopes are asked for besides openid, profile and email.
	Scopes []string
	// Key gives the key that seals what browsers keep meanwhile.
	Key func(ctx context.Context) ([]byte, error)
	// HTTP asks the provider; nil: a client with a time-out.
	HTTP *http.Client
	// Now is the time; nil: time.Now.
	Now func() time.Time

	mu       sync.Mutex
	provider *oidc.Provider
}

const askTime = 10 * time.Second

func (o *OIDC) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// client puts the HTTP client where the libraries look for it.
func (o *OIDC) client(ctx context.Context) context.Context {
	c := o.HTTP
	if c == nil {
		c = &http.Client{Timeout: askTime}
	}
	return oidc.ClientContext(ctx, c)
}

// discover asks for the provider's configuration once it is needed, and again
// until it was had.
func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider keeps the context for its keys: it must not end.
		p, err := oidc.NewProvider(o.client(context.WithoutCancel(ctx)), o.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("access: ask the provider for its configuration: %w", err)
		}
		o.provider = p
	}
	scopes := append([]string{oidc.ScopeOpenID, "profile", "email"}, o.Scopes...)
	return o.provider, &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: o.provider.Endpoint(),
		RedirectURL: o.Redirect, Scopes: slices.Compact(scopes),
	}, nil
}

// Begin starts a login that ends at a path of this server. It gives the provider's address
// for the browser, and what the browser keeps until Finish.
func (o *OIDC) Begin(ctx context.Context, back string) (address, keep string, err error) {
	_, config, err := o.discover(ctx)
	if err != nil {
		return "", "", err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return "", "", fmt.Errorf("access: key of logins: %w", err)
	}
	p := pending{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Return: back, Ends: o.now().Add(pendingLife),
	}
	if keep, err = p.seal(key); err != nil {
		return "", "", err
	}
	return config.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), keep, nil
}

// Finish takes the provider's answer to a login. It gives what the provider says
// of who it was, and the local path that the login was to end at.
func (o *OIDC) Finish(ctx context.Context, keep string, answer url.Values) (domain.Claims, string, error) {
	none := domain.Claims{}
	key, err := o.Key(ctx)
	if err != nil {
		return none, "", fmt.Errorf("access: key of logins: %w", err)
	}
	p, err := open(key, keep, o.now())
	switch {
	case errors.Is(err, errPending):
		return none, "", fmt.Errorf("%w: %w", domain.ErrAgain, err)
	case err != nil:
		return none, "", err
	case !same(answer.Get("state"), p.State):
		return none, "", fmt.Errorf("%w: the state is another", domain.ErrAgain)
	case answer.Has("iss") && answer.Get("iss") != o.Issuer: // RFC 9207
		return none, "", fmt.Errorf("%w: it comes from another issuer", domain.ErrAgain)
	case answer.Get("error") != "":
		return none, "", fmt.Errorf("%w: %.80q", domain.ErrRefused, answer.Get("error"))
	}
	claims, err := o.exchange(ctx, answer.Get("code"), p)
	return claims, p.Return, err
}

// exchange redeems the code, and reads the identity that it stands for.
func (o *OIDC) exchange(ctx context.Context, code string, p pending) (domain.Claims, error) {
	none := domain.Claims{}
	provider, config, err := o.discover(ctx)
	if err != nil {
		return none, err
	}
	ctx = o.client(ctx)
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		var told *oauth2.RetrieveError
		if errors.As(err, &told) { // what it holds besides may be secret
			return none, fmt.Errorf("%w: the code: %.80q", domain.ErrRefused, told.ErrorCode)
		}
		return none, fmt.Errorf("access: redeem the code: %w", err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx, raw)
	if err != nil {
		return none, fmt.Errorf("%w: verify the identity token: %w", domain.ErrRefused, err)
	}
	if !same(id.Nonce, p.Nonce) {
		return none, fmt.Errorf("%w: the identity token is of another login", domain.ErrRefused)
	}
	said := map[string]any{}
	if err := id.Claims(&said); err != nil {
		return none, fmt.Errorf("access: read the identity token: %w", err)
	}
	if err := o.more(ctx, provider, tokens, id.Subject, said); err != nil {
		return none, err
	}
	return o.claims(id, said), nil
}

// more asks for what the identity token leaves out: providers may tell the rest
// at another address.
func (o *OIDC) more(ctx context.Context, provider *oidc.Provider, tokens *oauth2.Token, subject string, said map[string]any) error {
	if said["email"] != nil && said[o.groupsClaim()] != nil || provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return fmt.Errorf("access: ask who it is: %w", err)
	}
	if info.Subject != subject {
		return fmt.Errorf("%w: the user's information is of somebody else", domain.ErrRefused)
	}
	further := map[string]any{}
	if err := info.Claims(&further); err != nil {
		return fmt.Errorf("access: read who it is: %w", err)
	}
	for name, v := range further {
		if said[name] == nil {
			said[name] = v
		}
	}
	return nil
}

func (o *OIDC) groupsClaim() string {
	if o.GroupsClaim != "" {
		return o.GroupsClaim
	}
	return "groups"
}

func (o *OIDC) claims(id *oidc.IDToken, said map[string]any) domain.Claims {
	c := domain.Claims{Issuer: id.Issuer, Subject: id.Subject}
	c.Email, _ = said["email"].(string)
	c.Name, _ = said["name"].(string)
	if c.Name == "" {
		c.Name, _ = said["preferred_username"].(string)
	}
	switch verified := said["email_verified"].(type) {
	case bool:
		c.Verified = verified
	case string: // some say so
		c.Verified = verified == "true"
	}
	switch groups := said[o.groupsClaim()].(type) {
	case string:
		c.Groups = []string{groups}
	case []any:
		for _, g := range groups {
			if name, ok := g.(string); ok {
				c.Groups = append(c.Groups, name)
			}
		}
	}
	return c
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 && a != "" }
