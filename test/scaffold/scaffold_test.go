// Package scaffold builds the function as `func build` does, with the main that
// func writes around the root package, and talks to it as Knative does.
package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// program is func's for an instanced HTTP function in Go.
const program = `package main

import (
	"fmt"
	"os"

	"knative.dev/func-go/http"

	f "github.com/relevo-ci/relevo"
)

func main() {
	if err := http.Start(f.New()); err != nil {
		fmt.Fprintln(os.Stderr, err.Error())
		os.Exit(1)
	}
}
`

// module is func's too: it requires the function's module from its folder.
const module = `module main

go 1.26

require (
	github.com/relevo-ci/relevo v0.0.0
	knative.dev/func-go v0.22.0
)

replace github.com/relevo-ci/relevo => %s
`

// scaffolded builds the function and gives the program's path.
func scaffolded(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"main.go": []byte(program), "go.mod": fmt.Appendf(nil, module, root), "go.sum": sums,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "f", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "f")
}

// started runs the program as one function, ready, and gives its address and a
// way to end it as Knative does.
func started(t *testing.T, program, function string) (address string, end func() error) {
	t.Helper()
	store, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := free.Addr().String()
	free.Close()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	cmd.Env = append(os.Environ(), "LISTEN_ADDRESS="+listen, "K_SERVICE="+function, "RELEVO_REDIS_URL="+store.URL())
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	address = "http://" + listen
	deadline, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for status(address+"/health/readiness") != http.StatusOK {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-deadline:
			t.Fatal("it does not become ready")
		case <-tick.C:
		}
	}
	return address, func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return fmt.Errorf("it does not end")
		}
	}
}

// status is what a GET is answered with; 0: not at all.
func status(url string) int {
	answer, err := http.Get(url)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestAsFuncBuildsIt sends an event to the function that func would deploy.
func TestAsFuncBuildsIt(t *testing.T) {
	address, end := started(t, scaffolded(t), "capacity-updated")
	now := time.Now()
	e, err := events.New("1", "/relevo/test", "", now, events.CapacityUpdated{
		Pool: "default", Node: "n1", Provider: "fake", Capacity: events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 1}, Since: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{string(raw): http.StatusAccepted, "{}": http.StatusBadRequest} {
		answer, err := http.Post(address, "application/cloudevents+json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%.40s: %s, want %d", body, answer.Status, want)
		}
	}
	if err := end(); err != nil {
		t.Errorf("told to end: %v", err)
	}
}
