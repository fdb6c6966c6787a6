package knative_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/knative"
)

func page(name string, serve http.HandlerFunc) fn.Function {
	return fn.Function{Name: name, Context: events.Access, HTTP: serve}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text, " ", r.URL.Path) }
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request)
}

func TestRoutesOfHTTPFunctions(t *testing.T) {
	alone := host(t, knative.Options{}, page("webhook", says("webhook")))
	for _, path := range []string{"/", "/webhooks/github"} {
		if _, body := get(t, alone.URL+path); body != "webhook "+path {
			t.Errorf("alone, %s: %s", path, body)
		}
	}
	if response, body := get(t, alone.URL+"/healthz"); response.StatusCode != http.StatusOK || body != "" {
		t.Errorf("healthz: %s %s", response.Status, body)
	}
	var c record
	fused := host(
		t, knative.Options{Routes: map[string][]string{"api": {"/v1/", "/openapi.json"}}},
		page("api", says("api")), page("console", says("console")), c.function("f", "t.a"),
	)
	for path, want := range map[string]string{
		"/v1/jobs": "api /v1/jobs", "/openapi.json": "api /openapi.json", "/console/x": "console /console/x",
	} {
		if _, body := get(t, fused.URL+path); body != want {
			t.Errorf("fused, %s: %s", path, body)
		}
	}
	if response, body := postStructured(t, fused.URL, small); response.StatusCode != http.StatusAccepted || len(c.all()) != 1 {
		t.Errorf("an event beside them: %s %s", response.Status, body)
	}
}

func TestPagePanics(t *testing.T) {
	server := host(t, knative.Options{}, page("p", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			io.WriteString(w, "half of it")
			w.(http.Flusher).Flush()
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		panic("a defect")
	}))
	response, body := get(t, server.URL+"/early")
	isProblem(t, "before the answer", response, body, 500)
	for _, path := range []string{"/late", "/abort"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole", path)
		}
	}
}

func TestPagesCanStreamAndHijack(t *testing.T) {
	release := make(chan struct{})
	server := host(t, knative.Options{}, page("p", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nraw")
			conn.Close()
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		io.Copy(w, strings.NewReader("first\n"))
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "second\n")
	}))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Errorf("the stream begins with %q", lines.Text())
	}
	close(release)
	if !lines.Scan() || lines.Text() != "second" {
		t.Errorf("the stream goes on with %q", lines.Text())
	}
	if _, body := get(t, server.URL+"/hijack"); body != "raw" {
		t.Errorf("hijacked: %q", body)
	}
}

// serve runs Serve on a free port.
func serve(t *testing.T, h http.Handler, drain time.Duration) (url string, stop func() error) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- knative.Serve(ctx, l, h, drain) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestServeDrains(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop := serve(t, knative.Handler([]fn.Function{page("p", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		io.WriteString(w, "done")
	})}, knative.Options{}), time.Minute)
	answered := make(chan string, 1)
	go func() {
		_, body := get(t, url+"/slow")
		answered <- body
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener closes first; then nobody new gets in.
	deadline := time.Now().Add(time.Minute)
	for refused := false; !refused; {
		if time.Now().After(deadline) {
			t.Fatal("it still listens")
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if refused = err != nil; !refused {
			conn.Close()
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(release)
	if body := <-answered; body != "done" {
		t.Errorf("what ran was answered %q", body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServeEndsWhatDoesNotEnd(t *testing.T) {
	entered := make(chan struct{})
	url, stop := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), time.Millisecond)
	go func() {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
		if err != nil {
			return
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	<-entered
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestServeTellsWhatWentWrong(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := knative.Serve(t.Context(), l, http.NotFoundHandler(), time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestPick(t *testing.T) {
	all := []fn.Function{
		{Name: "a", Context: events.Pipeline},
		{Name: "b", Context: events.Pipeline},
		{Name: "c", Context: events.Scheduler},
		{Name: "scheduler", Context: events.Access},
	}
	for _, c := range []struct{ function, service, want string }{
		{"", "", "a b c scheduler"},
		{"", "relevo", "a b c scheduler"},
		{"", "b", "b"},
		{"", "pipeline", "a b"},
		{"", "scheduler", "scheduler"}, // a function's name comes first
		{"c", "b", "c"},
		{"c, pipeline,a", "", "c a b"},
		{"nobody", "b", "error"},
		{"a,", "", "error"},
	} {
		picked, err := knative.Pick(all, c.function, c.service)
		var names []string
		for _, f := range picked {
			names = append(names, f.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("FUNCTION=%s K_SERVICE=%s: got %s (%v), want %s", c.function, c.service, got, err, c.want)
		}
	}
}
