package oidc_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/relevo-ci/relevo/shared/client"
)

// built is the program under test, which is of the module above.
var built string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "relevo-oidc")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "relevo")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", built, "./deploy/relevo").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// token is of those who need not log in.
const token = "the-operators-own-token"

// server is a `relevo up` whose people log in at a provider.
type server struct {
	*client.Client
	URL, host string
	provider  *httptest.Server
}

// up starts one. The provider calls itself localhost and the server 127.0.0.1,
// which are two sites to a browser.
func up(t *testing.T) *server {
	t.Helper()
	s := &server{host: free(t)}
	s.URL = "http://" + s.host
	storage.RegisterClients(storage.WebClient("console", secret, s.URL+"/login/callback"))
	s.provider = serveAs(t, "localhost")
	dir, err := os.MkdirTemp("", "ro") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(built, "up", "--data", dir, "--listen", s.host)
	cmd.Env = append(os.Environ(),
		"RELEVO_PUBLIC_URL="+s.URL, "RELEVO_OIDC_ISSUER="+s.provider.URL, "RELEVO_OIDC_CLIENT_ID=console", "RELEVO_OIDC_CLIENT_SECRET="+secret,
		"RELEVO_API_TOKEN="+token, "RELEVO_ACCESS_GRANTS=user:test-user2@zitadel.ch=viewer@*,user:test-user@zitadel.ch=developer@*")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	ready, read := make(chan bool, 1), make(chan bool)
	go func() {
		defer close(read)
		for in := bufio.NewScanner(out); in.Scan(); {
			fmt.Fprintln(&said, in.Text())
			if strings.Contains(in.Text(), "relevo is up at "+s.URL) {
				ready <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the server said:\n%s", &said)
		}
	})
	select {
	case <-ready:
	case <-read:
		t.Fatal("relevo up ended")
	case <-time.After(time.Minute):
		t.Fatal("relevo up does not come up")
	}
	if s.Client, err = client.New(s.URL, token); err != nil {
		t.Fatal(err)
	}
	return s
}

// free is an address that nobody listens at: the provider must know it before the
// server is there.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waits submits a run that waits for somebody to say yes.
func (s *server) waits(t *testing.T) string {
	t.Helper()
	made, err := s.Submit(t.Context(), client.Submission{
		File: ".relevo/ci.yaml", Source: "name: Release\njobs: {gate: {name: Go on?, await: {approval: true, timeout: 600}}}\n",
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	return made.Run
}
