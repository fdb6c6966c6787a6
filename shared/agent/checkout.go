package agent

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/agent/checkout"
	"github.com/relevo-ci/relevo/shared/agent/command"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// pauseBefore is how long to wait before git asks a server again, times the
// number of tries.
const pauseBefore = time.Second

// checkout does what actions/checkout does.
func (j *job) checkout(s *step, scope *expression.Env, limit time.Duration) error {
	text := map[string]string{}
	for name, t := range s.Checkout.Inputs() {
		value, err := t.Eval(scope)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text[name] = value
	}
	inputs, err := execution.ReadCheckout(text)
	if err != nil {
		return err
	}
	if err := j.renewCredential(); err != nil {
		return infra{err}
	}
	g, err := j.newGit(s, limit)
	if err != nil {
		return err
	}
	none := ""
	if j.credential == nil {
		none = cmp.Or(j.noCredential, "the control plane has none")
	}
	done, err := checkout.Do(checkout.Options{
		Inputs: inputs, Source: j.source(), Workspace: j.launch.Workspace, InPlace: j.launch.InPlace,
		Git: g, Say: func(format string, args ...any) { j.journal.remark("==> "+format, args...) },
		Pause: j.pauseFor, NoCredential: none,
	})
	if errors.Is(err, checkout.ErrTrouble) {
		return infra{err}
	}
	if err != nil {
		return err
	}
	s.exit = 0
	s.said.outputs = []command.Pair{{Name: "ref", Value: done.Ref}, {Name: "commit", Value: done.Commit}}
	j.trustFolder(done.Dir)
	if own := j.source().Repository; inputs.Repository == "" || strings.EqualFold(inputs.Repository, own) {
		j.root(done.Dir)
	}
	return nil
}

// root notes where the run's repository is, below the workspace: its files are
// known by their paths from there.
func (j *job) root(dir string) {
	if below, err := filepath.Rel(j.launch.Workspace, dir); err == nil {
		j.roots = append(j.roots, filepath.ToSlash(below))
	}
}

// renewBefore is how long git's credential lasts at least when a checkout begins.
const renewBefore = 2 * time.Minute

// renewCredential asks for another one where that of the job's beginning ends.
func (j *job) renewCredential() error {
	if j.credential == nil || j.credential.Until.IsZero() || time.Until(j.credential.Until) > renewBefore || j.renew == nil {
		return nil
	}
	known, err := j.renew()
	if err == nil {
		j.credential, j.noCredential = known.Git, known.NoGit
	}
	return err
}

// source is the repository that the run is of.
func (j *job) source() checkout.Source {
	github, _ := j.contexts["github"].(map[string]any)
	text := func(name string) string {
		s, _ := github[name].(string)
		return s
	}
	return checkout.Source{Clone: j.launch.Clone, Repository: text("repository"), Ref: text("ref"), SHA: text("sha")}
}

// pauseFor waits before another try; false when the job is to end meanwhile.
func (j *job) pauseFor(try int) bool {
	select {
	case <-time.After(time.Duration(try) * pauseBefore):
		return true
	case <-j.stops.asked:
	case <-j.gone:
	}
	return false
}

// trustFolder lets the steps' git look into a folder that the platform made, not
// the user that the steps run as.
func (j *job) trustFolder(dir string) {
	if _, set := j.inherited["GIT_CONFIG_COUNT"]; set || !ownedByAnother(dir) {
		return
	}
	j.inherited["GIT_CONFIG_COUNT"] = "1"
	j.inherited["GIT_CONFIG_KEY_0"], j.inherited["GIT_CONFIG_VALUE_0"] = "safe.directory", "*"
	j.publishEnv()
}
