package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	doors "github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/view"
)

// How much of the newest is looked at for what no index counts.
const (
	recentJobs = 5000
	recentRuns = 1000
	recentPage = 500
)

type metricsOutput struct {
	Body client.Metrics
}

func (a *API) showMetrics(ctx context.Context, _ *struct{}) (*metricsOutput, error) {
	m, err := a.metrics(ctx)
	if err != nil {
		return nil, a.fault(ctx, "gather the numbers", err)
	}
	return &metricsOutput{Body: m}, nil
}

// metrics reads the numbers from the read models, the pools and the box of dead
// letters. It wakes nobody, and looks at a bounded number of rows.
func (a *API) metrics(ctx context.Context) (client.Metrics, error) {
	if a.Views == nil {
		return client.Metrics{}, errNoViews
	}
	now, since, err := a.retained(ctx)
	if err != nil {
		return client.Metrics{}, err
	}
	m := client.Metrics{At: now, Since: since, Pools: []client.PoolMetric{}}
	if err := a.counts(ctx, &m); err != nil {
		return m, err
	}
	if m.Recent, err = a.recent(ctx, since); err != nil {
		return m, err
	}
	if a.Dead != nil {
		box, err := a.Dead.List(ctx, 1)
		if err != nil {
			return m, err
		}
		m.DeadLetters = box.Kept
	}
	pools, err := a.pools(ctx)
	if err != nil {
		return m, err
	}
	for _, v := range pools {
		m.Pools = append(m.Pools, v.metric(now))
	}
	return m, nil
}

// counts are what the indexes say.
func (a *API) counts(ctx context.Context, m *client.Metrics) error {
	for _, c := range []struct {
		kind   view.Kind
		states []string
		into   *map[string]int
	}{
		{view.Runs, []string{string(pipeline.RunRequested), string(pipeline.RunRunning), string(pipeline.RunSucceeded), string(pipeline.RunFailed), string(pipeline.RunCancelled)}, &m.Runs},
		{view.Jobs, []string{
			view.Waiting, string(pipeline.Pending), string(pipeline.Scheduled), string(pipeline.Running), string(pipeline.Succeeded),
			string(pipeline.Failed), string(pipeline.Cancelled), string(pipeline.Terminated), string(pipeline.Skipped),
		}, &m.Jobs},
		{view.Deliveries, []string{string(doors.Received), string(doors.Working), string(doors.Done), string(doors.Refused)}, &m.Deliveries},
	} {
		indexes := make([]view.Index, len(c.states))
		for i, s := range c.states {
			indexes[i] = view.Index{Field: "state", Value: s}
		}
		n, err := a.Views.View.Count(ctx, c.kind, indexes...)
		if err != nil {
			return fmt.Errorf("api: count %ss: %w", c.kind, err)
		}
		*c.into = make(map[string]int, len(n))
		for i, s := range c.states {
			(*c.into)[s] = n[i]
		}
	}
	return nil
}

// recent is what the newest rows say.
func (a *API) recent(ctx context.Context, since time.Time) (client.Recent, error) {
	r := client.Recent{Verdicts: map[events.Verdict]int{}}
	var waits, jobs, runs []float64
	err := newest(ctx, a.Views.View, view.Jobs, since, recentJobs, func(j view.Job) {
		if j.CarriedFrom != "" {
			return // it is counted where it ran
		}
		r.Jobs++
		if !j.Started.IsZero() && !j.Asked.IsZero() {
			waits = append(waits, max(0, j.Started.Sub(j.Asked).Seconds()))
		}
		if j.Ended.IsZero() || j.Verdict == "" {
			return
		}
		r.Verdicts[j.Verdict]++
		if !j.Started.IsZero() {
			jobs = append(jobs, max(0, j.Ended.Sub(j.Started).Seconds()))
		}
	})
	if err == nil {
		err = newest(ctx, a.Views.View, view.Runs, since, recentRuns, func(run view.Run) {
			r.Runs++
			if !run.Ended.IsZero() {
				runs = append(runs, max(0, run.Ended.Sub(run.Requested).Seconds()))
			}
		})
	}
	r.Wait, r.JobDuration, r.RunDuration = quantiles(waits), quantiles(jobs), quantiles(runs)
	return r, err
}

// newest gives f the bodies of so many rows at most, none from before since.
func newest[T any](ctx context.Context, s view.Store, kind view.Kind, since time.Time, most int, f func(T)) error {
	var after view.Cursor
	for seen := 0; seen < most; {
		rows, err := s.Page(ctx, kind, view.All, after, recentPage)
		if err != nil {
			return fmt.Errorf("api: read the newest %ss: %w", kind, err)
		}
		list, err := bodies[T](rows)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if !since.IsZero() && row.Score < since.UnixMilli() {
				return nil
			}
			f(list[i])
			after = row.Place()
		}
		if seen += len(rows); len(rows) < recentPage {
			return nil
		}
	}
	return nil
}

func quantiles(all []float64) client.Quantiles {
	q := client.Quantiles{Count: len(all)}
	if len(all) == 0 {
		return q
	}
	slices.Sort(all)
	for _, v := range all {
		q.Sum += v
	}
	at := func(p float64) float64 { return all[min(len(all)-1, int(p*float64(len(all))))] }
	q.P50, q.P95, q.P99 = at(0.5), at(0.95), at(0.99)
	return q
}

func (v *poolView) metric(now time.Time) client.PoolMetric {
	m := client.PoolMetric{ID: v.pool.ID, Waiting: v.waiting, Workers: len(v.pool.Held)}
	for id, n := range v.pool.Nodes {
		if n.Gone {
			continue
		}
		m.Nodes++
		m.Capacity, m.Free = sum(m.Capacity, n.Capacity), sum(m.Free, v.free[id])
	}
	for _, o := range v.pool.Queue {
		m.OldestSeconds = max(m.OldestSeconds, oldest(o, now))
	}
	return m
}

func oldest(o scheduling.Offer, now time.Time) float64 { return now.Sub(o.Queued).Seconds() }

func sum(a, b events.Resources) events.Resources {
	return events.Resources{CPU: a.CPU + b.CPU, Memory: a.Memory + b.Memory, GPU: a.GPU + b.GPU, Slots: a.Slots + b.Slots}
}

// registerScrape adds GET /metrics, in Prometheus's form. It is made when it is
// asked for, of what GET /v1/metrics says.
func (a *API) registerScrape(mux *http.ServeMux, h huma.API) {
	const path, id = "/metrics", "scrapeMetrics"
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		if p := a.judge(r.Context(), id, ""); p != nil {
			p.write(w)
			return
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(&numbers{api: a, ctx: r.Context()})
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
	op := streaming(operation(h, id, http.MethodGet, path, "The numbers, for Prometheus"), "text/plain; version=0.0.4", "Prometheus's text form.", nil)
	h.OpenAPI().AddOperation(&op)
}
