// Package functions is the table of all functions: what runs in process, as
// Knative services, and in the simulator is this list.
package functions

//go:generate go run ./generate

import (
	assignmentcreated "github.com/relevo-ci/relevo/functions/assignment-created"
	assignmentrefused "github.com/relevo-ci/relevo/functions/assignment-refused"
	awaitmatched "github.com/relevo-ci/relevo/functions/await-matched"
	cancelrequested "github.com/relevo-ci/relevo/functions/cancel-requested"
	capacityupdated "github.com/relevo-ci/relevo/functions/capacity-updated"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	concurrencyacquired "github.com/relevo-ci/relevo/functions/concurrency-acquired"
	concurrencyreleased "github.com/relevo-ci/relevo/functions/concurrency-released"
	deadlettered "github.com/relevo-ci/relevo/functions/dead-lettered"
	eventemitted "github.com/relevo-ci/relevo/functions/event-emitted"
	eventrecorded "github.com/relevo-ci/relevo/functions/event-recorded"
	jobcancelled "github.com/relevo-ci/relevo/functions/job-cancelled"
	jobcancelledscheduler "github.com/relevo-ci/relevo/functions/job-cancelled-scheduler"
	jobchanged "github.com/relevo-ci/relevo/functions/job-changed"
	jobcompleted "github.com/relevo-ci/relevo/functions/job-completed"
	jobended "github.com/relevo-ci/relevo/functions/job-ended"
	jobfailed "github.com/relevo-ci/relevo/functions/job-failed"
	jobrequested "github.com/relevo-ci/relevo/functions/job-requested"
	jobretried "github.com/relevo-ci/relevo/functions/job-retried"
	offercreated "github.com/relevo-ci/relevo/functions/offer-created"
	offerexpired "github.com/relevo-ci/relevo/functions/offer-expired"
	runcompleted "github.com/relevo-ci/relevo/functions/run-completed"
	runrequested "github.com/relevo-ci/relevo/functions/run-requested"
	runrequestedcdevents "github.com/relevo-ci/relevo/functions/run-requested-cdevents"
	runrequestedconcurrency "github.com/relevo-ci/relevo/functions/run-requested-concurrency"
	"github.com/relevo-ci/relevo/functions/worker"
	workercreated "github.com/relevo-ci/relevo/functions/worker-created"
	workerfailed "github.com/relevo-ci/relevo/functions/worker-failed"
	workerterminated "github.com/relevo-ci/relevo/functions/worker-terminated"
	workerterminatedscheduler "github.com/relevo-ci/relevo/functions/worker-terminated-scheduler"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// Deps is what functions are made of.
type Deps struct {
	Runs   *state.Runs
	Pools  *state.Pools
	Groups *state.Groups
	// Doors is the state of the front doors: deliveries, reports to forges,
	// schedules, awaits.
	Doors   *state.Front
	Workers *workers.Workers
	Routes  scheduling.Pools
	Clock   *clockticked.Clock
	Reports *worker.Reports
	// Public is the address that links for people begin with; empty: there are
	// none.
	Public string
	// CDEvents are told of runs, jobs and changes besides, and those of others taken
	// from the broker.
	CDEvents bool
	// Feed may be nil: then nobody watches.
	Feed feed.Feed
	// Limits counts how often callers ask, for all processes; nil: each for itself.
	Limits limit.Limits
	// Proxies in front of the front doors are believed whom they serve.
	Proxies forwarded.Trusted
	// Views are the read models; nil: nobody lists.
	Views *state.Views
	// Dead keeps what could not be delivered.
	Dead *deadletter.Box
	// Wake gets the functions on the way of a job out of their sleep; nil: they do
	// not sleep.
	Wake func()
	// Front are the front doors that the process serves besides, made by whoever
	// puts it together: functions/api. They link more than a handler needs (the
	// compiler of pipelines, an OpenAPI document), and every function would start
	// the slower for it.
	Front []fn.Function
}

// All is the table. Its order is that of a job's way.
func All(d Deps) []fn.Function {
	all := []fn.Function{
		runrequested.New(d.Runs).OnTheWay(),
		runrequestedconcurrency.New(d.Runs, d.Groups).OnTheWay(),
		concurrencyacquired.New(d.Runs, d.Routes),
		jobrequested.New(d.Groups, d.Routes).OnTheWay(),
		offercreated.New(d.Pools).OnTheWay(),
		offerexpired.New(d.Runs),
		assignmentcreated.New(d.Runs, d.Workers).OnTheWay(),
		assignmentrefused.New(d.Pools),
		workercreated.New(d.Runs),
		jobchanged.New(d.Runs, d.Workers),
		workerfailed.New(d.Runs),
		jobended.New(d.Runs),
		jobcompleted.New(d.Workers),
		jobfailed.New(d.Workers),
		jobretried.New(d.Workers),
		jobcancelled.New(d.Workers),
		jobcancelledscheduler.New(d.Runs, d.Pools, d.Routes),
		workerterminated.New(d.Runs),
		workerterminatedscheduler.New(d.Pools),
		concurrencyreleased.New(d.Groups),
		cancelrequested.New(d.Runs),
		awaitmatched.New(d.Runs, d.Doors),
		runcompleted.New(d.Doors, d.Runs, d.Public),
		capacityupdated.New(d.Pools),
		clockticked.New(d.Clock),
		worker.New(d.Reports, d.Workers.Settings.Key).OnTheWay(),
		eventemitted.New(d.Runs, d.Doors, d.Public),
		deadlettered.New(d.Dead),
	}
	if d.CDEvents {
		all = append(all, runrequestedcdevents.New(d.Runs, d.Doors, d.Public))
	}
	if d.Feed != nil || d.Views != nil {
		all = append(all, recorder(d))
	}
	return append(all, d.Front...)
}

// recorder hears for whom there is.
func recorder(d Deps) fn.Function {
	if d.Views == nil {
		return eventrecorded.New(d.Feed, nil)
	}
	return eventrecorded.New(d.Feed, d.Views)
}
