package oidc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/relevo-ci/relevo/shared/access"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
)

const (
	clientID = "relevo"
	secret   = "between them"
	callback = "http://127.0.0.1/login/callback"
	user     = "test-user2"
	password = "verysecure"
)

// groups are what the provider says of everybody, as the product's claim.
type groups struct{ *storage.Storage }

func (g groups) SetUserinfoFromScopes(ctx context.Context, info *oidc.UserInfo, id, client string, scopes []string) error {
	return g.Storage.SetUserinfoFromScopes(ctx, info, id, client, scopes)
}

func (g groups) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	err := g.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin)
	info.AppendClaims("groups", []string{"core", "ops"})
	return err
}

var clients sync.Once

// serve starts the provider.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	return serveAs(t, "127.0.0.1")
}

// serveAs starts it under a name of this machine.
func serveAs(t *testing.T, name string) *httptest.Server {
	t.Helper()
	clients.Do(func() { storage.RegisterClients(storage.WebClient(clientID, secret, callback)) })
	var router http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { router.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	s.URL = strings.Replace(s.URL, "127.0.0.1", name, 1)
	store := groups{storage.NewStorage(storage.NewUserStore(s.URL))}
	router = exampleop.SetupServer(s.URL, store, slog.New(slog.NewTextHandler(io.Discard, nil)), false, op.WithAllowInsecure())
	return s
}

// relying is the product's side.
func relying(issuer string) *access.OIDC {
	key := access.NewKey()
	return &access.OIDC{
		Issuer: issuer, ClientID: clientID, ClientSecret: secret, Redirect: callback,
		Key: func(context.Context) ([]byte, error) { return key, nil },
	}
}

// person is a browser with somebody before it, who logs in at the provider.
func person(t *testing.T, address string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if back != nil { // refused before anybody was asked
		return back.Query()
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the provider answers %d: %s", res.StatusCode, page)
	}
	form := url.Values{"username": {user}, "password": {password}, "id": {res.Request.URL.Query().Get("authRequestID")}}
	if res, err = browser.PostForm(res.Request.URL.String(), form); err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if back == nil {
		t.Fatalf("not sent back: %d at %s", res.StatusCode, res.Request.URL)
	}
	return back.Query()
}

func begin(t *testing.T, o *access.OIDC) (address, keep string) {
	t.Helper()
	address, keep, err := o.Begin(t.Context(), "/runs")
	if err != nil {
		t.Fatal(err)
	}
	return address, keep
}

func TestLogin(t *testing.T) {
	s := serve(t)
	o := relying(s.URL)
	address, keep := begin(t, o)
	asked, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := asked.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("state") == "" || q.Get("nonce") == "" || q.Get("response_type") != "code" {
		t.Errorf("asked with %v", q)
	}
	claims, back, err := o.Finish(t.Context(), keep, person(t, address))
	if err != nil {
		t.Fatal(err)
	}
	if back != "/runs" || claims.Subject != "id2" || claims.Issuer != s.URL || claims.Email != "test-user2@zitadel.ch" || !claims.Verified || !slices.Equal(claims.Groups, []string{"core", "ops"}) {
		t.Errorf("%+v, back to %s", claims, back)
	}
	var u domain.User
	u.LogIn(claims, u.Seen)
	if !slices.Contains(u.Subjects(), "group:ops") || !slices.Contains(u.Subjects(), "user:test-user2@zitadel.ch") {
		t.Errorf("bindings name them %v", u.Subjects())
	}
}

// wire changes what the product asks the provider, as an attacker between would
// who had another's code.
type wire struct{ change func(url.Values) }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		w.change(r.PostForm)
		body := r.PostForm.Encode()
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestPKCE: the provider redeems no code without the verifier that belongs to it.
func TestPKCE(t *testing.T) {
	s := serve(t)
	for name, change := range map[string]func(url.Values){
		"missing": func(f url.Values) { f.Del("code_verifier") },
		"wrong":   func(f url.Values) { f.Set("code_verifier", strings.Repeat("a", 43)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := relying(s.URL)
			o.HTTP = &http.Client{Transport: wire{change}}
			address, keep := begin(t, o)
			if claims, _, err := o.Finish(t.Context(), keep, person(t, address)); !errors.Is(err, domain.ErrRefused) {
				t.Errorf("%+v, %v", claims, err)
			}
		})
	}
}

// TestACodeCountsOnce at the provider: who saw it in an address has no use of it.
func TestACodeCountsOnce(t *testing.T) {
	o := relying(serve(t).URL)
	address, keep := begin(t, o)
	answer := person(t, address)
	if _, _, err := o.Finish(t.Context(), keep, answer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Finish(t.Context(), keep, answer); !errors.Is(err, domain.ErrRefused) {
		t.Errorf("a second time: %v", err)
	}
}

// TestState: an answer is taken of the login alone that this browser began.
func TestState(t *testing.T) {
	o := relying(serve(t).URL)
	address, keep := begin(t, o)
	_, others := begin(t, o)
	answer := person(t, address)
	with := func(name, value string) url.Values {
		changed := url.Values{}
		for k, v := range answer {
			changed[k] = v
		}
		changed.Set(name, value)
		return changed
	}
	strange := relying(o.Issuer) // of another key
	_, foreign := begin(t, strange)
	for name, c := range map[string]struct {
		keep   string
		answer url.Values
	}{
		"another login of the browser": {others, answer},
		"no login of the browser":      {"", answer},
		"another installation's":       {foreign, answer},
		"a cookie that was changed":    {keep[:len(keep)-2] + "AA", answer},
		"another state":                {keep, with("state", "x")},
		"no state":                     {keep, with("state", "")},
		"another issuer":               {keep, with("iss", "https://evil.example")},
	} {
		if _, _, err := o.Finish(t.Context(), c.keep, c.answer); !errors.Is(err, domain.ErrAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := o.Finish(t.Context(), keep, answer); err != nil {
		t.Errorf("the browser's own: %v", err)
	}
}

// TestNonce: an identity token that was made for another login is refused, though
// the provider signed it.
func TestNonce(t *testing.T) {
	o := relying(serve(t).URL)
	for name, nonce := range map[string]string{"another": "another", "none": ""} {
		address, keep := begin(t, o)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("nonce", nonce)
		u.RawQuery = q.Encode()
		if claims, _, err := o.Finish(t.Context(), keep, person(t, u.String())); !errors.Is(err, domain.ErrRefused) || !strings.Contains(err.Error(), "another login") {
			t.Errorf("%s: %+v, %v", name, claims, err)
		}
	}
}

// TestRefusals of the provider, and one that is away.
func TestRefusals(t *testing.T) {
	s := serve(t)
	o := relying(s.URL)
	address, keep := begin(t, o)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	state := u.Query().Get("state")
	if _, _, err := o.Finish(t.Context(), keep, url.Values{"state": {state}, "error": {"access_denied"}}); !errors.Is(err, domain.ErrRefused) {
		t.Errorf("access_denied: %v", err)
	}
	if _, _, err := o.Finish(t.Context(), keep, url.Values{"state": {state}, "code": {"made-up"}}); !errors.Is(err, domain.ErrRefused) {
		t.Errorf("a made-up code: %v", err)
	}
	wrong := relying(s.URL)
	wrong.ClientSecret = "guessed"
	address, keep = begin(t, wrong)
	if _, _, err := wrong.Finish(t.Context(), keep, person(t, address)); !errors.Is(err, domain.ErrRefused) || strings.Contains(err.Error(), "guessed") {
		t.Errorf("with a wrong secret: %v", err)
	}
	s.Close()
	if _, _, err := relying(s.URL).Begin(t.Context(), "/"); err == nil {
		t.Error("a provider that is away lets begin")
	}
}
