package archive_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

// up is a `relevo up` that keeps logs at an address, which a file tells it.
type up struct {
	*client.Client
	cmd  *exec.Cmd
	said bytes.Buffer
	read chan struct{}
}

func serve(t *testing.T, dir, address string) *up {
	t.Helper()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := &up{cmd: exec.Command(filepath.Join(built, "relevo"), "up", "--data", dir, "--listen", "127.0.0.1:0"), read: make(chan struct{})}
	u.cmd.Env = append(os.Environ(), "RELEVO_LOGS_URL_FILE="+file, "RELEVO_LOG_LEVEL=debug")
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := u.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(u.read)
		for in := bufio.NewScanner(out); in.Scan(); {
			fmt.Fprintln(&u.said, in.Text())
			if _, url, ok := strings.Cut(in.Text(), "relevo is up at "); ok {
				ready <- url
			}
		}
	}()
	t.Cleanup(u.stop)
	select {
	case url := <-ready:
		if u.Client, err = client.New(url, ""); err != nil {
			t.Fatal(err)
		}
	case <-u.read:
		t.Fatalf("relevo up ended:\n%s", &u.said)
	case <-time.After(time.Minute):
		t.Fatal("relevo up does not come up")
	}
	return u
}

// stop ends it; twice is once.
func (u *up) stop() {
	if u.cmd == nil {
		return
	}
	_ = u.cmd.Process.Signal(syscall.SIGTERM)
	<-u.read
	_ = u.cmd.Wait()
	u.cmd = nil
}

// TestUp: the log of a job comes to be at the server, and is read from there by a
// server that has no other; nothing that is said or seen of it tells a secret.
func TestUp(t *testing.T) {
	s := start(t)
	address, bucket := s.bucket()
	dir, err := os.MkdirTemp("", "ra") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := serve(t, dir, address)
	made, err := u.Submit(t.Context(), client.Submission{
		File: ".relevo/ci.yaml", Source: "jobs: {hello: {steps: [{run: echo far from here}]}}\n",
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the log at the server", func() bool { return len(blobs(t, bucket)) >= 2 }) // a chunk and the manifest
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", u.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	u.stop()
	if err := os.RemoveAll(filepath.Join(dir, "logs")); err != nil {
		t.Fatal(err)
	}
	again := serve(t, dir, address)
	var log bytes.Buffer
	if _, err := again.Logs(t.Context(), made.Run+".hello", client.LogOptions{}, &log); err != nil || !strings.Contains(log.String(), "far from here") {
		t.Errorf("the log says %q, %v", &log, err)
	}

	again.stop()

	// While the server is away the log cannot be had, and who asks is told no more.
	s.down()
	last := serve(t, dir, address)
	res, err := http.Get(last.BaseURL + "/v1/jobs/" + made.Run + ".hello/logs")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	told, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without the server it is answered %d %s, %v", res.StatusCode, told, err)
	}
	last.stop()
	for what, text := range map[string]string{"an argument": string(arguments), "the first": u.said.String(), "the last": last.said.String(), "the answer": string(told)} {
		if strings.Contains(text, secret) || strings.Contains(text, key) {
			t.Errorf("%s tells a credential: %.2000s", what, text)
		}
	}
	for what, text := range map[string]string{"an argument": string(arguments), "the answer": string(told)} {
		if strings.Contains(text, s.address) {
			t.Errorf("%s tells where the server is: %.2000s", what, text)
		}
	}
}
