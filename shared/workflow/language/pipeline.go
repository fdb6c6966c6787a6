package language

// The names that people choose.
const (
	IDPattern  = `^[A-Za-z_][A-Za-z0-9_-]*$`  // jobs, steps, outputs, inputs
	EnvPattern = `^[A-Za-z_][A-Za-z0-9_.-]*$` // environment variables
)

// Workflow is the file itself.
var Workflow = &Place{ID: "workflow", Name: "the file", Keys: []Key{
	{Name: "name", Doc: "What people see; the file's name by default.", Value: text()},
	{Name: "run-name", Doc: "What people see of one run; may hold expressions.", Value: text()},
	{Name: "on", Doc: "What starts a run: an event, a list of events, or a mapping of events to their filters. May be left out in .relevo files: then people start it.", Value: onShape()},
	{Name: "env", Doc: "Environment variables of every step.", Value: env()},
	{Name: "defaults", Doc: "Defaults of every `run`.", Value: ref(Defaults)},
	{Name: "permissions", Doc: "What the run's token may do: read-all, write-all, or a mapping of scopes.", Value: permissions()},
	{Name: "concurrency", Doc: "One run at a time of those with the same group.", Value: concurrency()},
	{Name: "jobs", Required: true, Doc: "The jobs by id.", Value: func() Shape {
		s := named(IDPattern, ref(Job))
		s["minProperties"] = 1
		return s
	}()},
}}

// Defaults are defaults of a file or job.
var Defaults = &Place{ID: "defaults", Name: "defaults", Keys: []Key{
	{Name: "run", Required: true, Doc: "Defaults of every `run`.", Value: ref(DefaultsRun)},
}}

// DefaultsRun are the defaults of run steps.
var DefaultsRun = &Place{ID: "defaultsRun", Name: "defaults.run", Keys: []Key{
	{Name: "shell", Doc: "sh, bash, or a command with {0} for the script's file.", Value: shell()},
	{Name: "working-directory", Doc: "Where the script starts.", Value: text()},
}}

// Concurrency is the long form of concurrency.
var Concurrency = &Place{ID: "concurrency", Name: "concurrency", Keys: []Key{
	{Name: "group", Required: true, Doc: "The group's name; one of it runs, one waits.", Value: text()},
	{Name: "cancel-in-progress", Doc: "Whether a newer one cancels the one that runs.", Value: boolOrExpr()},
}}

// Job is one job.
var Job = &Place{ID: "job", Name: "a job", OneOf: []string{"steps", "await"}, Keys: append([]Key{
	{Name: "name", Doc: "What people see; the id and the matrix's values by default.", Value: text()},
	{Name: "needs", Doc: "Jobs that have to end before this one begins.", Value: either(pattern(IDPattern), list(pattern(IDPattern)))},
	{Name: "if", Doc: "Whether the job runs; success() by default.", Value: text()},
	{Name: "runs-on", Doc: "Labels that the node must carry. May be left out in .relevo files: then any node will do.", Value: either(textOrList(), ref(RunsOn))},
	{Name: "permissions", Doc: "In place of the file's permissions.", Value: permissions()},
	{Name: "strategy", Doc: "A matrix, and how its jobs stand to one another.", Value: ref(Strategy)},
	{Name: "container", Doc: "The image that the steps run in.", Value: either(text(), ref(Container))},
	{Name: "env", Doc: "Environment variables of the job's steps.", Value: env()},
	{Name: "defaults", Doc: "Defaults of the job's `run`.", Value: ref(Defaults)},
	{Name: "steps", Doc: "What the job does, in order.", Value: filled(list(ref(Step)))},
	{Name: "await", Support: Own, Doc: "What the job waits for instead of running steps: an event from outside, or somebody's approval. No worker is held meanwhile. Beside it stand name, needs, if and outputs alone.", Value: ref(Await)},
	{Name: "outputs", Doc: "Values for the jobs that need this one.", Value: named(IDPattern, textOrNull())},
	{Name: "timeout-minutes", Doc: "After how long the job is ended; 360 by default.", Value: minutes()},
	{Name: "continue-on-error", Doc: "Whether the run goes on when the job fails.", Value: boolOrExpr()},
	{Name: "concurrency", Doc: "One job at a time of those with the same group.", Value: concurrency()},
	{Name: "uses", Support: Refused, Doc: "write the called workflow's jobs here"},
	{Name: "with", Support: Refused, Doc: "it belongs to `uses`: write the called workflow's jobs here, and its inputs as env"},
	{Name: "secrets", Support: Refused, Doc: "it belongs to `uses`: read a secret in env, as ${{ secrets.NAME }}"},
	{Name: "services", Support: Refused, Doc: "start what the steps need in a step of its own"},
	{Name: "environment", Support: Refused, Doc: "put its variables into env, and its conditions into if"},
	{Name: "snapshot", Support: Refused, Doc: "build one in a step and name it in container"},
	{Name: "emit", Support: Refused, Doc: "make it a step"},
	{Name: "vars", Support: Refused, Doc: "put them into env"},
}, ownKeys()...)}

