package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/limit"
	"github.com/relevo-ci/relevo/shared/state"
)

// Access is how callers are known and judged, besides the one token and this
// machine.
type Access struct {
	// Store keeps users, grants, API tokens and sessions.
	Store *state.Access
	// Audit keeps who did what; nil: nobody.
	Audit *state.Audit
	// Fixed are grants of the settings.
	Fixed *access.Policy
	// Login is the provider that people log in with; nil: there is none.
	Login Login
	// Allowed judges; nil: the domain's own table.
	Allowed func(list []access.Binding, p access.Permission, project string) bool
	// Limits counts how often somebody asks; nil: as often as they like.
	Limits limit.Limits
	// Callers is the bound of each caller, Strangers that of each address where none
	// was shown or a wrong one.
	Callers, Strangers limit.Bound
	// Proxies are those in front of this server that are believed whom they serve.
	Proxies forwarded.Trusted
	// Public is the address of this server as browsers see it.
	Public string
}

// Login is a provider of identities; see shared/access.
type Login interface {
	// Begin gives where to send a browser, and what it keeps meanwhile.
	Begin(ctx context.Context, back string) (address, keep string, err error)
	// Finish gives what the provider says of who logged in, and the local path
	// that they wanted.
	Finish(ctx context.Context, keep string, answer url.Values) (access.Claims, string, error)
}

// asked is one request, with who asks and what it turned out to be.
type asked struct {
	caller access.Caller
	// secret and ends are of the session, where there is one.
	secret string
	ends   time.Time
	// For the audit: what is asked for, what it made or was about where the path
	// does not tell, the project that it is of, and whether it was refused though
	// there may be such a thing.
	action  string
	target  string
	project string
	refused bool
	// kept: another ledger has it.
	kept bool
}

type askedKey struct{}

func askedOf(ctx context.Context) *asked {
	q, ok := ctx.Value(askedKey{}).(*asked)
	if !ok {
		return &asked{} // nobody: may nothing
	}
	return q
}

// callerOf is who asks.
func callerOf(ctx context.Context) *access.Caller { return &askedOf(ctx).caller }

// by is who asks, as people know them.
func by(ctx context.Context) string { return callerOf(ctx).Name }

// localMode: nobody can show who they are, so callers on this machine are served.
func (a *API) localMode() bool { return a.Token == "" && (a.Access == nil || a.Access.Login == nil) }

// HeaderForgery is sent with what changes something by pages of a session, which
// are told its value.
const HeaderForgery = "X-Relevo-Csrf"

var (
	errWho = refuse(http.StatusUnauthorized, "a session or a bearer token is needed").with("Www-Authenticate", `Bearer realm="relevo"`)
	// errBrowser: other programs of this machine are believed, pages that any site
	// may have opened are not.
	errBrowser = refuse(http.StatusUnauthorized, "open the link that `relevo up` printed, or that `relevo login` prints")
)

// identify tells who asks, or why they are refused. What is shown and wrong is
// never passed over for something less.
func (a *API) identify(r *http.Request, pages *http.CrossOriginProtection) (*asked, *problem) {
	if a.signed(r) { // takeEvents looks at the signature before anything else
		return &asked{caller: access.Caller{ID: access.Signature, Name: access.Signature, Via: access.BySignature}}, nil
	}
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	switch {
	case bearer && strings.HasPrefix(shown, access.TokenPrefix) && a.Access != nil:
		return a.byToken(r.Context(), shown)
	case bearer && a.Token != "" && authentic(shown, a.Token):
		return system(), nil
	case scheme != "" && !a.localMode():
		return nil, errWho
	}
	if secret := a.cookie(r); secret != "" {
		q, p := a.bySession(r, secret, pages)
		if q != nil || p != errWho {
			return q, p
		}
	}
	if !a.localMode() {
		return nil, errWho
	}
	return a.byMachine(r, pages)
}

func system() *asked {
	return &asked{caller: access.Caller{ID: access.System, Name: access.System, Via: access.BySystem, Bindings: access.All(access.Operator)}}
}

// byMachine lets in who is on this machine: programs as they are, pages with the
// session of a one-time link alone, where there are any.
func (a *API) byMachine(r *http.Request, pages *http.CrossOriginProtection) (*asked, *problem) {
	if p := a.onThisMachine(r); p != nil {
		return nil, p
	}
	if pages.Check(r) != nil {
		return nil, refuse(http.StatusForbidden, "web pages of other origins may not ask for this")
	}
	if a.Access != nil && (r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "") {
		return nil, errBrowser
	}
	return &asked{caller: machine()}, nil
}

