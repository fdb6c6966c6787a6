package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/limit"
)

func TestTooManyRequests(t *testing.T) {
	w := newWorld(t, withLogin, func(w *world) {
		w.api.Access.Limits, w.api.Access.Callers = &limit.Memory{}, limit.Bound{Rate: 0.5, Burst: 3}
	})
	w.grant("ana", domain.Viewer, "*")
	w.grant("bob", domain.Viewer, "*")
	ana, bob := w.logIn("ana"), w.logIn("bob")
	for range 3 {
		status(t, ana.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
	}
	rec := ana.ask(http.MethodGet, "/v1/me", "")
	refused(t, rec, http.StatusTooManyRequests)
	if after := rec.Header().Get("Retry-After"); after != "2" {
		t.Errorf("come again after %q s", after)
	}
	status(t, bob.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
}

// TestLimitsOfAnInstallation: two processes that count in one place count together.
func TestLimitsOfAnInstallation(t *testing.T) {
	counted := &limit.Memory{}
	var ana []*browser
	for range 2 {
		w := newWorld(t, withLogin, func(w *world) {
			w.api.Access.Limits, w.api.Access.Callers = counted, limit.Bound{Rate: 0.001, Burst: 4}
		})
		w.grant("ana", domain.Viewer, "*")
		ana = append(ana, w.logIn("ana"))
	}
	codes := map[int]int{}
	for i := range 10 {
		codes[ana[i%2].ask(http.MethodGet, "/v1/me", "").Code]++
	}
	if codes[http.StatusOK] != 4 || codes[http.StatusTooManyRequests] != 6 {
		t.Errorf("answers %v", codes)
	}
}

// behind asks as a stranger whose request came by a connection from remote, with
// what is said of where it comes from.
func (w *world) behind(remote string, header ...string) int {
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/v1/me", nil)
	r.RemoteAddr, r.Host = remote, "relevo.example"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.http.ServeHTTP(rec, r)
	return rec.Code
}

// TestStrangersBehindProxies: they are counted one by one where the proxy is
// trusted, and whatever they say themselves gains them nothing.
func TestStrangersBehindProxies(t *testing.T) {
	const proxy, stranger, burst = "10.1.1.1:5", "198.51.100.7", 10
	trust := forwarded.Trusted{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range map[string]struct {
		trust  forwarded.Trusted
		remote string
		header func(i int) []string
	}{
		"the proxy tells one address": {trust, proxy, func(int) []string { return []string{"X-Forwarded-For", stranger} }},
		"it says others before": {trust, proxy, func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d, %s", i, stranger)}
		}},
		"it says so in a line of its own": {trust, proxy, func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i), "X-Forwarded-For", stranger}
		}},
		"it says Forwarded, the proxy the other": {trust, proxy, func(i int) []string {
			return []string{"Forwarded", fmt.Sprintf("for=203.0.113.%d", i), "X-Forwarded-For", stranger}
		}},
		"it says the other, the proxy Forwarded": {trust, proxy, func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i), "Forwarded", "for=" + stranger}
		}},
		"it is no proxy": {trust, stranger + ":5", func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)}
		}},
		"no proxy is trusted": {nil, proxy, func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)}
		}},
		"one subscriber's many addresses": {trust, proxy, func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("2001:db8:1:2::%d", i)}
		}},
	} {
		w := newWorld(t, withLogin, func(w *world) {
			w.api.Access.Limits, w.api.Access.Strangers, w.api.Access.Proxies = &limit.Memory{}, limit.Bound{Rate: 0.001, Burst: burst}, c.trust
		})
		codes := map[int]int{}
		for i := range 3 * burst {
			codes[w.behind(c.remote, c.header(i)...)]++
		}
		if codes[http.StatusUnauthorized] != burst || codes[http.StatusTooManyRequests] != 2*burst {
			t.Errorf("%s: answers %v", name, codes)
		}
		if code := w.behind(proxy, "X-Forwarded-For", "198.51.100.8"); c.trust != nil && code != http.StatusUnauthorized {
			t.Errorf("%s: another is answered %d", name, code)
		}
	}
}

// TestThisMachineBehindAProxy: whom a trusted proxy on this machine serves is not
// on this machine.
func TestThisMachineBehindAProxy(t *testing.T) {
	w := newWorld(t, knowing, func(w *world) {
		w.api.Access.Proxies = forwarded.Trusted{netip.MustParsePrefix("127.0.0.1/32")}
	})
	for _, c := range []struct {
		said string
		want int
	}{{"198.51.100.7", http.StatusForbidden}, {"127.0.0.1, 198.51.100.7", http.StatusForbidden}, {"127.0.0.1", http.StatusOK}} {
		if rec := w.ask(http.MethodGet, "/v1/me", "", "X-Forwarded-For", c.said); rec.Code != c.want {
			t.Errorf("from %s: %d, not %d", c.said, rec.Code, c.want)
		}
	}
	if rec := w.ask(http.MethodGet, "/v1/me", ""); rec.Code != http.StatusOK {
		t.Errorf("without a proxy: %d", rec.Code)
	}
}

// uncounted is a counter that is away.
type uncounted struct{}

func (uncounted) Wait(context.Context, string, string, limit.Bound) (time.Duration, error) {
	return 0, errors.New("dial tcp 10.1.2.3:6379: connection refused")
}

// TestNobodyCounts: a request that cannot be counted is answered as it would be.
func TestNobodyCounts(t *testing.T) {
	one := limit.Bound{Rate: 0.001, Burst: 1}
	w := newWorld(t, withLogin, func(w *world) {
		w.api.Access.Limits, w.api.Access.Callers, w.api.Access.Strangers = uncounted{}, one, one
	})
	w.grant("ana", domain.Viewer, "*")
	ana := w.logIn("ana")
	for range 3 {
		status(t, ana.ask(http.MethodGet, "/v1/me", ""), http.StatusOK)
		refused(t, w.ask(http.MethodGet, "/v1/me", ""), http.StatusUnauthorized)
	}
}
