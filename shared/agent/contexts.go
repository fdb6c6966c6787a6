package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// readContexts decodes what the control plane says that expressions may read,
// and adds what only the worker knows.
func readContexts(l *execution.Launch, secrets map[string]string, temp string) (map[string]any, error) {
	contexts := map[string]any{}
	for _, name := range []string{"github", "relevo", "needs", "matrix", "strategy", "vars", "inputs"} {
		contexts[name] = map[string]any{}
	}
	for name, raw := range l.Contexts {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("%w: context %s: %w", ErrLaunch, name, err)
		}
		if value != nil {
			contexts[name] = value
		}
	}
	for _, name := range []string{"github", "relevo"} {
		fields, ok := contexts[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: context %s is no object", ErrLaunch, name)
		}
		fields = maps.Clone(fields)
		fields["workspace"] = l.Workspace
		fields["event_path"] = filepath.Join(temp, eventFile)
		if token := secrets["GITHUB_TOKEN"]; token != "" {
			fields["token"] = token
		}
		contexts[name] = fields
	}
	contexts["secrets"] = expression.Strings(secrets)
	contexts["runner"] = runnerContext(l, temp)
	return contexts, nil
}

// writeEvent puts the trigger's payload where steps look for it.
func writeEvent(contexts map[string]any, temp string) error {
	github, _ := contexts["github"].(map[string]any)
	payload := github["event"]
	if payload == nil {
		payload = map[string]any{}
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("agent: encode event: %w", err)
	}
	if err := os.WriteFile(filepath.Join(temp, eventFile), text, 0o600); err != nil {
		return fmt.Errorf("agent: write event: %w", err)
	}
	return nil
}

// scope is what an expression reads right now, over the variables given.
func (j *job) scope(env map[string]string) *expression.Env {
	contexts := map[string]any{}
	maps.Copy(contexts, j.contexts)
	contexts["env"] = expression.Strings(env)
	contexts["steps"] = j.results
	contexts["job"] = map[string]any{"status": string(j.status())}
	return &expression.Env{
		Contexts: contexts,
		Status:   j.status(),
		HashFiles: func(patterns []string) (string, error) {
			return hashFiles(j.launch.Workspace, patterns)
		},
	}
}

// status is what success(), failure() and cancelled() go by.
func (j *job) status() expression.Status {
	switch {
	case j.stopped():
		return expression.Cancelled
	case j.failure != "":
		return expression.Failure
	}
	return expression.Success
}

// words are the outcomes as the contexts name them: a step that took too long
// has failed there.
var words = map[string]string{timedOut: failed}

// remember makes a step's result known to the expressions after it.
func (j *job) remember(id string, s *step) {
	if id == "" {
		return
	}
	word := func(result string) string {
		if w, ok := words[result]; ok {
			return w
		}
		return result
	}
	outputs := map[string]any{}
	for _, p := range s.said.outputs {
		outputs[p.Name] = p.Value
	}
	j.results[id] = map[string]any{
		"outputs": outputs, "outcome": word(s.outcome), "conclusion": word(s.conclusion),
	}
}
