package expr

// The places of a pipeline file, as in GitHub's table of context availability.
var (
	RunName              Scope
	WorkflowEnv          Scope
	WorkflowConcurrency  Scope
	InputDefault         Scope
	JobIf                Scope
	JobName              Scope
	JobEnv               Scope
	JobRunsOn            Scope
	JobStrategy          Scope
	JobConcurrency       Scope
	JobContinueOnError   Scope
	JobTimeout           Scope
	JobContainer         Scope // image and options
	JobContainerEnv      Scope
	ContainerCredentials Scope
	JobServices          Scope
	JobDefaults          Scope
	JobEnvironment       Scope
	JobEnvironmentURL    Scope
	JobOutputs           Scope
	StepIf               Scope
	Step                 Scope // run, name, env, with, working-directory, continue-on-error, timeout-minutes
)
