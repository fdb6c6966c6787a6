package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a component may take to answer: the machine may be busy.
const patience = 3 * time.Minute

// A daemon is a process of the cluster that outlives this program.
type daemon struct {
	name  string
	argv  []string
	ready func(context.Context) error
}

func (d daemon) log() string     { return statePath("logs", d.name+".log") }
func (d daemon) pidFile() string { return statePath("pids", d.name) }

// ensure starts d unless it runs, and waits until it is ready.
func (d daemon) ensure(ctx context.Context) error {
	if _, runs := d.pid(); !runs {
		if err := d.start(); err != nil {
			return fmt.Errorf("start %s: %w", d.name, err)
		}
	}
	err := poll(ctx, patience, func() error {
		if _, runs := d.pid(); !runs {
			return errStopped
		}
		return d.ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w; the end of %s:\n%s", d.name, err, d.log(), lastLines(d.log(), 25))
	}
	return nil
}

func (d daemon) start() error {
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(d.argv[0], d.argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = stateFolder()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a ctrl-C here is not for it
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // reaped; whether it runs is asked by pid
	born, _ := startTime(cmd.Process.Pid)
	return os.WriteFile(d.pidFile(), fmt.Appendf(nil, "%d %s\n", cmd.Process.Pid, born), 0o600)
}

// pid is the process that the pid file names, if it still is that process: a
// number is used again, a number with its start time is not.
func (d daemon) pid() (pid int, runs bool) {
	text, err := os.ReadFile(d.pidFile())
	if err != nil {
		return 0, false
	}
	number, born, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err = strconv.Atoi(number)
	if err != nil {
		return 0, false
	}
	now, runs := startTime(pid)
	return pid, runs && now == born
}

// startTime is in ticks since boot. A zombie runs no more.
func startTime(pid int) (ticks string, runs bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// After the name, which may hold spaces: state is field 3, start is 22.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return fields[19], true
}

// kill ends d at once: its state is thrown away with it.
func (d daemon) kill() error {
	pid, runs := d.pid()
	if !runs {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s (%d): %w", d.name, pid, err)
	}
	return poll(context.Background(), 30*time.Second, func() error {
		if _, runs := d.pid(); runs {
			return fmt.Errorf("%s (%d) does not end", d.name, pid)
		}
		return nil
	})
}

var errStopped = errors.New("it ended")

// poll asks until there is no error, the process asked for ended, or time is up.
func poll(ctx context.Context, limit time.Duration, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask()
		if err == nil || errors.Is(err, errStopped) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
