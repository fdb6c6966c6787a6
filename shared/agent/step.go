package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/process"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// How a step went.
const (
	succeeded = "success"
	failed    = "failure"
	skipped   = "skipped"
	cancelled = "cancelled"
	timedOut  = "timeout"
)

// infra marks an error that is not the author's.
type infra struct{ error }

func (i infra) Unwrap() error { return i.error }

// late marks a step that took too long.
type late struct{ error }

// verdictOf says whose fault an error is.
func verdictOf(err error) events.Verdict {
	switch {
	case errors.As(err, &infra{}):
		return events.Infra
	case errors.As(err, &late{}):
		return events.Timeout
	}
	return events.Failed
}

// step is one step while it runs.
type step struct {
	*pipeline.StepSpec
	index   int
	id      string // or the index
	name    string
	env     map[string]string
	began   time.Time
	exit    int
	said    said
	emitted *execution.Emitted
	notes   *notes
	outcome string
	// conclusion is the outcome after continue-on-error.
	conclusion string
}

// step runs a step, if its condition says so, and tells how it went.
func (j *job) step(i int) {
	spec := &j.launch.Job.Steps[i]
	s := &step{
		StepSpec: spec, index: i, id: cmp.Or(spec.ID, strconv.Itoa(i)), exit: -1, began: time.Now(),
		notes: &notes{masks: j.masks, workspace: j.launch.Workspace, roots: j.roots},
	}
	wanted, err := j.wanted(s)
	if !wanted && err == nil {
		s.outcome, s.conclusion = skipped, skipped
		j.record(s)
		return
	}
	j.tell(execution.StepEvent{Index: i, ID: s.id, Name: s.name, At: s.began.UTC(), Offset: j.journal.size()})
	j.journal.remark("==> %s", s.name)
	if err == nil {
		err = j.execute(s)
	}
	j.judge(s, err)
	j.record(s)
}

// wanted evaluates what is needed to tell whether a step runs, and its name.
func (j *job) wanted(s *step) (bool, error) {
	s.name = j.nameOf(s.StepSpec, j.scope(j.env))
	select {
	case <-j.gone:
		return false, nil
	default:
	}
	if !j.prepared || j.verdict == events.Infra {
		return false, nil
	}
	if j.stopped() && j.cleanUpBy.IsZero() {
		j.cleanUpBy = time.Now().Add(j.launch.Grace)
	}
	if !j.cleanUpBy.IsZero() && !time.Now().Before(j.cleanUpBy) {
		return false, nil
	}
	var err error
	if s.env, err = layer(j.env, s.Env, j.scope(j.env)); err != nil {
		return false, err
	}
	wanted, err := expression.Condition(s.If, j.scope(s.env))
	if err != nil {
		return false, fmt.Errorf("if: %w", err)
	}
	return wanted, nil
}

// nameOf is what people call a step: as Actions does, after its script where
// it has no name.
func (j *job) nameOf(s *pipeline.StepSpec, scope *expression.Env) string {
	if s.Name != nil {
		if name, err := s.Name.Eval(scope); err == nil && strings.TrimSpace(name) != "" {
			return j.masks.Text(name)
		}
	}
	switch {
	case s.Uses != "":
		return "Run " + s.Uses
	case s.Emit != nil:
		return "Emit an event"
	}
	script, err := s.Run.Eval(scope)
	if err != nil {
		return "Run"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(script), "\n")
	return j.masks.Text("Run " + first)
}

// execute does what a step is for. An error is why the step failed.
func (j *job) execute(s *step) error {
	scope := j.scope(s.env)
	limit, err := minutes(s.TimeoutMinutes, s.TimeoutExpr, scope)
	switch {
	case err != nil:
		return err
	case s.Checkout != nil:
		return j.checkout(s, scope, limit)
	case s.Emit != nil:
		return j.emit(s, scope)
	}
	return j.script(s, scope, limit)
}

// script runs a step's script.
func (j *job) script(s *step, scope *expression.Env, limit time.Duration) error {
	files, fileEnv, err := newFiles(filepath.Join(j.temp, "step-"+strconv.Itoa(s.index)))
	if err != nil {
		return infra{err}
	}
	c, err := j.command(s, scope, j.environ(s.env, j.traced(s, fileEnv)))
	if err != nil {
		return err
	}
	out, file, err := newOutput(j.masks, j.journal.raw, s.notes.add)
	if err != nil {
		return infra{err}
	}
	j.outputs = append(j.outputs, out)
	spare := j.host.Family()
	c.Out = file
	p, err := j.host.Start(c)
	_ = file.Close()
	if err != nil {
		return startError(err)
	}
	waited := j.wait(s, p, limit, spare)
	out.settle()
	absorbed := j.absorb(s, files)
	return cmp.Or(waited, out.scanner.Err(), absorbed)
}

// absorb takes what a step wrote into its files, also if it failed.
func (j *job) absorb(s *step, f files) (err error) {
	if s.said, err = f.read(); err != nil {
		return err
	}
	for _, p := range s.said.env {
		j.env[p.Name] = p.Value
	}
	for _, path := range s.said.paths {
		j.paths = append([]string{path}, j.paths...)
	}
	j.publishEnv()
	return nil
}

