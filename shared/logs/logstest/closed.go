package logstest

import (
	"context"
	"errors"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
)

// Moving is a store that moves closed logs to where there is room.
type Moving interface {
	logs.Store
	Tidy(ctx context.Context, limit int) (moved int, err error)
}

// Eager is a store whose logs are moved as soon as they are closed, so that all that
// follows is read from where they went.
type Eager struct{ Moving }

// Append keeps data, and moves what is closed.
func (e Eager) Append(ctx context.Context, r events.AttemptRef, offset int64, data []byte) (int64, error) {
	n, err := e.Moving.Append(ctx, r, offset, data)
	return n, errors.Join(err, e.move(ctx))
}

// Close closes a log, and moves it.
func (e Eager) Close(ctx context.Context, r events.AttemptRef, size int64) error {
	return errors.Join(e.Moving.Close(ctx, r, size), e.move(ctx))
}

func (e Eager) move(ctx context.Context) error {
	_, err := e.Tidy(ctx, 100)
	return err
}

// Written puts a closed log into a store.
func Written(t *testing.T, s logs.Store, r events.AttemptRef, data []byte) {
	t.Helper()
	if n, err := s.Append(t.Context(), r, 0, data); err != nil || n != int64(len(data)) {
		t.Fatal(n, err)
	}
	if err := s.Close(t.Context(), r, logs.Present); err != nil {
		t.Fatal(err)
	}
}
