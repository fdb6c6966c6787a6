package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// refusing is an api that knows nobody.
var refusing = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"title":"Unauthorized","status":401,"detail":"who are you"}`))
})

func ask(t *testing.T, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	New(&Console{API: refusing}).HTTP.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// TestRefused: whoever the api does not know sees nothing, and is told why.
func TestRefused(t *testing.T) {
	for _, path := range []string{"/", "/runs/x", "/jobs/x.y", "/queue", "/capacity", "/events", "/triggers", "/triggers/x", "/access", "/run", "/capacity?last=6h", "/runs/x/cancel", "/jobs/x.y/approve"} {
		w := ask(t, http.MethodGet, path)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "who are you") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestNowhere(t *testing.T) {
	if w := ask(t, http.MethodGet, "/nowhere"); w.Code != http.StatusNotFound {
		t.Errorf("GET: %d", w.Code)
	}
	if w := ask(t, http.MethodPost, "/nowhere"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestAssets: what a page names is there, for ever, under a name of its content.
func TestAssets(t *testing.T) {
	for name, address := range loadAssets().address {
		w := ask(t, http.MethodGet, address)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s at %s: %d, %s", name, address, w.Code, w.Header().Get("Cache-Control"))
		}
	}
	if w := ask(t, http.MethodGet, "/static/style.css"); w.Code != http.StatusNotFound {
		t.Errorf("a name without its hash: %d", w.Code)
	}
}

// TestInside keeps redirects within the console.
func TestInside(t *testing.T) {
	for to, want := range map[string]string{
		"/runs/x?a=b": "/runs/x?a=b", "": "/", "runs": "/", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "/a\r\nb": "/",
	} {
		if got := inside(to); got != want {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a\x00b": "a␀b", "\u202egnp": "[U+202E]gnp", "e\u0301": "e\u0301", "\xff": "�", "a\nb": "a␊b",
		"Z" + strings.Repeat("\u0351", 30): "Z" + strings.Repeat("\u0351", mostMarks),
		strings.Repeat("w", 400):           strings.Repeat("w", mostShown) + "…",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q shows as %q", text, got)
		}
	}
}

// TestFaults: each says what it is and what to do, those that pass offer to be asked
// again, and what the api refuses at its door is a page as well.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		status           int
		detail           string
		want, unlike, at string
	}{
		{403, "no role", "You do not have access", "Try again", "/"},
		{404, "there is no such run", "Not found", "Try again", "/runs/x"},
		{503, "the store did not answer", "Try again</a>", "Sign in", "/queue"},
		{429, "slower", "Too many requests", "Sign in", "/queue"},
		{401, "a session is needed", `href="/login?to=`, "Go to runs", "/"},
		{401, "open the link that `relevo login` prints", "<code>relevo login</code>", "/login?to=", "/"},
		{403, "the link was used already: `relevo login` prints another", "<code>relevo login</code>", "{", "/login/once?code=x"},
	} {
		api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(c.status)
			_ = json.NewEncoder(w).Encode(map[string]any{"status": c.status, "title": "T", "detail": c.detail})
		})
		console := &Console{API: api}
		f := New(console)
		console.api.Pause = func(context.Context, time.Duration) error { return nil }
		w := httptest.NewRecorder()
		f.HTTP.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.at, nil))
		main, _, _ := strings.Cut(w.Body.String(), "</main>")
		_, main, _ = strings.Cut(main, "<main")
		if w.Code != c.status || !strings.Contains(main, c.want) || strings.Contains(main, c.unlike) {
			t.Errorf("%d, %s: %d, %s", c.status, c.detail, w.Code, main)
		}
	}
}
