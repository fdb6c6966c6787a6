package githubapp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func pair(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestKeys(t *testing.T) {
	key := pair(t)
	pkcs1 := text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{pkcs1, text("PRIVATE KEY", der), strings.ReplaceAll(strings.TrimSpace(pkcs1), "\n", `\n`)} {
		got, err := readKey(good)
		if err != nil || !got.Equal(key) {
			t.Errorf("%.30q: %v", good, err)
		}
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(curve); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "s3cret", text("PRIVATE KEY", der), text("RSA PRIVATE KEY", []byte("s3cret")), pkcs1[:200]} {
		_, err := New(Settings{ID: "1", Key: bad, URL: "https://api.github.com/"})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
	for _, wrong := range []Settings{{Key: pkcs1, URL: "https://x/"}, {ID: "1", Key: pkcs1}, {ID: "1", Key: pkcs1, URL: "ftp://x"}} {
		if _, err := New(wrong); err == nil {
			t.Errorf("%q at %q is taken", wrong.ID, wrong.URL)
		}
	}
}

// TestSign holds the token against RFC 7519 and GitHub's bounds.
func TestSign(t *testing.T) {
	key, now := pair(t), time.Unix(1_700_000_000, 0)
	signed, err := sign(key, "4711", now)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(signed, ".")
	if len(parts) != 3 {
		t.Fatal(signed)
	}
	mark, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], mark) != nil {
		t.Error("the signature is wrong")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || string(claims) != `{"exp":1700000480,"iat":1699999940,"iss":"4711"}` {
		t.Errorf("%s, %v", claims, err)
	}
}

// github is as much of it as an App's tokens need.
type github struct {
	*httptest.Server
	takes  atomic.Int32
	looks  atomic.Int32
	lasts  time.Duration
	gone   atomic.Int32 // an installation that is not there any more
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newGitHub(t *testing.T) *github {
	g := &github{lasts: time.Hour}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.answer != nil && g.answer(w, r):
		case r.Method == http.MethodGet:
			_, _ = fmt.Fprintf(w, `{"id":%d}`, 100+g.looks.Add(1))
		case strings.Contains(r.URL.Path, fmt.Sprintf("/%d/", g.gone.Load())):
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		default:
			n := g.takes.Add(1)
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprint("t", n), "expires_at": time.Now().Add(g.lasts)})
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *github) app(t *testing.T) *App {
	t.Helper()
	a, err := New(Settings{ID: "1", Key: text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(pair(t))), URL: g.URL})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func take(t *testing.T, a *App, repository string, p Permissions) string {
	t.Helper()
	got, err := a.Token(t.Context(), repository, p)
	if err != nil {
		t.Fatal(err)
	}
	return got.Value
}

// TestTokensAreKept while they last long enough, for the same use alone.
func TestTokensAreKept(t *testing.T) {
	g := newGitHub(t)
	a := g.app(t)
	first := take(t, a, "o/r", Checkout)
	if take(t, a, "O/R", Checkout) != first || g.takes.Load() != 1 {
		t.Error("it is taken again")
	}
	if take(t, a, "o/other", Checkout) == first || take(t, a, "o/r", Permissions{"contents": "write"}) == first {
		t.Error("another use has the same")
	}
	a.Forget(first)
	if take(t, a, "o/r", Checkout) == first {
		t.Error("it is not forgotten")
	}
	g.lasts = left - time.Minute
	short := take(t, a, "o/short", Checkout)
	if take(t, a, "o/short", Checkout) == short {
		t.Error("one that is about to end is handed out")
	}
}

// TestInstalledAnew: where the App was installed is believed for a while, and
// looked for again when it is not there.
func TestInstalledAnew(t *testing.T) {
	g := newGitHub(t)
	a := g.app(t)
	a.Forget(take(t, a, "o/r", Checkout))
	g.gone.Store(101)
	a.Forget(take(t, a, "o/r", Checkout))
	if g.looks.Load() != 2 {
		t.Errorf("looked %d times", g.looks.Load())
	}
	g.gone.Store(102)
	g.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		}
		return r.Method == http.MethodGet
	}
	_, err := a.Token(t.Context(), "o/r", Checkout)
	var no *Refusal
	if !errors.As(err, &no) || no.Status != http.StatusNotFound || !strings.Contains(err.Error(), "Not Found") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoToken(t *testing.T) {
	g := newGitHub(t)
	a := g.app(t)
	for _, name := range []string{"", "o", "o/r/x", "../r", "o/..", "/r"} {
		if _, err := a.Token(t.Context(), name, Checkout); err == nil {
			t.Errorf("%q has a token", name)
		}
	}
	if g.looks.Load() != 0 {
		t.Error("GitHub was asked")
	}
	for body, want := range map[string]error{"{}": ErrAnswer, "null": ErrAnswer, "<html>": ErrAnswer, `{"id":-1}`: ErrAnswer} {
		g.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(body))
			return true
		}
		if _, err := a.Token(t.Context(), "o/r", Checkout); !errors.Is(err, want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the other host was asked: %v", r.Header) }))
	defer other.Close()
	g.answer = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusMovedPermanently)
		return true
	}
	if _, err := a.Token(t.Context(), "o/r", Checkout); err == nil {
		t.Error("a token of another host")
	}
}

// TestAClockThatIsOff: GitHub's counts, once it said so.
func TestAClockThatIsOff(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -2 * time.Minute, time.Hour} {
		g, refused := newGitHub(t), 0
		g.answer = func(w http.ResponseWriter, r *http.Request) bool {
			now := time.Now().Add(off)
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			claims, err := base64.RawURLEncoding.DecodeString(strings.Split(r.Header.Get("Authorization"), ".")[1])
			if err != nil {
				t.Error(err)
			}
			var at struct{ Iat, Exp int64 }
			if err := json.Unmarshal(claims, &at); err != nil {
				t.Error(err)
			}
			if at.Iat <= now.Unix() && at.Exp > now.Unix() && at.Exp <= now.Add(10*time.Minute).Unix() {
				return false
			}
			refused++
			http.Error(w, `{"message":"A JSON web token could not be decoded"}`, http.StatusUnauthorized)
			return true
		}
		a := g.app(t)
		if got := take(t, a, "o/r", Checkout) + take(t, a, "o/s", Checkout); got != "t1t2" || refused != 1 {
			t.Errorf("%v: %s, refused %d times", off, got, refused)
		}
	}
	g, asked := newGitHub(t), 0
	g.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		asked++
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		return true
	}
	if _, err := g.app(t).Token(t.Context(), "o/r", Checkout); err == nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