// Strategy is a job's strategy.
var Strategy = &Place{ID: "strategy", Name: "strategy", Keys: []Key{
	{Name: "matrix", Doc: "Lists by name, whose combinations give a job each; include adds to them, exclude takes away. At most 256 combinations; no expressions.", Value: matrix()},
	{Name: "fail-fast", Doc: "Whether one failure cancels the others; true by default.", Value: boolean()},
	{Name: "max-parallel", Doc: "How many run at a time.", Value: integer(1, 256)},
}}

// RunsOn is the long form of runs-on.
var RunsOn = &Place{ID: "runsOn", Name: "runs-on", Keys: []Key{
	{Name: "group", Doc: "One more label: nodes carry the name of their group as one.", Value: text()},
	{Name: "labels", Doc: "Labels that the node must carry.", Value: textOrList()},
}}

// Container is the long form of container.
var Container = &Place{ID: "container", Name: "container", Keys: []Key{
	{Name: "image", Required: true, Doc: "The image.", Value: text()},
	{Name: "env", Doc: "Environment variables of the container.", Value: env()},
	{Name: "options", Doc: "--workdir DIR (or -w DIR) and nothing else.", Value: text()},
	{Name: "credentials", Support: Refused, Doc: "let the node's container runtime log in to the registry"},
	{Name: "ports", Support: Refused, Doc: "a job's ports are not published: use port-forward to look into a running job"},
	{Name: "volumes", Support: Refused, Doc: "jobs see no folder of their host: fetch what is needed in a step"},
}}

func env() Shape { return named(EnvPattern, textOrNull()) }

func shell() Shape { return either(words("sh", "bash"), pattern(`\{0\}`)) }

func boolOrExpr() Shape { return either(boolean(), expr()) }

func minutes() Shape { return either(positive(MostMinutes), expr()) }

// MostMinutes bounds timeout-minutes: 35 days.
const MostMinutes = 35 * 24 * 60

func concurrency() Shape { return either(text(), ref(Concurrency)) }

func matrix() Shape {
	combinations := list(mapping(anything()))
	s := mapping(filled(list(anything())))
	s["properties"] = Shape{"include": combinations, "exclude": combinations}
	s["minProperties"] = 1
	return s
}

// Scopes are what permissions name, as in Actions.
var Scopes = []string{
	"actions", "artifact-metadata", "attestations", "checks", "contents", "deployments",
	"discussions", "id-token", "issues", "models", "packages", "pages", "pull-requests",
	"repository-projects", "security-events", "statuses",
}

// Access is what a scope may be given.
var Access = []string{"read", "write", "none"}

func permissions() Shape {
	scopes := Shape{}
	for _, s := range Scopes {
		scopes[s] = words(Access...)
	}
	return either(words("read-all", "write-all"), Shape{
		"type": "object", "properties": scopes, "additionalProperties": false,
	})
}
