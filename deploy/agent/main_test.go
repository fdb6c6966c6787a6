package main

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// sizeMax is what may be copied into every worker, in bytes.
const sizeMax = 8_000_000

func TestIsSmallAndStatic(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relevo-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stat, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", stat.Size())
	if stat.Size() >= sizeMax {
		t.Errorf("the agent has %d bytes, less than %d are allowed", stat.Size(), sizeMax)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range info.Deps {
		t.Errorf("the agent links %s %s", dep.Path, dep.Version)
	}
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("the agent is not static: many images lack its loader")
		}
	}
}
