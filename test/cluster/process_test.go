package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func newState(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, folder := range []string{"logs", "pids"} {
		if err := os.MkdirAll(statePath(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDaemonThatEndsShowsItsLog(t *testing.T) {
	newState(t)
	d := daemon{
		name:  "broken",
		argv:  []string{"/bin/sh", "-c", "echo no such disk >&2; exit 3"},
		ready: func(context.Context) error { return errors.New("not yet") },
	}
	err := d.ensure(t.Context())
	if !errors.Is(err, errStopped) || !strings.HasSuffix(err.Error(), "\nno such disk") {
		t.Errorf("got %v", err)
	}
}

func TestDaemonIsStartedOnceAndKilled(t *testing.T) {
	newState(t)
	d := daemon{
		name:  "sleeper",
		argv:  []string{"/bin/sleep", "1000"},
		ready: func(context.Context) error { return nil },
	}
	if err := d.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, runs := d.pid()
	if !runs {
		t.Fatal("it does not run")
	}
	if err := d.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second, _ := d.pid(); second != first {
		t.Errorf("started again as %d", second)
	}
	if err := d.kill(); err != nil {
		t.Fatal(err)
	}
	if _, runs := startTime(first); runs {
		t.Error("it still runs")
	}
	if err := d.kill(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// A pid file of a process that is gone may name a stranger by now.
func TestStrangerIsNotKilled(t *testing.T) {
	newState(t)
	stranger := exec.Command("/bin/sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer stranger.Process.Kill()
	d := daemon{name: "gone"}
	pid := strconv.Itoa(stranger.Process.Pid)
	if err := os.WriteFile(d.pidFile(), []byte(pid+" 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.kill(); err != nil {
		t.Fatal(err)
	}
	if _, runs := startTime(stranger.Process.Pid); !runs {
		t.Error("a stranger was killed")
	}
}
