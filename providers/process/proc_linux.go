package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// identity names one process for good: a pid is given out again, but not with
// the same start time in the same boot.
type identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
	Boot  string `json:"boot"`
}

// errGone: the process ended.
var errGone = errors.New("process: it ended")

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(text)), err
}

func procFile(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

func statOf(pid int) (stat, error) {
	line, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(line)
}

// identify names the process that has the pid now.
func (p *Provider) identify(pid int) (identity, error) {
	s, err := statOf(pid)
	return identity{PID: pid, Start: s.start, Boot: p.boot}, err
}

// alive tells whether the process runs; one that waits for its parent to look
// has ended.
func (p *Provider) alive(id identity) bool {
	s, err := statOf(id.PID)
	return err == nil && id.Boot == p.boot && s.start == id.Start && !s.dead()
}

// handle is a process held so that its pid cannot come to mean another.
type handle struct{ fd *os.File }

// hold opens the process; errGone.
func (p *Provider) hold(id identity) (handle, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return handle{}, errGone
	}
	if err != nil {
		return handle{}, os.NewSyscallError("pidfd_open", err)
	}
	// Looked at after it was opened: what has the pid now is what was opened,
	// or ours ended before.
	if !p.alive(id) {
		_ = unix.Close(fd)
		return handle{}, errGone
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for the runtime's poller
		_ = unix.Close(fd)
		return handle{}, os.NewSyscallError("fcntl", err)
	}
	return handle{os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (h handle) close() { _ = h.fd.Close() }

// signal sends sig; to a process that ended it does nothing.
func (h handle) signal(sig unix.Signal) error {
	raw, err := h.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if errors.Is(sent, unix.ESRCH) {
		sent = nil
	}
	return errors.Join(err, os.NewSyscallError("pidfd_send_signal", sent))
}

// wait returns nil once the process ended, and the context's error before. It
// costs no thread: a pidfd becomes readable at the process's end.
func (h handle) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = h.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := h.fd.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return n > 0 && err == nil
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// processes are all that run on this machine, as far as it can be seen.
func processes() ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make([]stat, 0, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := statOf(pid); err == nil && !s.dead() {
			all = append(all, s)
		}
	}
	return all, nil
}

// marked tells whether the process was started with the worker's mark. It is
// false for processes of other users.
func marked(pid int, name string) bool {
	environ, err := os.ReadFile(procFile(pid, "environ"))
	return err == nil && carries(environ, marker, name)
}

// command is the process's argument vector.
func command(pid int) [][]byte {
	text, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte{0}), []byte{0})
}
