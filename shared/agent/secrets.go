package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/shared/agent/report"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// retrySecrets is the wait between two tries to fetch the secrets, and
// secretsWithin how long it is tried: the job's own deadline runs only once
// they are there.
const (
	retrySecrets  = time.Second
	secretsWithin = 15 * time.Minute
)

// secrets fetches what the job may know and masks it.
func (a *attempt) secrets(ctx context.Context) (execution.Secrets, error) {
	if !a.launch.HasSecrets {
		return execution.Secrets{}, nil
	}
	me := a.reporter.Identity
	request := &execution.SecretsRequest{AttemptRef: me.AttemptRef, Worker: me.Worker, Nonce: me.Nonce}
	for began := time.Now(); ; {
		secrets, err := a.fetch(ctx, request)
		if err == nil {
			values := slices.Collect(maps.Values(secrets.Values))
			if secrets.Git != nil {
				values = append(values, secrets.Git.Password, secrets.Git.SecretUser())
			}
			if err := a.masks.Add(values...); err != nil {
				return execution.Secrets{}, fmt.Errorf("secrets: %w", err)
			}
			return secrets, nil
		}
		if errors.Is(err, report.ErrGone) || time.Since(began) > secretsWithin {
			return execution.Secrets{}, fmt.Errorf("secrets: %w", err)
		}
		a.log.Warn("no secrets yet, trying again", "error", err)
		select {
		case <-time.After(retrySecrets):
		case <-a.stops.asked:
			return execution.Secrets{}, fmt.Errorf("secrets: stopped while trying to get them: %w", err)
		case <-ctx.Done():
			return execution.Secrets{}, ctx.Err()
		}
	}
}
