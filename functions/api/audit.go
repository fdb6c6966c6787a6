package api

import (
	"context"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

type auditInput struct {
	Limit     int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Entries on a page."`
	Cursor    string `query:"cursor" maxLength:"64" doc:"Next of the page before."`
	Principal string `query:"principal" maxLength:"256" doc:"Only what this one did, by id or by name."`
	Action    string `query:"action" maxLength:"64" doc:"Only this, an operation's name."`
	Project   string `query:"project" maxLength:"512" doc:"Only what is of this project."`
	Outcome   string `query:"outcome" enum:"done,refused,failed" doc:"Only what came out so."`
}

type auditOutput struct {
	Body client.AuditPage
}

// listAudit lists what was done. A page may have few entries, or none, where
// those that are asked for are rare: as long as there is a next, go on.
func (a *API) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	if a.Access == nil || a.Access.Audit == nil {
		return nil, errNoAccess
	}
	is := func(wanted, got string) bool { return wanted == "" || wanted == got }
	list, next, err := a.Access.Audit.Page(ctx, in.Cursor, in.Limit, func(e state.AuditEntry) bool {
		return (is(in.Principal, e.Principal) || is(in.Principal, e.Name)) && is(in.Action, e.Action) &&
			is(in.Project, e.Project) && is(in.Outcome, e.Outcome)
	})
	switch {
	case fn.KindOf(err) == fn.Invalid:
		return nil, located("query.cursor", "this is no cursor of a page")
	case err != nil:
		return nil, a.fault(ctx, "list the audit", err)
	}
	out := &auditOutput{Body: client.AuditPage{Entries: make([]client.AuditEntry, len(list)), Next: next}}
	for i, e := range list {
		out.Body.Entries[i] = client.AuditEntry{
			ID: e.ID, At: e.At, Principal: e.Principal, Name: e.Name, Via: e.Via, Token: e.Token,
			Action: e.Action, Target: e.Target, Project: e.Project, Outcome: e.Outcome, Status: e.Status,
		}
	}
	return out, nil
}
