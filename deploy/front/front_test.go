package front_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/front"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// serve starts a process of the api, as a pod of it is.
func serve(t *testing.T, url string) http.Handler {
	t.Helper()
	c, err := config.Load(func(name string) (string, bool) {
		value, set := map[string]string{
			"FUNCTION": "api", "RELEVO_REDIS_URL": url, "RELEVO_API_TOKEN": "t0ken", "RELEVO_LOG_LEVEL": "error",
			"RELEVO_ACCESS_PROXIES": "127.0.0.1",
		}[name]
		return value, set
	})
	if err != nil {
		t.Fatal(err)
	}
	options, err := front.Options(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := hosted.Open(t.Context(), c, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestStrangersAreCountedOnce: each of two processes alone would let in all that
// asks it; together they refuse a stranger who goes to both, whatever it says of
// where it comes from, and nobody else behind the same proxy.
func TestStrangersAreCountedOnce(t *testing.T) {
	e, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	processes := []http.Handler{serve(t, e.URL()), serve(t, e.URL())}
	ask := func(i int, stranger string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/me", nil)
		r.RemoteAddr = "127.0.0.1:5" // the proxy of the pod
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d, %s", i, stranger))
		rec := httptest.NewRecorder()
		processes[i%2].ServeHTTP(rec, r)
		return rec.Code
	}
	codes := map[int]int{}
	for i := range 2 * 99 { // 100 are let through at once
		codes[ask(i, "198.51.100.7")]++
	}
	if codes[http.StatusTooManyRequests] == 0 || codes[http.StatusUnauthorized] < 100 || len(codes) != 2 {
		t.Errorf("answered %v", codes)
	}
	if code := ask(0, "198.51.100.8"); code != http.StatusUnauthorized {
		t.Errorf("another is answered %d", code)
	}
}
