package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
)

type accessOutput struct {
	Body client.AccessList
}

// listAccess lists the grants of projects that the caller manages.
func (a *API) listAccess(ctx context.Context, _ *struct{}) (*accessOutput, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	policy, err := a.Access.Store.Policy(ctx)
	if err != nil {
		return nil, a.fault(ctx, "list who has which role", err)
	}
	out := &accessOutput{Body: client.AccessList{Grants: []client.Grant{}}}
	add := func(list []access.Grant) {
		for _, g := range list {
			if a.manages(ctx, g.Scope) {
				out.Body.Grants = append(out.Body.Grants, client.Grant{
					Binding: client.Binding{Subject: string(g.Subject), Project: string(g.Scope), Role: string(g.Role)},
					By:      g.By, At: g.At, Fixed: g.Fixed,
				})
			}
		}
	}
	if a.Access.Fixed != nil {
		add(a.Access.Fixed.Grants)
	}
	add(policy.Grants)
	return out, nil
}

// manages tells whether the caller manages access to all of a scope.
func (a *API) manages(ctx context.Context, s access.Scope) bool {
	return access.RoleWithin(callerOf(ctx).Bindings, s).Allows(access.ManageAccess)
}

// managed reads whom and where a change of access is about, which the caller
// must manage.
func (a *API) managed(ctx context.Context, subject, project, where string) (access.Subject, access.Scope, error) {
	s, err := access.ParseSubject(subject)
	if err != nil {
		return "", "", located(where+".subject", err.Error())
	}
	scope, err := access.ParseScope(project)
	if err != nil {
		return "", "", located(where+".project", err.Error())
	}
	q := askedOf(ctx)
	q.project, q.target = string(scope), string(s)+" in "+string(scope)
	if !a.manages(ctx, scope) {
		return "", "", q.deny(refuse(http.StatusForbidden, "you do not manage access to %s", scope))
	}
	return s, scope, nil
}

type grantInput struct {
	Body client.Binding
}

type grantOutput struct {
	Body client.Binding
}

// grantAccess gives a role, in place of the one that the subject has there.
func (a *API) grantAccess(ctx context.Context, in *grantInput) (*grantOutput, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	subject, scope, err := a.managed(ctx, in.Body.Subject, in.Body.Project, "body")
	if err != nil {
		return nil, err
	}
	role, err := access.ParseRole(in.Body.Role)
	if err != nil {
		return nil, located("body.role", err.Error())
	}
	askedOf(ctx).target = fmt.Sprintf("%s as %s in %s", subject, role, scope)
	res, err := a.Access.Store.Grant(ctx, access.Grant{Subject: subject, Binding: access.Binding{Scope: scope, Role: role}, By: by(ctx)})
	switch {
	case fn.KindOf(err) == fn.Exhausted:
		return nil, refuse(http.StatusConflict, "there are too many grants already: give roles to groups")
	case err != nil:
		return nil, a.fault(ctx, "give the role", err)
	}
	a.publish(ctx, res.Emitted)
	return &grantOutput{Body: client.Binding{Subject: string(subject), Project: string(scope), Role: string(role)}}, nil
}

type revokeInput struct {
	Subject string `query:"subject" required:"true" maxLength:"256" doc:"user:<address or id>, or group:<name>."`
	Project string `query:"project" required:"true" maxLength:"512" doc:"As it was given."`
}

func (a *API) revokeAccess(ctx context.Context, in *revokeInput) (*struct{}, error) {
	if a.Access == nil {
		return nil, errNoAccess
	}
	subject, scope, err := a.managed(ctx, in.Subject, in.Project, "query")
	if err != nil {
		return nil, err
	}
	res, err := a.Access.Store.Revoke(ctx, subject, scope, by(ctx))
	if err != nil {
		return nil, a.accessFault(ctx, "take the role away", "grant", err)
	}
	a.publish(ctx, res.Emitted)
	return nil, nil
}
