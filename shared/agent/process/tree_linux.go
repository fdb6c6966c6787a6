package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// From linux/prctl.h, linux/fcntl.h and linux/wait.h; package syscall lacks
// them.
const (
	prSetChildSubreaper = 36
	fSetPipeSize        = 1031
	waitAll             = 0 // P_ALL
)

// adoptOrphans makes this process the parent of every descendant that loses
// its own, so that none can slip away, and tells whether it is.
func adoptOrphans() bool {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
	return errno == 0
}

// childless tells, without collecting any, that this process has no child,
// dead or alive.
func childless() bool {
	const look = syscall.WEXITED | syscall.WNOHANG | syscall.WNOWAIT
	_, _, errno := syscall.RawSyscall6(syscall.SYS_WAITID, waitAll, 0, 0, look, 0, 0)
	return errno == syscall.ECHILD
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
	// Between two steps there is mostly none, and to look through all processes
	// of a machine takes a while. Who loses its parent becomes our child before
	// that parent can be collected: so without a child there is nobody.
	if h.adopts && childless() {
		return nil
	}
	children, dead := processes()
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

// processes are all that can be seen: the children of each, and the dead ones
// that nobody collected yet.
func processes() (children map[int][]int, dead map[int]bool) {
	children, dead = map[int][]int{}, map[int]bool{}
	proc, err := os.Open("/proc")
	if err != nil {
		return children, dead
	}
	defer func() { _ = proc.Close() }()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		// Processes come and go while we look.
		if text, err := os.ReadFile(filepath.Join("/proc", name, "stat")); err == nil {
			parent, zombie := parseStat(text)
			children[parent] = append(children[parent], pid)
			dead[pid] = zombie
		}
	}
	return children, dead
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
