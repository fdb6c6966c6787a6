//go:build unix && !linux

package process

import (
	"os"
	"syscall"
)

// Without subreapers and /proc, what leaves its process group gets away.

func adoptOrphans() bool { return false }

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// WidenPipe does nothing here.
func WidenPipe(*os.File, int) {}

// descendants are the process groups that were started here, as what kill(2)
// takes for a group.
func (h *Host) descendants(spare map[int]bool) []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []int
	for pid := range h.children {
		if !spare[pid] {
			found = append(found, -pid)
		}
	}
	return found
}
