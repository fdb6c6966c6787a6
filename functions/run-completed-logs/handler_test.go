package runcompletedlogs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/relevo-ci/relevo/events"
	runcompletedlogs "github.com/relevo-ci/relevo/functions/run-completed-logs"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestABucketThatIsAway is asked again, by the event.
func TestABucketThatIsAway(t *testing.T) {
	away := errors.New("connection refused")
	asked := 0
	f := runcompletedlogs.New(func(_ context.Context, limit int) (int, error) {
		asked++
		if limit < 1 {
			t.Error(limit)
		}
		return 0, away
	})
	if _, err := f.Handle(t.Context(), events.Envelope{}); err == nil || !fn.KindOf(err).Retry() || !errors.Is(err, away) {
		t.Error(err)
	}
	away = nil
	if out, err := f.Handle(t.Context(), events.Envelope{}); err != nil || len(out) != 0 || asked != 2 {
		t.Error(out, err, asked)
	}
	for _, end := range []events.Type{events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled} {
		if !f.Takes(end) {
			t.Errorf("it does not hear %s", end)
		}
	}
}
