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
	"syscall"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

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
	program, err := Build(t.Context(), "../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	address, end := started(t, program, "capacity-updated")
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
