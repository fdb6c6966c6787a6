package agent

import (
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// marker is the variable by which the process provider finds what is left of a
// worker whose agent is gone: steps carry it on.
const marker = "RELEVO_WORKER"

// inherited is what steps see of the agent's own environment: the image's, or
// on a worker without one that of whoever started the agent. Nothing of
// Relevo's own goes on but the marker, nor a claim to be GitHub.
func inherited(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if name != "" && name != "GITHUB_ACTIONS" && (name == marker || !strings.HasPrefix(name, "RELEVO_")) {
			env[name] = value
		}
	}
	if env["PATH"] == "" {
		env["PATH"] = defaultPath
	}
	env["CI"], env["RELEVO"] = "true", "true"
	return env
}

// reserved are the variables that a pipeline cannot set: what the agent and
// the contexts github and relevo say, under GitHub's names and Relevo's.
func reserved(l *execution.Launch, contexts map[string]any, temp string) map[string]string {
	env := map[string]string{}
	for _, c := range []struct{ name, prefix string }{{"relevo", "RELEVO_"}, {"github", "GITHUB_"}} {
		fields, _ := contexts[c.name].(map[string]any)
		for key, value := range fields {
			switch value.(type) {
			case string, float64, bool:
				if key != "token" {
					env[c.prefix+strings.ToUpper(key)] = expression.String(value)
				}
			}
		}
		env[c.prefix+"WORKSPACE"] = l.Workspace
		env[c.prefix+"EVENT_PATH"] = filepath.Join(temp, eventFile)
	}
	env["GITHUB_RUN_ID"], env["RELEVO_RUN"] = string(l.Run), string(l.Run)
	env["GITHUB_JOB"], env["RELEVO_JOB"] = l.Job.ID, string(l.Job.Key)
	env["GITHUB_RUN_ATTEMPT"], env["RELEVO_ATTEMPT"] = strconv.Itoa(l.Attempt), strconv.Itoa(l.Attempt)
	for key, value := range runnerContext(l, temp) {
		env["RUNNER_"+strings.ToUpper(key)] = value.(string)
	}
	return env
}

// eventFile holds the payload of the trigger, in the agent's folder.
const eventFile = "event.json"

func runnerContext(l *execution.Launch, temp string) map[string]any {
	systems := map[string]string{"linux": "Linux", "darwin": "macOS"}
	arches := map[string]string{"amd64": "X64", "arm64": "ARM64", "386": "X86", "arm": "ARM"}
	return map[string]any{
		"name": string(l.Worker), "os": systems[runtime.GOOS], "arch": arches[runtime.GOARCH],
		"temp": temp, "tool_cache": filepath.Join(temp, "tools"), "environment": "self-hosted",
	}
}

// layer evaluates variables over env. A variable may not read another of the
// same list, so the context is not touched meanwhile.
func layer(env map[string]string, vars []pipeline.EnvVar, scope *expression.Env) (map[string]string, error) {
	out := maps.Clone(env)
	if out == nil {
		out = map[string]string{}
	}
	for _, v := range vars {
		value, err := v.Value.Eval(scope)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.Contains(value, "\x00") {
			return nil, fmt.Errorf("env %q: cannot be a variable", v.Name)
		}
		out[v.Name] = value
	}
	return out, nil
}

// list is the form that the kernel takes, later maps over earlier ones, in
// order of the names.
func list(layers ...map[string]string) []string {
	all := map[string]string{}
	for _, m := range layers {
		maps.Copy(all, m)
	}
	out := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+"="+all[name])
	}
	return out
}
