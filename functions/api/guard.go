package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard lets in whom the function serves: with a token, whoever shows it;
// without, callers on this machine.
func (a *API) guard(next http.Handler) http.Handler {
	pages := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if p := a.stranger(r, pages); p != nil {
			p.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stranger says why a caller is refused; nil lets it in.
func (a *API) stranger(r *http.Request, pages *http.CrossOriginProtection) *problem {
	if a.signed(r) {
		return nil // takeEvents looks at the signature before anything else
	}
	if a.Token != "" {
		if !authentic(r.Header.Get("Authorization"), a.Token) {
			return refuse(http.StatusUnauthorized, "a bearer token is needed").with("Www-Authenticate", `Bearer realm="relevo"`)
		}
		return nil
	}
	switch {
	case !near(r):
		return refuse(http.StatusForbidden, "without a token only callers on this machine are served")
	case !a.mine(r.Host):
		// A page whose name was made to point at this machine says its own name.
		return refuse(http.StatusMisdirectedRequest, "this server is not addressed by that name")
	case pages.Check(r) != nil:
		return refuse(http.StatusForbidden, "web pages of other origins may not ask for this")
	}
	return nil
}

// authentic compares in constant time; the digests hide the length as well.
func authentic(header, token string) bool {
	scheme, shown, _ := strings.Cut(header, " ")
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// near tells callers on this machine: over a unix socket, or the loopback.
func near(r *http.Request) bool {
	if l, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && l.Network() == "unix" {
		return true
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
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
