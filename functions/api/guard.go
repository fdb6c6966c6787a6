package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/limit"
)

// guard lets in whom the function knows, as often as they may ask, and keeps
// what they did that changes something.
func (a *API) guard(next http.Handler) http.Handler {
	pages := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		q, p := a.identify(r, pages)
		if p == nil {
			p = a.tooOften(r.Context(), &q.caller)
		} else if p.Status == http.StatusUnauthorized {
			p = a.strange(r, p)
		}
		if p != nil {
			p.write(w)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), askedKey{}, q))
		if !changes(r.Method) || a.Access == nil || a.Access.Audit == nil {
			next.ServeHTTP(w, r)
			return
		}
		told := &telling{ResponseWriter: w, status: http.StatusOK}
		defer a.audit(r, q, told) // also of what panics
		next.ServeHTTP(told, r)
	})
}

// tooOften bounds people and API tokens. The system's own token and this machine
// are whoever runs this installation.
func (a *API) tooOften(ctx context.Context, c *access.Caller) *problem {
	if a.Access == nil || c.Via != access.BySession && c.Via != access.ByToken {
		return nil
	}
	return a.later(ctx, "caller", c.ID+" "+c.Token, a.Access.Callers)
}

// strange bounds, by address, those who show nothing or what is wrong.
func (a *API) strange(r *http.Request, p *problem) *problem {
	if a.Access == nil {
		return p
	}
	if often := a.later(r.Context(), "stranger", forwarded.Counted(a.client(r)), a.Access.Strangers); often != nil {
		return often
	}
	return p
}

// later counts a request. Where that cannot be counted it goes on: the store is
// away, and whoever asks is told so by what needs it.
func (a *API) later(ctx context.Context, kind, caller string, b limit.Bound) *problem {
	if a.Access.Limits == nil {
		return nil
	}
	wait, err := a.Access.Limits.Wait(ctx, kind, caller, b)
	if err != nil {
		a.Log.Debug("api: count a request", "kind", kind, "error", err)
	}
	if wait <= 0 {
		return nil
	}
	seconds := strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
	return refuse(http.StatusTooManyRequests, "too many requests: come again in %s s", seconds).with("Retry-After", seconds)
}

// client is where a request comes from, behind the proxies that are trusted.
func (a *API) client(r *http.Request) netip.Addr {
	var trusted forwarded.Trusted
	if a.Access != nil {
		trusted = a.Access.Proxies
	}
	return trusted.Client(r)
}

// telling notes the status of an answer.
type telling struct {
	http.ResponseWriter
	status int
}

func (t *telling) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (t *telling) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// audit keeps what was done, or refused. Where that cannot be kept the answer
// stands: the log has it, and the ledger the events of what was done.
func (a *API) audit(r *http.Request, q *asked, t *telling) {
	if q.kept || q.action == "" || q.caller.Via == access.BySignature {
		return // nothing that there is, or another ledger has it
	}
	d := events.UIRecorded{
		Principal: q.caller.ID, Name: q.caller.Name, Via: string(q.caller.Via), Token: q.caller.Token,
		Action: q.action, Target: cmp.Or(q.target, r.URL.Path), Project: q.project, Outcome: "done", Status: t.status,
	}
	switch {
	case q.refused || t.status == http.StatusForbidden:
		d.Outcome = "refused"
	case t.status >= http.StatusBadRequest:
		d.Outcome = "failed"
	}
	res, err := a.Access.Audit.Record(r.Context(), rand.Text(), d)
	if err != nil {
		a.Log.Error("api: audit", "principal", d.Principal, "action", d.Action, "target", d.Target, "outcome", d.Outcome, "error", err)
		return
	}
	a.publish(r.Context(), res.Emitted)
}

// authentic compares in constant time; the digests hide the length as well.
func authentic(shown, token string) bool {
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// near tells callers on this machine: over a unix socket, or the loopback.
func (a *API) near(r *http.Request) bool {
	if l, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && l.Network() == "unix" {
		return true
	}
	return a.client(r).IsLoopback()
}

// mine tells whether a Host header names this machine by the loopback, or by a
// configured name.
func (a *API) mine(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback() || slices.Contains(a.Hosts, name)
	}
	return strings.EqualFold(name, "localhost") || slices.ContainsFunc(a.Hosts, func(h string) bool {
		return strings.EqualFold(name, h)
	})
}
