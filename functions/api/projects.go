package api

import (
	"context"
	"net/http"
	"sync"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
)

// projectOf finds the project of what a request names.
func (a *API) projectOf(ctx context.Context, of where, id string) (string, *problem) {
	if of == ofDelivery {
		return a.projectOfDelivery(ctx, events.DeliveryID(id))
	}
	run := events.RunID(id)
	if of == ofJob {
		var ok bool
		if run, _, ok = parseJobID(id); !ok {
			return "", refuse(http.StatusNotFound, "there is no such job")
		}
	}
	project, err := a.projectOfRun(ctx, run)
	if err != nil {
		return "", a.fault(ctx, "look at the run", err)
	}
	return project, nil
}

func (a *API) projectOfDelivery(ctx context.Context, id events.DeliveryID) (string, *problem) {
	if a.Doors == nil {
		return "", errNoDoors
	}
	d, _, err := a.Doors.Delivery(ctx, id)
	switch {
	case err == nil:
		return projectOfSource(d.Source, d.Repository), nil
	case fn.KindOf(err) == fn.NotFound:
		return "", nothing(ofDelivery)
	}
	return "", a.fault(ctx, "look at the delivery", err)
}

// projectOfSource names the project of a forge's repository; what comes from no
// repository is of none.
func projectOfSource(source, repository string) string {
	if repository == "" {
		return ""
	}
	return source + "/" + repository
}

// origin is where a run comes from.
type origin struct{ project, repository string }

// origins remembers where runs come from, which never changes.
type origins struct {
	mu sync.Mutex
	of map[events.RunID]origin
}

const mostOrigins = 20_000

func (o *origins) get(run events.RunID) (origin, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, ok := o.of[run]
	return from, ok
}

func (o *origins) put(run events.RunID, from origin) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil || len(o.of) >= mostOrigins {
		o.of = map[events.RunID]origin{}
	}
	o.of[run] = from
}

// originOfRun is where a run comes from; an error as a.run's.
func (a *API) originOfRun(ctx context.Context, id events.RunID) (origin, error) {
	if from, ok := a.origins.get(id); ok {
		return from, nil
	}
	run, _, err := a.run(ctx, id)
	if err != nil {
		return origin{}, err
	}
	from := origin{run.Project, run.Request().Trigger.Repository}
	a.origins.put(id, from)
	return from, nil
}

// projectOfRun is the project that a run is of; an error as a.run's.
func (a *API) projectOfRun(ctx context.Context, id events.RunID) (string, error) {
	from, err := a.originOfRun(ctx, id)
	return from.project, err
}

// scopes are the projects whose runs a caller may see, as scopes of view.Query;
// nil: all of them.
func (a *API) scopes(ctx context.Context) []string {
	c := callerOf(ctx)
	if a.allowed(c, access.View, "") {
		return nil
	}
	scopes := []string{}
	for _, b := range c.Bindings {
		if b.Role.Allows(access.View) {
			scopes = append(scopes, string(b.Scope))
		}
	}
	return scopes
}

// visible tells of projects whether the caller may see what is of them. It
// remembers: answers ask it row by row.
func (a *API) visible(ctx context.Context) func(project string) bool {
	c := callerOf(ctx)
	if a.allowed(c, access.View, "") {
		return func(string) bool { return true }
	}
	known := map[string]bool{}
	return func(project string) bool {
		yes, ok := known[project]
		if !ok {
			yes = a.allowed(c, access.View, project)
			known[project] = yes
		}
		return yes
	}
}

// visibleRun is visible, of runs; one that is gone is not.
func (a *API) visibleRun(ctx context.Context) func(run events.RunID) bool {
	see := a.visible(ctx)
	all := a.allowed(callerOf(ctx), access.View, "")
	return func(run events.RunID) bool {
		if all {
			return true
		}
		project, err := a.projectOfRun(ctx, run)
		return err == nil && see(project)
	}
}
