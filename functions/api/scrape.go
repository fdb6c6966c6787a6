package api

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
)

// numbers is a Collector that reads the stores at a scrape: no process counts,
// and one that was asleep has the same numbers as one that was not. None of its
// labels is an id.
type numbers struct {
	api *API
	ctx context.Context //nolint:containedctx // it lives for one scrape
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	runsDesc       = describe("relevo_pipeline_runs", "Runs that are kept, by state.", "state")
	jobsDesc       = describe("relevo_pipeline_jobs", "Jobs of runs that are kept, by state.", "state")
	deliveriesDesc = describe("relevo_trigger_deliveries", "Deliveries that are kept, by state.", "state")
	lettersDesc    = describe("relevo_bus_dead_letters", "Events that could not be delivered.")
	verdictsDesc   = describe("relevo_pipeline_recent_jobs", "Of the newest jobs those that ended, by result.", "result")
	waitDesc       = describe("relevo_pipeline_job_wait_seconds", "From a job's request to its start, of the newest jobs.")
	durationDesc   = describe("relevo_pipeline_job_duration_seconds", "From a job's start to its end, of the newest jobs.")
	runDesc        = describe("cicd_pipeline_run_duration_seconds", "From a run's request to its end, of the newest runs ("+telemetry.RunDuration+").")
	waitingDesc    = describe("relevo_scheduler_queue_length", "Jobs that wait for capacity.", "pool")
	oldestDesc     = describe("relevo_scheduler_queue_oldest_seconds", "How long the one that waits longest does.", "pool")
	nodesDesc      = describe("relevo_scheduler_nodes", "Nodes that are there.", "pool")
	workersDesc    = describe("relevo_scheduler_workers", "Workers that hold capacity (cicd.worker.count).", "pool")
	capacityDesc   = describe("relevo_scheduler_capacity", "What the nodes declare: cores, bytes, devices, slots.", "pool", "resource")
	freeDesc       = describe("relevo_scheduler_capacity_free", "What of it no worker holds.", "pool", "resource")
	upDesc         = describe("relevo_up", "Whether the stores answered.")
)

// Describe names what there is.
func (n *numbers) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		runsDesc, jobsDesc, deliveriesDesc, lettersDesc, verdictsDesc, waitDesc, durationDesc, runDesc,
		waitingDesc, oldestDesc, nodesDesc, workersDesc, capacityDesc, freeDesc, upDesc,
	} {
		ch <- d
	}
}

// Collect reads the numbers. Where a store is away there is only relevo_up 0.
func (n *numbers) Collect(ch chan<- prometheus.Metric) {
	m, err := n.api.metrics(n.ctx)
	if err != nil {
		n.api.Log.Warn("api: gather the numbers", "error", err)
		ch <- gauge(upDesc, 0)
		return
	}
	ch <- gauge(upDesc, 1)
	for _, by := range []struct {
		desc  *prometheus.Desc
		count map[string]int
	}{{runsDesc, m.Runs}, {jobsDesc, m.Jobs}, {deliveriesDesc, m.Deliveries}} {
		for state, count := range by.count {
			ch <- gauge(by.desc, float64(count), state)
		}
	}
	ch <- gauge(lettersDesc, float64(m.DeadLetters))
	results := map[string]int{}
	for verdict, count := range m.Recent.Verdicts {
		results[telemetry.ResultOf(verdict)] += count
	}
	for result, count := range results {
		ch <- gauge(verdictsDesc, float64(count), result)
	}
	ch <- summaryOf(waitDesc, m.Recent.Wait)
	ch <- summaryOf(durationDesc, m.Recent.JobDuration)
	ch <- summaryOf(runDesc, m.Recent.RunDuration)
	for _, p := range m.Pools {
		pool := string(p.ID)
		ch <- gauge(waitingDesc, float64(p.Waiting), pool)
		ch <- gauge(oldestDesc, p.OldestSeconds, pool)
		ch <- gauge(nodesDesc, float64(p.Nodes), pool)
		ch <- gauge(workersDesc, float64(p.Workers), pool)
		amounts(ch, capacityDesc, pool, p.Capacity)
		amounts(ch, freeDesc, pool, p.Free)
	}
}

func amounts(ch chan<- prometheus.Metric, desc *prometheus.Desc, pool string, r events.Resources) {
	ch <- gauge(desc, float64(r.CPU)/1000, pool, "cpu")
	ch <- gauge(desc, float64(r.Memory), pool, "memory")
	ch <- gauge(desc, float64(r.GPU), pool, "gpu")
	ch <- gauge(desc, float64(r.Slots), pool, "slots")
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func summaryOf(desc *prometheus.Desc, q client.Quantiles) prometheus.Metric {
	return prometheus.MustNewConstSummary(desc, uint64(max(0, q.Count)), q.Sum, map[float64]float64{0.5: q.P50, 0.95: q.P95, 0.99: q.P99}) //nolint:gosec // it is not negative
}
