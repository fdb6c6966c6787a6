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

// secrets fetches the job's secrets and masks them.
func (a *attempt) secrets(ctx context.Context) (map[string]string, error) {
	if !a.launch.HasSecrets {
		return nil, nil
	}
	me := a.reporter.Identity
	request := &execution.SecretsRequest{AttemptRef: me.AttemptRef, Worker: me.Worker, Nonce: me.Nonce}
	for began := time.Now(); ; {
		secrets, err := a.fetch(ctx, request)
		if err == nil {
			if err := a.masks.Add(slices.Collect(maps.Values(secrets))...); err != nil {
				return nil, fmt.Errorf("secrets: %w", err)
			}
			return secrets, nil
		}
		if errors.Is(err, report.ErrGone) || time.Since(began) > secretsWithin {
			return nil, fmt.Errorf("secrets: %w", err)
		}
		a.log.Warn("no secrets yet, trying again", "error", err)
		select {
		case <-time.After(retrySecrets):
		case <-a.stops.asked:
			return nil, fmt.Errorf("secrets: stopped while trying to get them: %w", err)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
