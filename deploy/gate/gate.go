// Package gate makes of the settings how callers of the api are known, and what
// each may. It links what only the front doors need.
package gate

import (
	"context"
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/functions/api"
	"github.com/relevo-ci/relevo/shared/access"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/state"
)

const (
	// strangers may fail so often a second, and so often at once, by address.
	strangersRate  = 20
	strangersBurst = 100
)

// Open makes it over a store, whose Committer may be set later, as may what counts
// requests: until then that is this process alone.
func Open(c config.Config, store *state.Access, audit *state.Audit) (*api.Access, error) {
	store.Life, audit.Keep = c.Access.Session, c.Access.Audit
	fixed, err := Fixed(c.Access)
	if err != nil {
		return nil, err
	}
	policy, err := access.NewPolicy()
	if err != nil {
		return nil, err
	}
	a := &api.Access{
		Store: store, Audit: audit, Fixed: fixed, Allowed: policy.Allowed, Public: strings.TrimSuffix(c.Public.URL, "/"),
		Limits: &limit.Memory{}, Proxies: forwarded.Trusted(c.Access.Proxies),
		Callers:   limit.Bound{Rate: float64(c.Access.Rate), Burst: c.Access.Burst},
		Strangers: limit.Bound{Rate: strangersRate, Burst: strangersBurst},
	}
	if o := c.OIDC; o.Issuer != "" {
		a.Login = &access.OIDC{
			Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), GroupsClaim: o.GroupsClaim,
			Scopes: o.Scopes, Redirect: a.Public + "/login/callback",
			Key: func(ctx context.Context) ([]byte, error) { return store.Key(ctx, access.NewKey()) },
		}
	}
	return a, nil
}

// Fixed are the grants of the settings.
func Fixed(a config.Access) (*domain.Policy, error) {
	p := &domain.Policy{}
	add := func(name, subject string, b domain.Binding) error {
		s, err := domain.ParseSubject(subject)
		if err != nil {
			return fmt.Errorf("gate: %s: %w", name, err)
		}
		_, err = p.Set(domain.Grant{Subject: s, Binding: b, By: name, Fixed: true})
		return err
	}
	for _, who := range a.Admins {
		if !strings.Contains(who, ":") {
			who = "user:" + who
		}
		if err := add("RELEVO_ACCESS_ADMINS", who, domain.Binding{Scope: domain.Everything, Role: domain.Admin}); err != nil {
			return nil, err
		}
	}
	for _, text := range a.Grants {
		b, subject, err := grant(text)
		if err == nil {
			err = add("RELEVO_ACCESS_GRANTS", subject, b)
		}
		if err != nil {
			return nil, fmt.Errorf("gate: RELEVO_ACCESS_GRANTS: %w", err)
		}
	}
	return p, nil
}

// grant reads <subject>=<role>@<project>.
func grant(text string) (domain.Binding, string, error) {
	i := strings.LastIndex(text, "=")
	if i < 0 {
		return domain.Binding{}, "", fmt.Errorf("%.80q is not <subject>=<role>@<project>", text)
	}
	role, project, ok := strings.Cut(text[i+1:], "@")
	if !ok {
		return domain.Binding{}, "", fmt.Errorf("%.80q is not <subject>=<role>@<project>", text)
	}
	r, err := domain.ParseRole(role)
	if err != nil {
		return domain.Binding{}, "", err
	}
	s, err := domain.ParseScope(project)
	return domain.Binding{Scope: s, Role: r}, text[:i], err
}
