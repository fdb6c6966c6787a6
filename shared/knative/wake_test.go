package knative_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

// asked is a transport that writes down what it is asked for; one host never
// answers.
type asked struct {
	mu   sync.Mutex
	urls []string
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.urls = append(a.urls, r.Method+" "+r.URL.String())
	a.mu.Unlock()
	if strings.HasPrefix(r.URL.Host, "hangs") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return httptest.NewRecorder().Result(), nil
}

func (a *asked) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	urls := a.urls
	a.urls = nil
	slices.Sort(urls)
	return urls
}

var onTheWay = []fn.Function{{Name: "a", Way: true}, {Name: "b"}, {Name: "c", Way: true}, {Name: "hangs", Way: true}}

func TestWakesEachServiceAtOnceAndOnceInAWindow(t *testing.T) {
	for pattern, want := range map[string]string{
		"http://{function}.relevo":           "GET http://a.relevo/healthz GET http://c.relevo/healthz GET http://hangs.relevo/healthz",
		"http://fused.relevo:81/{function}/": "GET http://fused.relevo:81/healthz",
		"nowhere":                            "",
	} {
		synctest.Test(t, func(t *testing.T) {
			seen := &asked{}
			w := &knative.Waker{
				Functions: onTheWay, Client: &http.Client{Transport: seen}, Window: 30 * time.Second, Log: quiet,
				Address: func(f string) string { return strings.ReplaceAll(pattern, "{function}", f) },
			}
			for range 10 {
				w.Wake() // one hangs: it returns all the same
			}
			synctest.Wait()
			if got := strings.Join(seen.take(), " "); got != want {
				t.Errorf("%s: asked %s", pattern, got)
			}
			time.Sleep(31 * time.Second)
			w.Wake()
			synctest.Wait()
			if got := strings.Join(seen.take(), " "); got != want {
				t.Errorf("%s: in the next window: asked %s", pattern, got)
			}
			time.Sleep(2 * time.Minute) // what hangs is given up
		})
	}
}

func TestWakesWhereNobodyElseDid(t *testing.T) {
	for name, c := range map[string]struct {
		first bool
		err   error
		want  int
	}{
		"the first":  {first: true, want: 2},
		"another":    {want: 0},
		"no one can": {err: errors.New("away"), want: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			seen := &asked{}
			w := &knative.Waker{
				Functions: onTheWay[:3], Client: &http.Client{Transport: seen}, Window: time.Minute, Log: quiet,
				Address: func(f string) string { return "http://" + f },
				First: func(_ context.Context, window time.Duration) (bool, error) {
					if window != time.Minute {
						t.Errorf("window %v", window)
					}
					return c.first, c.err
				},
			}
			w.Wake()
			synctest.Wait()
			if got := seen.take(); len(got) != c.want {
				t.Errorf("%s: asked %q", name, got)
			}
		})
	}
}

// TestWakesAHost: what is asked answers without a function being run.
func TestWakesAHost(t *testing.T) {
	c := &record{}
	answered := make(chan int, 1)
	inner := knative.Handler([]fn.Function{c.function("a", "t")}, knative.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		answered <- rec.Code
	}))
	defer server.Close()
	w := &knative.Waker{Functions: onTheWay[:1], Window: time.Minute, Address: func(string) string { return server.URL }}
	w.Wake()
	if code := <-answered; code != http.StatusOK || len(c.all()) > 0 {
		t.Errorf("answered %d; the function got %v", code, c.all())
	}
}
