package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// From linux/prctl.h and linux/fcntl.h; package syscall lacks them.
const (
	prSetChildSubreaper = 36
	fSetPipeSize        = 1031
)

// adoptOrphans makes this process the parent of every descendant that loses
// its own, so that none can slip away.
func adoptOrphans() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
}

// ownGroup starts a process group, and ties the child's life to ours.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// WidenPipe makes room for bytes in a pipe, so that a writer seldom waits.
// The kernel may refuse: then the pipe is as it was.
func WidenPipe(f *os.File, size int) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _, _ = syscall.RawSyscall(syscall.SYS_FCNTL, fd, fSetPipeSize, uintptr(size))
		})
	}
}

// descendants are the living processes that descend from this one, without
// the branches that begin with one of those spared.
func (h *Host) descendants(spare map[int]bool) []int {
	children := map[int][]int{}
	dead := map[int]bool{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		// Processes come and go while we look.
		if text, err := os.ReadFile(path); err == nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			parent, zombie := parseStat(text)
			children[parent] = append(children[parent], pid)
			dead[pid] = zombie
		}
	}
	var found []int
	for queue := []int{os.Getpid()}; len(queue) > 0; queue = queue[1:] {
		for _, pid := range children[queue[0]] {
			if spare[pid] {
				continue
			}
			queue = append(queue, pid)
			if !dead[pid] {
				found = append(found, pid)
			}
		}
	}
	return found
}

// parseStat reads /proc/<pid>/stat: pid (name) state parent …; the name may
// hold anything.
func parseStat(text []byte) (parent int, zombie bool) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, true
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return parent, fields[0][0] == 'Z' || fields[0][0] == 'X'
}