// command makes a step's command out of its script.
func (j *job) command(s *step, scope *expression.Env, env []string) (c process.Command, err error) {
	script, err := s.Run.Eval(scope)
	if err != nil {
		return c, fmt.Errorf("run: %w", err)
	}
	c.Env, c.Dir = env, j.launch.Workspace
	if s.WorkingDirectory != nil {
		dir, err := s.WorkingDirectory.Eval(scope)
		if err != nil {
			return c, fmt.Errorf("working-directory: %w", err)
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(j.launch.Workspace, dir)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return c, fmt.Errorf("working-directory: there is no folder %s", dir)
		}
		c.Dir = dir
	}
	path := variable(env, "PATH")
	shell, suffix := shellCommand(s.Shell, j.launch.Job.Container != nil, path)
	file := filepath.Join(j.temp, "step-"+strconv.Itoa(s.index), "script"+suffix)
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		return c, infra{fmt.Errorf("write script: %w", err)}
	}
	if c.Args, err = splitCommand(shell, file); err != nil {
		return c, err
	}
	c.Path, err = lookPath(c.Args[0], path)
	switch {
	case err == nil:
		return c, nil
	case c.Args[0] == "sh" && s.Shell == "":
		return c, infra{errNoShell}
	}
	return c, fmt.Errorf("shell: %w", err)
}

func variable(env []string, name string) string {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// startError tells a shell that cannot run from a machine that is in trouble.
func startError(err error) error {
	for _, author := range []error{syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.E2BIG, syscall.ENOTDIR, syscall.EINVAL} {
		if errors.Is(err, author) {
			return err
		}
	}
	return infra{err}
}

// wait waits for a step's command, or ends it when its time or the job's is
// over. The error says why the step did not succeed.
func (j *job) wait(s *step, p *process.Process, limit time.Duration, spare map[int]bool) error {
	step, cleanUp := alarm(limit), alarm(0)
	defer step.Stop()
	defer func() { cleanUp.Stop() }()
	stop := j.stops.asked
	for {
		if !j.cleanUpBy.IsZero() {
			stop = nil
			cleanUp.Stop()
			cleanUp = time.NewTimer(time.Until(j.cleanUpBy))
		}
		select {
		case <-p.Done():
			return s.exited(p)
		case <-step.C:
			j.host.End(p, j.launch.Grace, spare)
			return late{fmt.Errorf("took longer than %v", limit)}
		case <-cleanUp.C:
			j.host.End(p, 0, spare)
			return j.stopError()
		case <-j.gone:
			j.host.End(p, 0, nil)
			return errStopped
		case <-stop:
			if goesOn, err := expression.Condition(s.If, j.scope(s.env)); err != nil || !goesOn {
				j.host.End(p, j.launch.Grace, spare)
				j.cleanUpBy = time.Now().Add(j.launch.Grace)
				return j.stopError()
			}
			j.cleanUpBy = time.Now().Add(j.launch.Grace)
		}
	}
}

// alarm is a timer; for 0 one that never fires.
func alarm(after time.Duration) *time.Timer {
	t := time.NewTimer(after)
	if after == 0 {
		t.Stop()
	}
	return t
}

// errStopped: the job was stopped while the step ran.
var errStopped = errors.New("stopped")

func (j *job) stopError() error {
	verdict, reason := j.stops.why()
	if verdict == events.Timeout {
		return late{fmt.Errorf("%w: %s", errStopped, reason)}
	}
	return fmt.Errorf("%w: %s", errStopped, reason)
}

// exited is how a command ended that nobody ended from here.
type exited struct{ error }

func (s *step) exited(p *process.Process) error {
	code, by := p.Exit()
	s.exit = code
	switch {
	case by != 0:
		return exited{fmt.Errorf("was ended by signal %d (%v)", int(by), by)}
	case code != 0:
		return exited{fmt.Errorf("exited with %d", code)}
	}
	return nil
}

// judge turns why a step failed into its outcome and conclusion, and into the
// job's.
func (j *job) judge(s *step, err error) {
	switch {
	case err == nil:
		s.outcome = succeeded
	case errors.As(err, &late{}):
		s.outcome = timedOut
	case errors.Is(err, errStopped):
		s.outcome = cancelled
	default:
		s.outcome = failed
	}
	s.conclusion = s.outcome
	if err == nil {
		return
	}
	j.journal.remark("==> %v", err)
	if (s.outcome == failed || s.outcome == timedOut) && !errors.As(err, &infra{}) && j.tolerates(s) {
		s.conclusion = succeeded
		return
	}
	if j.failure == "" || errors.As(err, &infra{}) {
		j.failure, j.verdict = fmt.Sprintf("step %q: %v", s.name, err), verdictOf(err)
	}
}

// tolerates evaluates continue-on-error.
func (j *job) tolerates(s *step) bool {
	if s.ContinueOnError == nil {
		return false
	}
	v, err := s.ContinueOnError.Eval(j.scope(s.env))
	if err != nil {
		j.journal.remark("==> continue-on-error: %v", err)
	}
	return err == nil && v == "true"
}

// record makes a step's end known.
func (j *job) record(s *step) {
	result := events.StepResult{
		ID: s.id, Name: s.name, Conclusion: s.conclusion, Outcome: s.outcome, Exit: s.exit,
		Offset: s.began.Sub(j.began).Milliseconds(),
		Millis: time.Since(s.began).Milliseconds(),
	}
	result.Annotations = j.annotate.Take(s.notes.end())
	j.steps = append(j.steps, result)
	j.remember(s.ID, s)
	j.tell(execution.StepEvent{
		Index: s.index, ID: s.id, Name: s.name, At: time.Now().UTC(), Offset: j.journal.size(),
		Result: &result, Summary: shorten(j.masks.Text(strings.ToValidUTF8(s.said.summary, "?"))),
		Emitted: s.emitted,
	})
}
