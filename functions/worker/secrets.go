package worker

import (
	"context"
	"errors"
	"log/slog"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/state"
)

// Secrets are what runs may know. Both methods may be asked again at any time.
type Secrets interface {
	// Values are those of runs of this trigger, by name; none is no error.
	Values(ctx context.Context, t events.Trigger) (map[string]string, error)
	// Credential is what git needs to read the trigger's repository. With scoped
	// only one that reads that repository and can do nothing else will do. Where
	// there is none: fn.Denied or fn.NotFound, whose text says why to the author.
	Credential(ctx context.Context, t events.Trigger, scoped bool) (execution.Credential, error)
}

// ErrGone: the attempt is over, or another worker's: nothing is for this one.
var ErrGone = errors.New("worker: the attempt is not this worker's")

// Tell answers a worker that was let in with what its job may know: the secrets
// that its expressions name, and git's credential where it fetches a repository.
// The code of a run that is not trusted gets no secret, and no credential but one
// for its own repository. It may be asked any number of times.
func (s *Reports) Tell(ctx context.Context, r execution.SecretsRequest) (execution.Secrets, error) {
	run, _, err := s.Runs.Load(ctx, r.Run)
	if errors.Is(err, state.ErrNoRun) {
		return execution.Secrets{}, ErrGone
	}
	if err != nil {
		return execution.Secrets{}, err
	}
	if !run.Runs(r.AttemptRef, digest(r.Nonce)) || attempt(run, r.AttemptRef).Placement.Worker != r.Worker {
		return execution.Secrets{}, ErrGone
	}
	trigger, wants := run.Request().Trigger, run.Spec().Wants(r.Job)
	var known execution.Secrets
	if known.Values, err = s.values(ctx, trigger, wants); err != nil {
		return execution.Secrets{}, err
	}
	if wants.Git {
		err = s.credential(ctx, trigger, &known)
	}
	return known, err
}

// values are the secrets that the job names.
func (s *Reports) values(ctx context.Context, t events.Trigger, w pipeline.Wants) (map[string]string, error) {
	if s.Secrets == nil || t.Untrusted || !w.All && len(w.Secrets) == 0 {
		return nil, nil
	}
	all, err := s.Secrets.Values(ctx, t)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, value := range all {
		if w.Secret(name) {
			values[name] = value
		}
	}
	return values, nil
}

// credential adds git's, or why there is none.
func (s *Reports) credential(ctx context.Context, t events.Trigger, known *execution.Secrets) error {
	switch {
	case t.Forge == "":
		known.NoGit = "no forge started it"
		return nil
	case s.Secrets == nil:
		known.NoGit = "this installation has none"
		return nil
	}
	c, err := s.Secrets.Credential(ctx, t, t.Untrusted)
	switch kind := fn.KindOf(err); {
	case err != nil && (kind == fn.Denied || kind == fn.NotFound):
		known.NoGit = err.Error()
		slog.InfoContext(ctx, "worker: no credential for git", "repository", t.Repository, "forge", t.Forge, "why", err)
		return nil
	}
	if err != nil {
		return err
	}
	known.Git = &c
	return nil
}
