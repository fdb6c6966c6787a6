package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// start serves for a test and gives the address.
func start(t *testing.T, s *Server) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s.Token, s.Errors = "t0ken", slog.New(slog.DiscardHandler)
	file := filepath.Join(t.TempDir(), "inspect.port")
	if err := s.Listen(ctx, file); err != nil {
		t.Fatal(err)
	}
	port, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + string(port)
}

func do(t *testing.T, method, url, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestNeedsTheToken(t *testing.T) {
	address := start(t, &Server{})
	for _, token := range []string{"", "t0ke", "t0kenn", "T0KEN"} {
		for _, path := range []string{"/exec", "/logs", "/"} {
			if res, _ := do(t, "POST", address+path, token, `{"id":"1","run":"x"}`); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with token %q: %s", path, token, res.Status)
			}
		}
	}
}

func TestExecOncePerID(t *testing.T) {
	var ran atomic.Int32
	release := make(chan struct{})
	address := start(t, &Server{Exec: func(_ context.Context, script string, out io.Writer) (int, error) {
		fmt.Fprintf(out, "run %d of %s\n", ran.Add(1), script)
		<-release
		fmt.Fprintln(out, "done")
		return 3, nil
	}})
	answers := make(chan string, 3)
	for range 3 {
		go func() {
			res, text := do(t, "POST", address+"/exec", "t0ken", `{"id":"a","run":"ls"}`)
			answers <- text + res.Trailer.Get(ExitTrailer) + res.Trailer.Get(TruncatedTrailer)
		}()
	}
	close(release)
	for range 3 {
		if got, want := <-answers, "run 1 of ls\ndone\n3false"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if res, text := do(t, "POST", address+"/exec", "t0ken", `{"id":"a","run":"ls"}`); text != "run 1 of ls\ndone\n" || res.Trailer.Get(ExitTrailer) != "3" {
		t.Errorf("later: %q", text)
	}
	if res, _ := do(t, "POST", address+"/exec", "t0ken", `{"id":"a","run":"rm"}`); res.StatusCode != http.StatusConflict {
		t.Errorf("the id again with another script: %s", res.Status)
	}
	if _, text := do(t, "POST", address+"/exec", "t0ken", `{"id":"b","run":"ls"}`); text != "run 2 of ls\ndone\n" {
		t.Errorf("another id: %q", text)
	}
}

func TestExecStreams(t *testing.T) {
	goOn := make(chan struct{})
	address := start(t, &Server{Exec: func(_ context.Context, _ string, out io.Writer) (int, error) {
		io.WriteString(out, "first\n")
		<-goOn
		return 0, errors.New("no shell")
	}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/exec", strings.NewReader(`{"id":"1","run":"x"}`))
	req.Header.Set("Authorization", "Bearer t0ken")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 6)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first\n" {
		t.Fatalf("%q, %v", first, err)
	}
	close(goOn)
	rest, _ := io.ReadAll(res.Body)
	if string(rest) != "error: no shell\n" || res.Trailer.Get(ExitTrailer) != "-1" {
		t.Errorf("%q, exit %s", rest, res.Trailer.Get(ExitTrailer))
	}
}

func TestExecIsBounded(t *testing.T) {
	address := start(t, &Server{Exec: func(ctx context.Context, script string, out io.Writer) (int, error) {
		if script == "for ever" {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		out.Write(bytes.Repeat([]byte("x"), maxOutput))
		out.Write([]byte("more"))
		return 0, nil
	}})
	res, text := do(t, "POST", address+"/exec", "t0ken", `{"id":"big","run":"x"}`)
	if len(text) != maxOutput || res.Trailer.Get(TruncatedTrailer) != "true" {
		t.Errorf("%d bytes, truncated %q", len(text), res.Trailer.Get(TruncatedTrailer))
	}
	if _, text := do(t, "POST", address+"/exec", "t0ken", `{"id":"slow","run":"for ever","timeoutSeconds":1}`); !strings.Contains(text, context.DeadlineExceeded.Error()) {
		t.Errorf("timeout: %q", text)
	}
	for i := range maxCommands {
		res, _ = do(t, "POST", address+"/exec", "t0ken", fmt.Sprintf(`{"id":"%d","run":"x"}`, i))
	}
	if res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("command %d: %s", maxCommands+2, res.Status)
	}
	for _, body := range []string{"", "{", `{"id":"","run":"x"}`, `{"id":"y"}`, `{"id":"z","run":"x","timeoutSeconds":-1}`} {
		if res, _ := do(t, "POST", address+"/exec", "t0ken", body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", body, res.Status)
		}
	}
}

func TestLogs(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000)
	const base = 150
	address := start(t, &Server{
		Bounds: func() (int64, int64) { return base, int64(len(text)) },
		Log:    func(p []byte, offset int64) int { return copy(p, text[offset:]) },
	})
	for query, from := range map[string]int{"": base, "?offset=0": base, "?offset=151": 151, "?offset=199999": 199999, "?offset=900000": len(text)} {
		res, got := do(t, "GET", address+"/logs"+query, "t0ken", "")
		if got != text[from:] || res.Header.Get(OffsetHeader) != strconv.Itoa(from) || res.Header.Get(EndHeader) != strconv.Itoa(len(text)) {
			t.Errorf("%q: %d bytes from %s", query, len(got), res.Header.Get(OffsetHeader))
		}
	}
	if res, _ := do(t, "GET", address+"/logs?offset=-1", "t0ken", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("negative offset: %s", res.Status)
	}
}

func TestDial(t *testing.T) {
	address := start(t, &Server{Bounds: func() (int64, int64) { return 0, 0 }})
	port := address[strings.LastIndexByte(address, ':')+1:]
	file := filepath.Join(t.TempDir(), "port")
	if err := os.WriteFile(file, []byte(port+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{port, file} {
		var out bytes.Buffer
		request := "GET /logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer t0ken\r\n\r\n"
		if err := Dial(where, strings.NewReader(request), &out); err != nil || !strings.HasPrefix(out.String(), "HTTP/1.1 200") {
			t.Errorf("%s: %v, %q", where, err, out.String())
		}
	}
	if err := Dial("/no/such/file", strings.NewReader(""), io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestListensWhereItIsTold takes a port that was free a moment ago.
func TestListensWhereItIsTold(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	want := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	if got := start(t, &Server{Port: want[strings.LastIndex(want, ":")+1:]}); got != want {
		t.Errorf("it listens at %s, want %s", got, want)
	}
}
