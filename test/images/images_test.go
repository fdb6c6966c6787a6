// Package images holds what goes into the images: static programs, small, and
// the same whoever builds them where.
package images

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository's, seen from here.
const root = "../.."

// sources are what the programs are built of.
var sources = []string{"config", "deploy", "events", "functions", "providers", "shared", "go.mod", "go.sum"}

// build makes a program as .ko.yaml does.
func build(t *testing.T, from, program string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", file, "./deploy/"+program)
	cmd.Dir = from
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// TestLean holds the bounds of what is pulled before each cold start on a new
// node (the host), and copied into each worker (the agent).
func TestLean(t *testing.T) {
	for program, most := range map[string]int64{"host": 15 << 20, "agent": 8 << 20} {
		file := build(t, root, program)
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", program, float64(info.Size())/(1<<20))
		if info.Size() > most {
			t.Errorf("%s has %d bytes, at most %d", program, info.Size(), most)
		}
		static(t, file)
	}
}

// static holds that a program runs in an image that holds nothing else.
func static(t *testing.T, file string) {
	t.Helper()
	program, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s needs a loader", file)
		}
	}
}

// TestReproducible builds the lean host here and in another folder.
func TestReproducible(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "another", "folder")
	for _, name := range sources {
		copied(t, filepath.Join(root, name), filepath.Join(elsewhere, name))
	}
	if here, there := sum(t, build(t, root, "host")), sum(t, build(t, elsewhere, "host")); here != there {
		t.Errorf("built here it is %s, elsewhere %s", here, there)
	}
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		tail, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, tail)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestBuiltAsHere holds the settings of the images' builder to the ones above.
func TestBuiltAsHere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".ko.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-trimpath", "-buildvcs=false", "-s", "-w", "-buildid=", "CGO_ENABLED=0"} {
		if !strings.Contains(string(text), want) {
			t.Errorf(".ko.yaml does not say %s", want)
		}
	}
}
