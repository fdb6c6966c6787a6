package inprocess

import (
	"context"

	"github.com/relevo-ci/relevo/shared/logs"
)

// tidy moves closed logs, of a store that has somewhere to move them to; nil of
// any other.
func tidy(kept logs.Store) func(ctx context.Context, limit int) (int, error) {
	if t, ok := kept.(interface {
		Tidy(ctx context.Context, limit int) (int, error)
	}); ok {
		return t.Tidy
	}
	return nil
}
