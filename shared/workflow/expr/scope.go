package expr

import (
	"maps"
	"slices"

	"github.com/rhysd/actionlint"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Scope says what an expression may use at its place in a file. The zero Scope
// allows no context and no function that depends on the place.
type Scope struct {
	Contexts  []string // by lower-case name
	Functions []string // of success, failure, cancelled, always and hashFiles
}

// The places of a pipeline file, as in GitHub's table of context availability
// (docs.github.com, "Contexts reference"). Where `github` is available, so are
// `relevo` and `event`. Relevo's own words of a job (retry, resources, priority, affinity)
// are read when its time-out is: JobTimeout serves them.
var (
	RunName              = at("run-name")
	WorkflowEnv          = at("env")
	WorkflowConcurrency  = at("concurrency")
	InputDefault         = at("on.workflow_call.inputs.<inputs_id>.default")
	JobIf                = at("jobs.<job_id>.if")
	JobName              = at("jobs.<job_id>.name")
	JobEnv               = at("jobs.<job_id>.env")
	JobRunsOn            = at("jobs.<job_id>.runs-on")
	JobStrategy          = at("jobs.<job_id>.strategy")
	JobConcurrency       = at("jobs.<job_id>.concurrency")
	JobContinueOnError   = at("jobs.<job_id>.continue-on-error")
	JobTimeout           = at("jobs.<job_id>.timeout-minutes")
	JobContainer         = at("jobs.<job_id>.container.image") // image and options
	JobContainerEnv      = at("jobs.<job_id>.container.env.<env_id>")
	ContainerCredentials = at("jobs.<job_id>.container.credentials")
	JobServices          = at("jobs.<job_id>.services")
	JobDefaults          = at("jobs.<job_id>.defaults.run")
	JobEnvironment       = at("jobs.<job_id>.environment")
	JobEnvironmentURL    = at("jobs.<job_id>.environment.url")
	JobOutputs           = at("jobs.<job_id>.outputs.<output_id>")
	StepIf               = at("jobs.<job_id>.steps.if")
	// Step is run, name, env, with, working-directory, continue-on-error and
	// timeout-minutes.
	Step = at("jobs.<job_id>.steps.run")
)

// Relevo's contexts beside GitHub's: own is another name for github, event the
// CloudEvent that started the run, or was awaited.
const (
	own   = "relevo"
	event = "event"
)

// contexts are all that there are anywhere.
var contexts = append(slices.Sorted(maps.Keys(actionlint.AllContexts)), own, event)

func at(key string) Scope {
	var s Scope
	names, functions := actionlint.WorkflowKeyAvailability(key)
	s.Contexts = append(s.Contexts, names...)
	if slices.Contains(names, "github") {
		s.Contexts = append(s.Contexts, own, event)
	}
	slices.Sort(s.Contexts)
	for _, name := range functions { // actionlint has them in lower case
		if f, ok := expression.Function(name); ok {
			s.Functions = append(s.Functions, f.Name)
		}
	}
	return s
}
