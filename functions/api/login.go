package api

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
)

const (
	loginPath    = "/login"
	callbackPath = "/login/callback"
	oncePath     = "/login/once"
	// loginCookie is what a browser keeps of a login that is under way.
	loginCookie = "relevo-login"
	loginTime   = 600 // seconds that it keeps it
)

// registerLogin adds what browsers are sent to, before any caller is known.
func (a *API) registerLogin(mux *http.ServeMux) {
	if a.Access == nil {
		return
	}
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) *problem{
		"GET " + loginPath: a.beginLogin, "GET " + callbackPath: a.finishLogin,
		"GET " + oncePath: a.takeLink, "POST /logout": a.logOut,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Referrer-Policy", "no-referrer") // codes stand in addresses
			p := a.calm(r)
			if p == nil {
				p = f(w, r)
			}
			if p != nil {
				p.write(w)
			}
		})
	}
}

// calm bounds how often an address may try to log in.
func (a *API) calm(r *http.Request) *problem {
	if p := a.strange(r, nil); p != nil {
		return p
	}
	if a.localMode() {
		return a.onThisMachine(r)
	}
	return nil
}

// beginLogin sends the browser to the provider.
func (a *API) beginLogin(w http.ResponseWriter, r *http.Request) *problem {
	switch {
	case a.Access.Login != nil:
	case a.localMode():
		return errBrowser
	default:
		return refuse(http.StatusUnauthorized, "there is no login here: open the link that `relevo login` prints")
	}
	address, keep, err := a.Access.Login.Begin(r.Context(), Local(r.URL.Query().Get("to")))
	if err != nil {
		a.Log.Warn("api: begin login", "error", err)
		return refuse(http.StatusBadGateway, "the login provider does not answer; try again")
	}
	http.SetCookie(w, a.cookieOf(r, loginCookie, keep, loginTime))
	http.Redirect(w, r, address, http.StatusFound)
	return nil
}

// finishLogin takes what the provider sent the browser back with.
func (a *API) finishLogin(w http.ResponseWriter, r *http.Request) *problem {
	if a.Access.Login == nil {
		return refuse(http.StatusNotFound, "there is no login here")
	}
	keep := ""
	if c, err := r.Cookie(loginCookie); err == nil {
		keep = c.Value
	}
	http.SetCookie(w, a.cookieOf(r, loginCookie, "", -1))
	claims, back, err := a.Access.Login.Finish(r.Context(), keep, r.URL.Query())
	if err != nil {
		a.Log.Warn("api: login", "error", err)
		switch {
		case errors.Is(err, access.ErrAgain):
			return refuse(http.StatusBadRequest, "this login is none of this browser's, or too old: begin again at %s", loginPath)
		case errors.Is(err, access.ErrRefused):
			return refuse(http.StatusForbidden, "the login was refused")
		}
		return refuse(http.StatusBadGateway, "the login could not be checked; begin again at %s", loginPath)
	}
	user, err := a.Access.Store.LogIn(r.Context(), claims)
	if err != nil {
		return a.fault(r.Context(), "log in", err)
	}
	return a.enter(w, r, user.ID, back)
}

// takeLink lets in who has a one-time link. A page elsewhere cannot follow one,
// and what only looks at it does not use it up.
func (a *API) takeLink(w http.ResponseWriter, r *http.Request) *problem {
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "a link is opened by GET").with("Allow", http.MethodGet)
	case site != "" && site != "none" && site != "same-origin":
		return refuse(http.StatusForbidden, "a link is opened by hand, not by another page")
	case !a.secure(r) && !a.near(r):
		return refuse(http.StatusForbidden, "a link from afar takes https")
	}
	user, res, err := a.Access.Store.TakeLink(r.Context(), r.URL.Query().Get("code"))
	if fn.KindOf(err) == fn.NotFound {
		return refuse(http.StatusForbidden, "the link was used already, or is too old: `relevo login` prints another")
	}
	if err != nil {
		return a.fault(r.Context(), "look at the link", err)
	}
	a.publish(r.Context(), res.Emitted)
	if _, _, err := a.known(r.Context(), user); err != nil {
		return a.unknown(r.Context(), "look at who it is", err)
	}
	return a.enter(w, r, user, r.URL.Query().Get("to"))
}

// enter opens a session with a secret of its own: what the browser had before is
// worth nothing, whoever gave it.
func (a *API) enter(w http.ResponseWriter, r *http.Request, user, back string) *problem {
	if old := a.cookie(r); old != "" {
		res, err := a.Access.Store.Close(r.Context(), old)
		if err != nil {
			return a.fault(r.Context(), "end the session before", err)
		}
		a.publish(r.Context(), res.Emitted)
	}
	secret := rand.Text() + rand.Text() // 260 bits
	session, res, err := a.Access.Store.Open(r.Context(), secret, user)
	if err != nil {
		return a.fault(r.Context(), "open the session", err)
	}
	a.publish(r.Context(), res.Emitted)
	life := int(session.Ends.Sub(session.Made).Seconds())
	http.SetCookie(w, a.cookieOf(r, a.cookieName(r), secret, life))
	// No page of the provider, or link, stays in between.
	http.Redirect(w, r, Local(back), http.StatusSeeOther)
	return nil
}

// logOut ends the browser's session.
func (a *API) logOut(w http.ResponseWriter, r *http.Request) *problem {
	secret := a.cookie(r)
	if secret == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	shown := r.Header.Get(HeaderForgery)
	if shown == "" {
		r.Body = http.MaxBytesReader(w, r.Body, 4096)
		shown = r.PostFormValue("csrf")
	}
	if http.NewCrossOriginProtection().Check(r) != nil || !proves(shown, secret) {
		return refuse(http.StatusForbidden, "only a page of this server may sign out")
	}
	res, err := a.Access.Store.Close(r.Context(), secret)
	if err != nil {
		return a.fault(r.Context(), "sign out", err)
	}
	a.publish(r.Context(), res.Emitted)
	http.SetCookie(w, a.cookieOf(r, a.cookieName(r), "", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// cookieOf makes a cookie that no script sees, and that other sites' requests do
// not carry but where somebody follows a link.
func (a *API) cookieOf(r *http.Request, name, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true,
		Secure: a.secure(r), SameSite: http.SameSiteLaxMode,
	}
}

// Local is a path on this server to go to after a login; "/" in place of all
// that could lead elsewhere.
func Local(path string) string {
	bad := func(c rune) bool { return c == '\\' || c < ' ' || c == 0x7f }
	u, err := url.Parse(path)
	switch {
	case err != nil || len(path) > 1024 || strings.ContainsFunc(path, bad),
		u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "",
		!strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"),
		strings.HasPrefix(u.Path, "//") || strings.ContainsFunc(u.Path, bad),
		u.Path == loginPath || strings.HasPrefix(u.Path, loginPath+"/"):
		return "/"
	}
	return path
}

// loopbackURL is an address of this server on this machine, as a request has it.
func loopbackURL(host string) string { return (&url.URL{Scheme: "http", Host: host}).String() }

// link is the address of a one-time link.
func (a *API) link(host, code string) string {
	base := a.Access.Public
	if h, _, err := net.SplitHostPort(host); base == "" || err == nil && (h == "localhost" || isLoopback(h)) {
		base = loopbackURL(host)
	}
	return strings.TrimSuffix(base, "/") + oncePath + "?" + url.Values{"code": {code}}.Encode()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
