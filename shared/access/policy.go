// Package access decides and identifies by libraries what the domain's access
// package defines: permissions by casbin, logins by OpenID Connect, limits by
// token buckets.
package access

import (
	"fmt"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	domain "github.com/relevo-ci/relevo/shared/domain/access"
)

// rbac decides for one binding: a role, and the scope that it holds in. A
// permission of the installation (whole) takes the scope of everything.
const rbac = `
[request_definition]
r = role, scope, project, act

[policy_definition]
p = role, act, whole

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.act == p.act && g(r.role, p.role) && covers(r.scope, r.project) && (p.whole == "no" || r.scope == "*")
`

// Policy answers who may do what. It may be asked by many at once.
type Policy struct{ enforcer *casbin.SyncedEnforcer }

// NewPolicy makes the policy of the domain's table.
func NewPolicy() (*Policy, error) {
	m, err := model.NewModelFromString(rbac)
	if err != nil {
		return nil, fmt.Errorf("access: read the model: %w", err)
	}
	e, err := casbin.NewSyncedEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("access: make the enforcer: %w", err)
	}
	e.AddFunction("covers", covers)
	for _, rule := range domain.Rules() {
		if rule.Least == "" {
			continue // nobody is asked for a role
		}
		whole := "no"
		if rule.Whole {
			whole = "yes"
		}
		if _, err := e.AddPolicy(string(rule.Least), string(rule.Permission), whole); err != nil {
			return nil, fmt.Errorf("access: add %s: %w", rule.Permission, err)
		}
	}
	roles := domain.Roles()
	for i := 1; i < len(roles); i++ { // each inherits from the one before
		if _, err := e.AddGroupingPolicy(string(roles[i]), string(roles[i-1])); err != nil {
			return nil, fmt.Errorf("access: add %s: %w", roles[i], err)
		}
	}
	return &Policy{e}, nil
}

// covers is casbin's keyMatch, but for what has no project and a folder itself.
func covers(args ...any) (any, error) {
	scope, ok1 := args[0].(string)
	project, ok2 := args[1].(string)
	if !ok1 || !ok2 {
		return false, fmt.Errorf("access: cover %v by %v: no texts", args[1], args[0])
	}
	if folder, ok := strings.CutSuffix(scope, "/*"); ok {
		rest, below := strings.CutPrefix(project, folder+"/")
		return below && rest != "", nil
	}
	return scope == "*" || (scope == project && project != ""), nil
}

// Allowed tells whether one of the bindings gives a permission in a project;
// what cannot be decided is not allowed.
func (p *Policy) Allowed(list []domain.Binding, what domain.Permission, project string) bool {
	if rule, ok := domain.RuleOf(what); ok && rule.Least == "" {
		return true
	}
	for _, b := range list {
		yes, err := p.enforcer.Enforce(string(b.Role), string(b.Scope), project, string(what))
		if err == nil && yes {
			return true
		}
	}
	return false
}
