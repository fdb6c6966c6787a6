package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// serve makes a client of a handler. It does not wait between tries.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &client.Client{BaseURL: s.URL, HTTP: s.Client(), Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func answer(w http.ResponseWriter, status int, v any) {
	kind := "application/json"
	if status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func TestProblemsAreErrors(t *testing.T) {
	for status, want := range map[int]error{
		400: client.ErrInvalid, 413: client.ErrInvalid, 416: client.ErrInvalid, 422: client.ErrInvalid,
		401: client.ErrDenied, 403: client.ErrDenied, 404: client.ErrNotFound, 409: client.ErrConflict,
		429: client.ErrUnavailable, 502: client.ErrUnavailable, 503: client.ErrUnavailable, 504: client.ErrUnavailable,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, status, client.Problem{Status: status, Title: "T", Detail: "d", Errors: []client.Detail{
				{Message: "m", Hint: "h", Location: "ci.yaml:3:5"},
			}})
		})
		_, err := c.Run(t.Context(), "x")
		for _, kind := range []error{client.ErrInvalid, client.ErrDenied, client.ErrNotFound, client.ErrConflict, client.ErrUnavailable} {
			if errors.Is(err, kind) != errors.Is(want, kind) {
				t.Errorf("%d is %v: %v", status, kind, errors.Is(err, kind))
			}
		}
		if err.Error() != "T: d\nci.yaml:3:5: m (h)" {
			t.Errorf("%d reads %q", status, err)
		}
	}
}

func TestAnswersThatAreNoProblems(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "broken") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "{")
			return
		}
		http.Error(w, "<html>", http.StatusTeapot)
	})
	var p *client.Problem
	if _, err := c.Run(t.Context(), "x"); !errors.As(err, &p) || p.Status != 418 || p.Title != "418 I'm a teapot" {
		t.Errorf("of a proxy: %v", err)
	}
	if _, err := c.Run(t.Context(), "broken"); !errors.As(err, &p) || p.Status != 500 {
		t.Errorf("broken: %v", err)
	}
}

// A submission whose answer is lost is sent again, as the same one.
func TestSubmitIsRepeatedWithItsKey(t *testing.T) {
	for _, key := range []string{"", "mine"} {
		var keys, bodies []string
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
			switch len(keys) {
			case 1:
				panic(http.ErrAbortHandler)
			case 2:
				answer(w, http.StatusServiceUnavailable, client.Problem{Title: "no"})
			case 3:
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, `{"id": "torn`)
			default:
				answer(w, http.StatusCreated, client.Accepted{ID: "R"})
			}
		})
		got, err := c.Submit(t.Context(), client.Submission{Source: "x"}, key)
		if err != nil || got.ID != "R" || len(keys) != 4 {
			t.Fatalf("%+v, %v after %d tries", got, err, len(keys))
		}
		for i := range keys {
			if keys[i] != keys[0] || keys[i] == "" || (key != "" && keys[i] != key) || bodies[i] != bodies[0] {
				t.Errorf("try %d: key %q, body %s", i, keys[i], bodies[i])
			}
		}
	}
}

func TestWhatIsRefusedIsNotRepeated(t *testing.T) {
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		answer(w, http.StatusUnprocessableEntity, client.Problem{Title: "no"})
	})
	if _, err := c.Submit(t.Context(), client.Submission{}, ""); !errors.Is(err, client.ErrInvalid) || asked.Load() != 1 {
		t.Errorf("%v after %d tries", err, asked.Load())
	}
}

func TestRequests(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization") + " " + string(body)
		answer(w, http.StatusOK, struct{}{})
	})
	c.Token = "t"
	for want, do := range map[string]func() error{
		"GET /v1/pipelines/a%2Fb Bearer t ":              func() error { _, err := c.Run(t.Context(), "a/b"); return err },
		"GET /v1/pipelines?cursor=c&limit=7 Bearer t ":   func() error { _, err := c.Runs(t.Context(), client.RunFilter{}, 7, "c"); return err },
		"GET /v1/jobs/r.j Bearer t ":                     func() error { _, err := c.Job(t.Context(), "r.j"); return err },
		"GET /v1/pipelines/r/explain Bearer t ":          func() error { _, err := c.Explain(t.Context(), "r"); return err },
		"GET /v1/nodes Bearer t ":                        func() error { _, err := c.Nodes(t.Context()); return err },
		"GET /v1/queue Bearer t ":                        func() error { _, err := c.Queue(t.Context()); return err },
		`POST /v1/pipelines/r/cancel Bearer t {}`:        func() error { _, err := c.CancelRun(t.Context(), "r", ""); return err },
		`POST /v1/jobs/j/cancel Bearer t {"reason":"w"}`: func() error { _, err := c.CancelJob(t.Context(), "j", "w"); return err },
		`POST /v1/jobs Bearer t {"run":"x"}`: func() error {
			_, err := c.SubmitJob(t.Context(), client.JobSubmission{Run: "x"}, "")
			return err
		},
	} {
		if err := do(); err != nil || got != want {
			t.Errorf("asked %q (%v), want %q", got, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "localhost:80", "ftp://x", "http://", "unix://", "http://a b"} {
		if _, err := client.New(bad, ""); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	c, err := client.New("https://relevo.example/", "t")
	if err != nil || c.BaseURL != "https://relevo.example" || c.Token != "t" {
		t.Errorf("%+v, %v", c, err)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, client.Run{File: r.Host})
	})}}
	s.Start()
	defer s.Close()
	if c, err = client.New("unix://"+path, ""); err != nil {
		t.Fatal(err)
	}
	if run, err := c.Run(t.Context(), "x"); err != nil || run.File != "localhost" {
		t.Errorf("over the socket as host %q, %v", run.File, err)
	}
}

// A log is taken up where it broke, of the same attempt, until it is closed.
func TestLogsAreTakenUp(t *testing.T) {
	const log = "0123456789"
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		var from int
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &from)
		w.Header().Set(client.HeaderAttempt, "2")
		w.Header().Set(client.HeaderLog, client.LogOpen)
		switch {
		case len(asked) == 2:
			answer(w, http.StatusServiceUnavailable, client.Problem{})
		case from == len(log):
			w.Header().Set(client.HeaderLog, client.LogClosed)
			w.WriteHeader(http.StatusOK)
		default:
			_, _ = io.WriteString(w, log[from:min(from+4, len(log))])
			if len(asked) == 3 {
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		}
	})
	var got bytes.Buffer
	n, err := c.Logs(t.Context(), "j", client.LogOptions{Offset: 1, Follow: true}, &got)
	if err != nil || n != 10 || got.String() != log[1:] {
		t.Errorf("%q up to %d, %v", got.String(), n, err)
	}
	want := "follow=true&offset=1 attempt=2&follow=true&offset=5 attempt=2&follow=true&offset=5 attempt=2&follow=true&offset=9 attempt=2&follow=true&offset=10"
	if strings.Join(asked, " ") != want {
		t.Errorf("asked for %s", strings.Join(asked, " "))
	}
}

func TestLogsGiveUp(t *testing.T) {
	var asked atomic.Int32
	c := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1); panic(http.ErrAbortHandler) })
	if _, err := c.Logs(t.Context(), "j", client.LogOptions{Follow: true}, io.Discard); err == nil || asked.Load() < 2 {
		t.Errorf("%v after %d tries", err, asked.Load())
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") })
	full := errors.New("disk full")
	if n, err := c.Logs(t.Context(), "j", client.LogOptions{Follow: true}, failing{full}); !errors.Is(err, full) || n != 0 {
		t.Errorf("up to %d, %v", n, err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
