package agent

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/process"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// maxOutputs bounds the outputs of a job, names and values, in bytes: they
// travel in events.
const maxOutputs = 1 << 20

// job runs the steps of an attempt, one after the other. It belongs to one
// goroutine; what others ask of it comes through stops and gone.
type job struct {
	launch    *execution.Launch
	temp      string
	inherited map[string]string
	secrets   map[string]string
	// credential is git's, for the server of the run's repository; noCredential may
	// say why there is none.
	credential   *execution.Credential
	noCredential string
	host         *process.Host
	journal      *journal
	masks        *mask.Set
	tell         func(execution.StepEvent)
	stops        *stops
	gone         <-chan struct{} // closed: end at once, nothing counts any more

	began    time.Time
	prepared bool
	contexts map[string]any
	reserved map[string]string
	results  map[string]any    // the steps context
	env      map[string]string // of pipeline, job and what steps added
	paths    []string          // in front of PATH
	// shellEnv is the environment of right now, for those who look in.
	shellEnv atomic.Pointer[[]string]

	steps   []events.StepResult
	outputs []*output
	emitted int // events
	// renew asks anew for what the job may know; nil: it may know nothing.
	renew func() (execution.Secrets, error)
	// roots are where the run's repository was checked out, from the workspace.
	roots []string
	// annotate bounds what the steps point people at.
	annotate execution.Annotate
	// failure is why the job fails, by verdict; empty while it does not.
	failure string
	verdict events.Verdict
	// cleanUpBy is when the steps that run though the job was stopped are to be
	// through.
	cleanUpBy time.Time
}

// run runs the steps and tells how it went. Nothing that they started is left.
func (j *job) run() execution.Ending {
	j.began = time.Now()
	limit, err := j.prepare()
	if err != nil {
		j.fail(err)
	} else {
		deadline := time.AfterFunc(limit, func() {
			j.stops.ask(events.Timeout, fmt.Sprintf("the job took longer than %v", limit))
		})
		defer deadline.Stop()
		j.prepared = true
	}
	for i := range j.launch.Job.Steps {
		j.step(i)
	}
	j.host.KillAll(nil)
	for _, o := range j.outputs {
		o.end()
	}
	outputs := j.collect()
	verdict, reason := j.judgement()
	return execution.Ending{
		Verdict: verdict, Reason: j.masks.Text(reason), Outputs: outputs, Steps: j.steps, LogBytes: j.journal.size(),
	}
}

// prepare sets up all that does not depend on a step, and tells how long the
// job may take.
func (j *job) prepare() (limit time.Duration, err error) {
	j.results = map[string]any{}
	if j.contexts, err = readContexts(j.launch, j.secrets, j.temp); err != nil {
		return 0, infra{err}
	}
	if err := os.MkdirAll(j.launch.Workspace, 0o755); err != nil {
		return 0, infra{fmt.Errorf("workspace: %w", err)}
	}
	if err := writeEvent(j.contexts, j.temp); err != nil {
		return 0, infra{err}
	}
	j.reserved = reserved(j.launch, j.contexts, j.temp)
	if value, ok := j.inherited[marker]; ok {
		j.reserved[marker] = value
	}
	if c := j.launch.Job.Container; c != nil {
		more, err := layer(nil, c.Env, j.scope(nil))
		if err != nil {
			return 0, err
		}
		maps.Copy(j.inherited, more)
	}
	if j.env, err = layer(nil, j.launch.Env, j.scope(nil)); err != nil {
		return 0, err
	}
	if j.env, err = layer(j.env, j.launch.Job.Env, j.scope(j.env)); err != nil {
		return 0, err
	}
	j.publishEnv()
	limit, err = minutes(j.launch.Job.TimeoutMinutes, j.launch.Job.TimeoutExpr, j.scope(j.env))
	if limit == 0 {
		limit = defaultTimeout
	}
	return limit, err
}

