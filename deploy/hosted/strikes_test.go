package hosted_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/protocol"
	store "github.com/relevo-ci/relevo/shared/redis"
)

// What was published is struck without another commit that could carry it, so
// that the clock finds nothing to send again.
func TestStrikesWhatItPublished(t *testing.T) {
	took := make(chan string, 8)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		took <- r.Header.Get("Ce-Type")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer sink.Close()
	url := redis(t).URL()
	s, err := hosted.Open(t.Context(), settings(t,
		"RELEVO_REDIS_URL="+url, "RELEVO_WORKER_KEY=key", "RELEVO_API_TOKEN=token", "K_SERVICE=offer-created", "K_SINK="+sink.URL), hosted.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	node, err := hosted.Open(t.Context(), settings(t, "RELEVO_REDIS_URL="+url, "K_SERVICE=capacity-updated"), hosted.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	now := time.Now()
	size := events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1}
	offer := scheduling.Pools{Default: "default"}.Offer(events.JobRequested{
		JobRef: events.JobRef{Run: "01J", Job: "j"}, Attempt: 1, Requirements: events.Requirements{Resources: size},
	})
	for _, step := range []struct {
		to   http.Handler
		data events.Data
	}{
		{node, events.CapacityUpdated{Pool: "default", Node: "n1", Provider: "fake", Capacity: size, Since: now}},
		{s, offer},
	} {
		host := httptest.NewServer(step.to)
		defer host.Close()
		e, err := events.New("1", "/relevo/test", "", now, step.data)
		if err != nil {
			t.Fatal(err)
		}
		if status := post(t, host.URL, e); status != http.StatusAccepted {
			t.Fatalf("%s: %d", e.Type, status)
		}
	}
	if got := <-took; got != string(events.TypeAssignmentCreated) {
		t.Fatalf("published %s", got)
	}
	r, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		left, err := r.Outbox(t.Context(), protocol.PoolPartition("default"), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records are in the outbox for ever", len(left))
		}
		<-time.After(20 * time.Millisecond)
	}
}
