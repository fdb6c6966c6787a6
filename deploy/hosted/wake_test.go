package hosted_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/shared/fn"
)

// TestWakesTheWayOfAJob: where there are addresses, unless it is switched off.
func TestWakesTheWayOfAJob(t *testing.T) {
	asked := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer server.Close()
	url := "RELEVO_REDIS_URL=" + redis(t).URL()
	process := func(set ...string) functions.Deps {
		var deps functions.Deps
		s, err := hosted.Open(t.Context(), settings(t, append(set, url, "K_SERVICE=capacity-updated")...), hosted.Options{
			Front: func(d functions.Deps) []fn.Function { deps = d; return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return deps
	}
	if process().Wake != nil || process("RELEVO_HOST_FUNCTIONS=http://{function}.relevo", "RELEVO_HOST_WAKE=off").Wake != nil {
		t.Error("it wakes without addresses, or though it must not")
	}
	// One Service for all of them: it is asked once.
	deps := process("RELEVO_HOST_FUNCTIONS=" + server.URL + "/{function}")
	deps.Wake()
	deps.Wake()
	select {
	case path := <-asked:
		if path != "/healthz" {
			t.Errorf("asked for %s", path)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was woken")
	}
}
