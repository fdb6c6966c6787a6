package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relevo-ci/relevo/shared/domain/access"
)

// where says how the project is found that an operation is about.
type where string

const (
	// everything: it is about the installation.
	everything where = "*"
	ofRun      where = "run"      // {id} is a run
	ofJob      where = "job"      // {id} is a job
	ofDelivery where = "delivery" // {id} is a delivery
	// asGiven: the request says, and the handler asks.
	asGiven where = "request"
	// ofEach: the answer has only what the caller may see.
	ofEach where = "each"
	// oneself: it is about the caller.
	oneself where = "self"
)

type need struct {
	what access.Permission
	of   where
}

// needs is what each operation asks of its caller. One that does not stand here
// nobody may do.
var needs = map[string]need{
	"submitPipeline":   {access.Run, asGiven},
	"listPipelines":    {access.View, ofEach},
	"showPipeline":     {access.View, ofRun},
	"showSubmission":   {access.Run, ofRun},
	"explainPipeline":  {access.View, ofRun},
	"cancelPipeline":   {access.Cancel, ofRun},
	"retryPipeline":    {access.Retry, ofRun},
	"submitJob":        {access.Run, asGiven},
	"listJobs":         {access.View, ofEach},
	"listJobsForPages": {access.View, ofEach},
	"showJob":          {access.View, ofJob},
	"cancelJob":        {access.Cancel, ofJob},
	"showLogs":         {access.View, ofJob},
	"searchLogs":       {access.View, ofRun},
	"showLogIndex":     {access.View, ofJob},
	"listTraces":       {access.View, ofEach},
	"showTrace":        {access.View, ofRun},
	"showWaterfall":    {access.View, ofRun},
	"showMetrics":      {access.View, everything},
	"scrapeMetrics":    {access.View, everything},
	"approveJob":       {access.Approve, ofJob},
	"refuseJob":        {access.Approve, ofJob},
	"listNodes":        {access.View, ofEach},
	"showQueue":        {access.View, ofEach},
	"listPeople":       {access.View, ofEach},
	"rebuildLists":     {access.Rebuild, everything},
	"watchEvents":      {access.View, ofEach},
	"sendEvents":       {access.SendEvents, everything},
	"listDeadLetters":  {access.ViewLetters, everything},
	"showDeadLetter":   {access.ViewLetters, everything},
	"replayDeadLetter": {access.ReplayLetters, everything},

	"discardDeadLetter": {access.ReplayLetters, everything},
	"listDeliveries":    {access.View, ofEach},
	"showDelivery":      {access.View, ofDelivery},
	"replayDelivery":    {access.ReplayTrigger, ofDelivery},

	"showMe":       {access.Authenticated, oneself},
	"makeToken":    {access.ManageTokens, oneself},
	"listTokens":   {access.ManageTokens, oneself},
	"revokeToken":  {access.ManageTokens, oneself},
	"listAccess":   {access.ManageAccess, ofEach},
	"grantAccess":  {access.ManageAccess, asGiven},
	"revokeAccess": {access.ManageAccess, asGiven},
	"listAudit":    {access.ReadAudit, everything},
	"makeLink":     {access.Authenticated, oneself},
	"endSessions":  {access.ManageAccess, everything},
}

// extension is where the document says it.
const extension = "x-relevo-permission"

// declare writes into the document what each operation asks of its caller.
func declare(doc *huma.OpenAPI) {
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			if n, ok := needs[op.OperationID]; ok {
				if op.Extensions == nil {
					op.Extensions = map[string]any{}
				}
				op.Extensions[extension] = map[string]string{"permission": string(n.what), "project": string(n.of)}
			}
		}
	}
}

// allowed judges the caller.
func (a *API) allowed(c *access.Caller, p access.Permission, project string) bool {
	if a.Access != nil && a.Access.Allowed != nil {
		return a.Access.Allowed(c.Bindings, p, project)
	}
	return c.Allowed(p, project)
}

// admit lets an operation begin whose caller may do it.
func (a *API) admit(hc huma.Context, next func(huma.Context)) {
	if p := a.judge(hc.Context(), hc.Operation().OperationID, hc.Param("id")); p != nil {
		_, w := humago.Unwrap(hc)
		p.write(w)
		return
	}
	next(hc)
}

// judge says why the caller may not do an operation; nil where they may, as far
// as can be said before its handler. What is of a project that they may not see
// is not there.
func (a *API) judge(ctx context.Context, operation, id string) *problem {
	q := askedOf(ctx)
	q.action = operation
	n, ok := needs[operation]
	if !ok {
		return q.deny(refuse(http.StatusForbidden, "nobody may do this: it declares no permission"))
	}
	switch n.of {
	case everything:
		return a.permit(ctx, n.what, "")
	case ofRun, ofJob, ofDelivery:
		project, p := a.projectOf(ctx, n.of, id)
		if p != nil {
			return p
		}
		q.project = project
		if !a.allowed(&q.caller, access.View, project) {
			return q.deny(nothing(n.of))
		}
		return a.permit(ctx, n.what, project)
	}
	if !access.Anywhere(q.caller.Bindings, n.what) {
		return q.deny(refuse(http.StatusForbidden, "your roles do not allow this: %s", n.what))
	}
	return nil
}

// permit refuses what the caller may not do in a project.
func (a *API) permit(ctx context.Context, p access.Permission, project string) *problem {
	q := askedOf(ctx)
	if a.allowed(&q.caller, p, project) {
		return nil
	}
	if project == "" {
		return q.deny(refuse(http.StatusForbidden, "your roles do not allow this: %s in everything", p))
	}
	return q.deny(refuse(http.StatusForbidden, "your roles in %s do not allow this: %s", project, p))
}

func (q *asked) deny(p *problem) *problem {
	q.refused = true
	return p
}

// nothing is said of what is not there, and of what the caller may not see.
func nothing(of where) *problem {
	if of == ofDelivery {
		return refuse(http.StatusNotFound, "there is no such delivery")
	}
	return refuse(http.StatusNotFound, "there is no such run")
}
