package report

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// serve answers every request with a status and a body.
func serve(t *testing.T, status int, body string) (address string, seen *[]string) {
	t.Helper()
	seen = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, _ := io.ReadAll(r.Body)
		*seen = append(*seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type"), string(in))
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, seen
}

func client(t *testing.T, address string) *Client {
	t.Helper()
	c, err := NewClient(address, "t0ken", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   error // nil: any other error
	}{
		{"gone reply", 200, `{"gone":"fence 1.3 is over"}`, ErrGone},
		{"gone status", 410, ``, ErrGone},
		{"unauthorized", 401, ``, ErrRefused},
		{"forbidden", 403, ``, ErrRefused},
		{"too large", 413, ``, ErrTooLarge},
		{"bad gateway", 502, `{"acknowledged":9}`, nil},
		{"not found", 404, `{"acknowledged":9}`, nil},
		{"no content", 204, ``, nil},
		{"HTML", 200, `<html>welcome</html>`, nil},
		{"cut", 200, `{"acknowledged":`, nil},
		{"redirect", 302, ``, nil},
	} {
		address, _ := serve(t, c.status, c.body)
		reply, err := client(t, address).Post(t.Context(), &execution.Report{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", c.name, reply, err, c.want)
		}
		for _, other := range []error{ErrGone, ErrRefused, ErrTooLarge} {
			if !errors.Is(c.want, other) && errors.Is(err, other) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestClientPosts(t *testing.T) {
	for _, path := range []string{"", "/", "/worker/report"} {
		address, seen := serve(t, 200, `{"acknowledged":7,"cancel":"why"}`)
		reply, err := client(t, address+path).Post(t.Context(), &execution.Report{Kind: "beat", Worker: "w"})
		if err != nil || reply.Acknowledged != 7 || reply.Cancel != "why" {
			t.Fatalf("%+v, %v", reply, err)
		}
		var report execution.Report
		if err := json.Unmarshal([]byte((*seen)[1]), &report); err != nil || report.Kind != "beat" || report.Worker != "w" {
			t.Errorf("sent %q", (*seen)[1])
		}
		if want := "POST /worker/report Bearer t0ken application/json"; (*seen)[0] != want {
			t.Errorf("request %q, want %q", (*seen)[0], want)
		}
	}
}

func TestClientFetchesSecrets(t *testing.T) {
	address, seen := serve(t, 200, `{"values":{"A":"1"},"git":{"server":"https://f","password":"p"}}`)
	secrets, err := client(t, address+"/worker/report").Secrets(t.Context(), &execution.SecretsRequest{Nonce: "n"})
	if err != nil || len(secrets.Values) != 1 || secrets.Values["A"] != "1" || secrets.Git.Password != "p" {
		t.Fatalf("%q, %v, %v", secrets.Values, secrets.Git, err)
	}
	if want := "POST /worker/secrets Bearer t0ken application/json"; (*seen)[0] != want {
		t.Errorf("request %q, want %q", (*seen)[0], want)
	}
}

func TestClientOnUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "relevo.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"acknowledged":3,"path":"`+r.URL.Path+`"}`)
	})}
	go server.Serve(listener)
	defer server.Close()
	for _, path := range []string{"", "/worker/report"} {
		reply, err := client(t, "unix://"+socket+path).Post(t.Context(), &execution.Report{})
		if err != nil || reply.Acknowledged != 3 {
			t.Errorf("%+v, %v", reply, err)
		}
	}
}

// TestClientFolderGone: a socket that is not there may come back, one whose folder is
// gone with it will not.
func TestClientFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient("unix://"+filepath.Join(dir, "report.sock"), "secret", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Post(t.Context(), &execution.Report{}); !nobodyListens(err) || errors.Is(err, ErrFolderGone) {
		t.Errorf("without the socket: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Post(t.Context(), &execution.Report{}); !nobodyListens(err) || !errors.Is(err, ErrFolderGone) {
		t.Errorf("without the folder: %v", err)
	}
}

func TestClientGivesUpOnHanging(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	c, err := NewClient(server.URL, "t", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Post(t.Context(), &execution.Report{}); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
}

func TestClientAddresses(t *testing.T) {
	for _, address := range []string{"", "host:80", "ftp://host", "http://", "unix://", "://", "/path"} {
		if c, err := NewClient(address, "t", time.Second); err == nil {
			t.Errorf("%q is taken: %+v", address, c)
		}
	}
}