// environ is the environment of a command, over the variables given.
func (j *job) environ(env, files map[string]string) []string {
	path := env["PATH"]
	if path == "" {
		path = j.inherited["PATH"]
	}
	path = strings.Join(append(append([]string{}, j.paths...), path), ":")
	return list(j.inherited, env, j.reserved, files, map[string]string{"PATH": path})
}

func (j *job) publishEnv() {
	env := j.environ(j.env, nil)
	j.shellEnv.Store(&env)
}

// minutes reads a timeout-minutes; 0: none.
func minutes(fixed float64, template *expression.Template, scope *expression.Env) (time.Duration, error) {
	if template != nil {
		text, err := template.Eval(scope)
		if err != nil {
			return 0, fmt.Errorf("timeout-minutes: %w", err)
		}
		if fixed, err = strconv.ParseFloat(text, 64); err != nil {
			return 0, fmt.Errorf("timeout-minutes: %q is not a number", text)
		}
	}
	const most = 1e6 // two years, for who means never
	if !(fixed >= 0) {
		return 0, fmt.Errorf("timeout-minutes: %v is less than none", fixed)
	}
	return time.Duration(min(fixed, most) * float64(time.Minute)), nil
}

// fail makes the job fail, unless it failed before.
func (j *job) fail(err error) {
	if j.failure != "" {
		return
	}
	j.failure, j.verdict = err.Error(), verdictOf(err)
	j.journal.remark("==> %s", j.failure)
}

func (j *job) stopped() bool {
	verdict, _ := j.stops.why()
	return verdict != ""
}

// judgement is the job's verdict. The agent's own trouble goes before being
// stopped, for the next attempt may do better; being stopped before a failed
// step, which may have failed because of it.
func (j *job) judgement() (events.Verdict, string) {
	if stop, reason := j.stops.why(); stop != "" && j.verdict != events.Infra {
		return stop, reason
	}
	if j.failure != "" {
		return j.verdict, j.failure
	}
	return events.Succeeded, ""
}

// collect evaluates the job's outputs. One that would show a secret is left
// out: outputs travel in the clear.
func (j *job) collect() map[string]string {
	if j.verdict == events.Infra || len(j.launch.Job.Outputs) == 0 {
		return nil
	}
	outputs := map[string]string{}
	size := 0
	for _, o := range j.launch.Job.Outputs {
		value, err := o.Value.Eval(j.scope(j.env))
		if err != nil {
			j.fail(fmt.Errorf("output %s: %w", o.Name, err))
			continue
		}
		if j.masks.Text(value) != value {
			j.journal.remark("==> output %s is left out: it may hold a secret", o.Name)
			continue
		}
		if size += len(o.Name) + len(value); size > maxOutputs {
			j.fail(fmt.Errorf("output %s: the job's outputs are larger than %d bytes", o.Name, maxOutputs))
			return outputs
		}
		outputs[o.Name] = value
	}
	return outputs
}

// exec runs a script besides the steps, for who looks in.
func (j *job) exec(script string, timeout <-chan struct{}, sink func([]byte) error) (exit int, err error) {
	env := j.shellEnv.Load()
	if env == nil {
		return 0, fmt.Errorf("the job has not begun")
	}
	sh, err := lookPath("sh", j.inherited["PATH"])
	if err != nil {
		return 0, errNoShell
	}
	out, file, err := newOutput(j.masks, sink, nil)
	if err != nil {
		return 0, err
	}
	spare := j.host.Family()
	p, err := j.host.Start(process.Command{
		Path: sh, Args: []string{"sh", "-c", script}, Dir: j.launch.Workspace, Env: *env, Out: file,
	})
	_ = file.Close()
	if err != nil {
		out.end()
		return 0, err
	}
	select {
	case <-p.Done():
	case <-timeout:
		j.host.End(p, j.launch.Grace, spare)
		err = fmt.Errorf("ended: it took too long")
	}
	out.end()
	exit, _ = p.Exit()
	return exit, err
}
