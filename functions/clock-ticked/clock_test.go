package clockticked_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// looks counts what a tick reads beside the due entries.
type looks struct {
	protocol.Store
	outboxes, prunes int
}

func (l *looks) Outbox(ctx context.Context, p protocol.Partition, age time.Duration, n int) ([]protocol.Record, error) {
	l.outboxes++
	return l.Store.Outbox(ctx, p, age, n)
}

func (l *looks) Prune(ctx context.Context, p protocol.Partition, horizon time.Duration) (int, error) {
	l.prunes++
	return l.Store.Prune(ctx, p, horizon)
}

// TestFreshStoreHasNothingLeftOver: the first tick on a store that began with
// its process looks for nothing from before; on any other it does.
func TestFreshStoreHasNothingLeftOver(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		store := &looks{Store: memory.New(func() time.Time { return now }, "test")}
		c := &clockticked.Clock{
			Runs:  &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()},
			Fresh: fresh,
		}
		for _, at := range []struct {
			after            time.Duration
			outboxes, prunes bool
		}{
			{0, !fresh, !fresh},
			{6 * time.Second, true, false},
			{time.Hour, true, true},
		} {
			now = now.Add(at.after)
			store.outboxes, store.prunes = 0, 0
			if _, _, err := c.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if (store.outboxes > 0) != at.outboxes || (store.prunes > 0) != at.prunes {
				t.Errorf("fresh %v, %v later: %d looks at outboxes, %d prunes", fresh, at.after, store.outboxes, store.prunes)
			}
		}
	}
}

// TestAPingTicks: what Knative's PingSource posts ticks, whatever it says, in a
// service of its own and in one with others.
func TestAPingTicks(t *testing.T) {
	other := fn.Function{Name: "other", On: "other", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) {
		t.Error("the ping went to another function")
		return nil, nil
	}}
	for _, body := range []string{"", "{}", `"tick"`, `{"message": 7}`} {
		for _, others := range [][]fn.Function{nil, {other}} {
			store := &looks{Store: memory.New(time.Now, "test")}
			f := clockticked.New(&clockticked.Clock{
				Runs: &state.Runs{Committer: &state.Committer{Store: store}, Policy: pipeline.DefaultPolicy()},
			})
			request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			for name, value := range map[string]string{
				"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Type": "dev.knative.sources.ping",
				"Ce-Source": "/apis/v1/namespaces/relevo/pingsources/clock", "Content-Type": "application/json",
			} {
				request.Header.Set(name, value)
			}
			answer := httptest.NewRecorder()
			knative.Handler(append(others, f), knative.Options{}).ServeHTTP(answer, request)
			if answer.Code != http.StatusAccepted || store.outboxes == 0 {
				t.Errorf("%q beside %d others: %d %s, %d looks at outboxes", body, len(others), answer.Code, answer.Body, store.outboxes)
			}
		}
	}
}