func machine() access.Caller {
	return access.Caller{ID: access.Local, Name: access.Local, Via: access.ByMachine, Bindings: access.All(access.Admin)}
}

func (a *API) onThisMachine(r *http.Request) *problem {
	switch {
	case !a.near(r):
		return refuse(http.StatusForbidden, "without a token only callers on this machine are served")
	case !a.mine(r.Host):
		// A page whose name was made to point at this machine says its own name.
		return refuse(http.StatusMisdirectedRequest, "this server is not addressed by that name")
	}
	return nil
}

// byToken knows a caller by an API token: it may what its maker may now, within
// its own bounds.
func (a *API) byToken(ctx context.Context, secret string) (*asked, *problem) {
	t, err := a.Access.Store.Token(ctx, secret)
	if err != nil {
		return nil, a.unknown(ctx, "look at the token", err)
	}
	maker, _, err := a.known(ctx, t.Maker)
	if err != nil {
		return nil, a.unknown(ctx, "look at the token's maker", err)
	}
	maker.Via, maker.Token = access.ByToken, t.ID
	maker.Bindings = access.Capped(maker.Bindings, t.Role, t.Scopes)
	return &asked{caller: maker, ends: t.Ends}, nil
}

// bySession knows one by a browser's session. What changes something must come
// from a page of ours: by where it comes from, and by what only that page knows.
func (a *API) bySession(r *http.Request, secret string, pages *http.CrossOriginProtection) (*asked, *problem) {
	s, err := a.Access.Store.Session(r.Context(), secret)
	if err != nil {
		return nil, a.unknown(r.Context(), "look at the session", err)
	}
	c, out, err := a.known(r.Context(), s.User)
	if err != nil {
		return nil, a.unknown(r.Context(), "look at who it is", err)
	}
	if !s.Made.After(out) {
		return nil, errWho
	}
	if c.ID == access.Local {
		if p := a.onThisMachine(r); p != nil {
			return nil, p
		}
	}
	if pages.Check(r) != nil || !sameOrigin(r) {
		return nil, refuse(http.StatusForbidden, "web pages of other origins may not ask for this")
	}
	if changes(r.Method) && !proves(r.Header.Get(HeaderForgery), secret) {
		return nil, refuse(http.StatusForbidden, "a page sends %s with what changes something", HeaderForgery)
	}
	c.Via = access.BySession
	return &asked{caller: c, secret: secret, ends: s.Ends}, nil
}

// proves tells whether what a request shows is known to the session's own pages
// alone.
func proves(shown, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(shown), []byte(access.Forgery(secret))) == 1
}

// sameOrigin holds connections that stay open (WebSocket) to the pages of this
// server: browsers let any page begin one.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if r.Header.Get("Upgrade") == "" || origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// known is somebody by their id, with all that they may, and until when their
// sessions were ended.
func (a *API) known(ctx context.Context, id string) (access.Caller, time.Time, error) {
	switch {
	case id == access.Local && a.localMode():
		return machine(), time.Time{}, nil
	case id == access.System && a.Token != "":
		return system().caller, time.Time{}, nil
	case id == access.Local || id == access.System: // of another mode
		return access.Caller{}, time.Time{}, state.ErrNoAccess
	}
	fixed := a.Access.Fixed
	if fixed == nil {
		fixed = &access.Policy{}
	}
	k, err := a.Access.Store.Known(ctx, id, fixed)
	if err != nil {
		return access.Caller{}, time.Time{}, err
	}
	return access.Caller{ID: id, Name: k.User.Called(), Bindings: k.Bindings}, k.User.Out, nil
}

// unknown refuses who is not known any more, or says that the store is away.
func (a *API) unknown(ctx context.Context, doing string, err error) *problem {
	if errors.Is(err, state.ErrNoAccess) {
		return errWho
	}
	return a.fault(ctx, doing, err)
}

// secure tells whether browsers speak to this server by TLS.
func (a *API) secure(r *http.Request) bool {
	return r.TLS != nil || a.Access != nil && strings.HasPrefix(a.Access.Public, "https://")
}

// cookieName is that of the session. The prefix keeps others of the domain, and
// plain HTTP, from setting it. On this machine without TLS the port stands in
// it, for cookies are of all ports.
func (a *API) cookieName(r *http.Request) string {
	if a.secure(r) {
		return "__Host-relevo"
	}
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "relevo-" + port
}

// cookie is the session's secret, where the request has one.
func (a *API) cookie(r *http.Request) string {
	if a.Access == nil {
		return ""
	}
	c, err := r.Cookie(a.cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}
