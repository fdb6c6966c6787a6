// Package script drives the built programs as people do: relevo with its agent
// beside it, against real processes, a real redis-server and a real Docker
// daemon (test/setup brings both).
package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is the folder of the built programs.
var bin string

const (
	// image has a shell and nothing else; test/setup makes it.
	image = "relevo-test/busybox"
	root  = "../.."
)

func TestMain(m *testing.M) { os.Exit(build(m)) }

// build builds the programs once for all tests. They are static, so that the
// agent runs in every image.
func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "relevo-script-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	for name, source := range map[string]string{"relevo": "./deploy/relevo", "relevo-agent": "./deploy/agent"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), source)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build", name, err)
			return 1
		}
	}
	return m.Run()
}
