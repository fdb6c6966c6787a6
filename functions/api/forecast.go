package api

import (
	"context"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/view"
)

// newestJobs is how many of a pool's jobs tell how long jobs take.
const newestJobs = 200

// forecast adds when the offers that wait in a pool may start. Nobody is refused
// the queue because that cannot be told.
func (a *API) forecast(ctx context.Context, v *poolView) {
	v.starts = map[events.OfferID]time.Time{}
	for id := range v.placed {
		v.starts[id] = v.now
	}
	var left []events.OfferID
	for _, o := range v.pool.Sorted() {
		if u, ok := v.left[o.Offer]; ok && !u.Never {
			left = append(left, o.Offer)
		}
	}
	if len(left) == 0 || a.Views == nil {
		return
	}
	took, err := a.took(ctx, v.pool.ID)
	if err != nil {
		a.Log.WarnContext(ctx, "api: no forecast", "pool", v.pool.ID, "error", err)
	}
	if len(took) == 0 {
		return
	}
	v.typical = took[len(took)/2]
	running := slices.Repeat([]time.Time{v.now}, len(v.placed)) // in a moment
	for _, h := range v.pool.Held {
		running = append(running, h.Since)
	}
	for i, at := range scheduling.Forecast(v.now, running, took, len(left)) {
		v.starts[left[i]] = at
	}
}

// took is how long the newest jobs of a pool took, the shortest first.
func (a *API) took(ctx context.Context, pool events.PoolID) ([]time.Duration, error) {
	rows, err := a.Views.View.Page(ctx, view.Jobs, view.Index{Field: "pool", Value: string(pool)}, "", newestJobs)
	if err != nil {
		return nil, err
	}
	jobs, err := bodies[view.Job](rows)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for _, j := range jobs {
		if j.CarriedFrom == "" && !j.Started.IsZero() && !j.Ended.IsZero() {
			took = append(took, j.Ended.Sub(j.Started))
		}
	}
	slices.Sort(took)
	return took, nil
}

// pipelines are the names of the pipelines of what waits in a pool, by run.
func (a *API) pipelines(ctx context.Context, v *poolView) map[events.RunID]string {
	names := map[events.RunID]string{}
	if a.Views == nil {
		return names
	}
	for _, o := range v.pool.Queue {
		names[o.For.Run] = ""
	}
	ids := make([]string, 0, len(names))
	for id := range names {
		ids = append(ids, string(id))
	}
	rows, err := a.Views.View.Get(ctx, view.Runs, ids...)
	if err == nil {
		var runs []view.Run
		runs, err = bodies[view.Run](rows)
		for _, r := range runs {
			names[r.ID] = r.Pipeline
		}
	}
	if err != nil {
		a.Log.WarnContext(ctx, "api: no names of pipelines", "pool", v.pool.ID, "error", err)
	}
	return names
}
