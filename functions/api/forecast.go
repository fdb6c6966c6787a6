package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/view"
)

// newestJobs is how many of a pool's jobs tell how long jobs take.
const newestJobs = 200

// forecast adds when the offers that wait in a pool may start.
func (a *API) forecast(ctx context.Context, v *poolView) error {
	var left []events.OfferID
	for _, o := range v.pool.Sorted() {
		if u, ok := v.left[o.Offer]; ok && !u.Never {
			left = append(left, o.Offer)
		}
	}
	if len(left) == 0 || a.Views == nil {
		return nil
	}
	rows, err := a.Views.View.Page(ctx, view.Jobs, view.Index{Field: "pool", Value: string(v.pool.ID)}, "", newestJobs)
	if err != nil {
		return fmt.Errorf("api: read the newest jobs of pool %s: %w", v.pool.ID, err)
	}
	jobs, err := bodies[view.Job](rows)
	if err != nil {
		return err
	}
	var took []time.Duration
	for _, j := range jobs {
		if j.CarriedFrom == "" && !j.Started.IsZero() && !j.Ended.IsZero() {
			took = append(took, j.Ended.Sub(j.Started))
		}
	}
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	v.typical = took[len(took)/2]
	running := slices.Repeat([]time.Time{v.now}, len(v.placed)) // in a moment
	for _, h := range v.pool.Held {
		running = append(running, h.Since)
	}
	v.starts = map[events.OfferID]time.Time{}
	for i, at := range scheduling.Forecast(v.now, running, took, len(left)) {
		v.starts[left[i]] = at
	}
	return nil
}
