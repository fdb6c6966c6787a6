package main

import "slices"

// Bugs is the table of all that are planted.
func Bugs() []Bug {
	return slices.Concat(fences(), workers(), atomicity(), timers(), outbox(), transitions(), carrying(), budgets(), groups(), capacity(), waits(), lists())
}

func bug(name, breaks string, edits ...Edit) Bug {
	return Bug{Name: name, Breaks: breaks, Edits: edits}
}

// The files that bugs are planted in.
const (
	runFile      = "shared/domain/pipeline/run.go"
	decideFile   = "shared/domain/pipeline/decide.go"
	applyFile    = "shared/domain/pipeline/apply.go"
	advanceFile  = "shared/domain/pipeline/advance.go"
	carryFile    = "shared/domain/pipeline/carry.go"
	dueFile      = "shared/domain/pipeline/due.go"
	statesFile   = "shared/domain/pipeline/states.go"
	groupFile    = "shared/domain/pipeline/group.go"
	poolFile     = "shared/domain/scheduling/pool.go"
	planFile     = "shared/domain/scheduling/plan.go"
	routeFile    = "shared/domain/scheduling/route.go"
	stateRuns    = "shared/state/runs.go"
	statePools   = "shared/state/pools.go"
	stateGroups  = "shared/state/groups.go"
	stateFile    = "shared/state/state.go"
	memoryCommit = "shared/memory/commit.go"
	memoryRewind = "shared/memory/snapshot.go"
	logsMemory   = "shared/logs/memory.go"
	logsFile     = "shared/logs/logs.go"
	workersFile  = "shared/workers/workers.go"
	fakeFile     = "providers/fake/fake.go"
	roundsFile   = "functions/clock-ticked/rounds.go"
	viewsFile    = "shared/state/views.go"
	mendFile     = "shared/state/mend.go"
	clockFile    = "functions/clock-ticked/clock.go"
	reportsFile  = "functions/worker/reports.go"
	acceptFile   = "functions/assignment-created/handler.go"
	refusedFile  = "functions/assignment-refused/handler.go"
	releaseFile  = "functions/worker-terminated-scheduler/handler.go"
	jobAsked     = "functions/job-requested/handler.go"
	emitterFile  = "events/emitter.go"
)
