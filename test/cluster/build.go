package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Knative refuses a Kubernetes without a version.
const kubernetesVersion = "v1.35.4"

// A cache is the folder of what is built from one go.sum. The programs of this
// module stand in it under the hash of their own sources.
type cache struct {
	dir string
	key string // of go.sum
	own string // of this module's programs
}

func (c cache) bin(name string) string { return filepath.Join(c.dir, "bin-"+c.own, name) }

// openCache needs this module's folder as the current one: `go run -C`.
func openCache(ctx context.Context) (cache, error) {
	name, err := run(ctx, "go", "list", "-m")
	if err != nil {
		return cache{}, err
	}
	if strings.TrimSpace(name) != module {
		return cache{}, errors.New("not in its own folder: use go run -C test/cluster")
	}
	key, err := hash("go.sum")
	if err != nil {
		return cache{}, err
	}
	own, err := hash("go.mod", "dns", "echo", "ingress", "pause")
	if err != nil {
		return cache{}, err
	}
	root := os.Getenv("RELEVO_CLUSTER_CACHE")
	if root == "" {
		home := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache"))
		root = filepath.Join(home, "relevo-cluster")
	}
	root, err = filepath.Abs(root)
	return cache{dir: filepath.Join(root, key), key: key, own: own}, err
}

// hash is of the files, and of all files in the folders, in walking order.
func hash(paths ...string) (string, error) {
	sum := sha256.New()
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(name)
			fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// build makes what the cache lacks. Two at once wait for one another.
func build(ctx context.Context) (cache, error) {
	c, err := openCache(ctx)
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(c.bin(""), 0o755); err != nil {
		return c, err
	}
	lock, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return c, err
	}
	defer func() { _ = lock.Close() }() // and unlock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return c, err
	}
	started := time.Now()
	for i, p := range programs {
		if err := c.build(ctx, p, fmt.Sprintf("%2d/%d", i+1, len(programs))); err != nil {
			return c, err
		}
	}
	if err := c.copyManifests(ctx); err != nil {
		return c, err
	}
	if took := time.Since(started); took > time.Second {
		say("built into %s in %.0f s", c.dir, took.Seconds())
	}
	return c, nil
}

// build makes one program. Those of other modules lie beside the folder of
// this one's and are linked into it, so that a change here builds four alone.
func (c cache) build(ctx context.Context, p program, progress string) error {
	at := c.bin(p.name())
	if !p.own() {
		at = filepath.Join(c.dir, p.name())
		defer os.Symlink(at, c.bin(p.name())) //nolint:errcheck // it may stand already
	}
	if _, err := os.Stat(at); err == nil {
		return nil
	}
	started := time.Now()
	flags := "-s -w"
	if strings.HasPrefix(p.pkg, kubernetes) {
		flags += " -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
	}
	err := replace(at, func(tmp string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", tmp, p.pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		return cmd.Run()
	})
	if err != nil {
		return fmt.Errorf("build %s: %w", p.pkg, err)
	}
	info, err := os.Stat(at)
	if err != nil {
		return err
	}
	say("%s %s: %.0f s, %d MB", progress, p.name(), time.Since(started).Seconds(), info.Size()>>20)
	return nil
}

// manifestFolders hold Knative's YAML, by module.
var manifestFolders = []struct{ module, folder string }{
	{"knative.dev/serving", "config/core"},
	{"knative.dev/networking", "config"},
	{"knative.dev/caching", "config"},
	{"knative.dev/eventing", "config/core"},
	{"knative.dev/eventing", "config/channels/in-memory-channel"},
	{"knative.dev/eventing", "config/brokers/mt-channel-broker"},
	// Images of connectors that are not to be had here; the controller does
	// not start without their names.
	{"knative.dev/eventing", "third_party/eventing-integrations-latest"},
}

func (c cache) manifests() string {
	recipe := sha256.Sum256(fmt.Append(nil, manifestFolders))
	return filepath.Join(c.dir, fmt.Sprintf("knative-%x.yaml", recipe[:4]))
}

// copyManifests puts Knative's YAML, as it is in the module cache, in one file.
func (c cache) copyManifests(ctx context.Context) error {
	if _, err := os.Stat(c.manifests()); err == nil {
		return nil
	}
	var all strings.Builder
	for _, from := range manifestFolders {
		dir, err := run(ctx, "go", "list", "-m", "-f", "{{.Dir}}", from.module)
		if err != nil {
			return err
		}
		root := filepath.Join(strings.TrimSpace(dir), from.folder)
		err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
				return err
			}
			text, err := os.ReadFile(name)
			fmt.Fprintf(&all, "---\n%s\n", text)
			return err
		})
		if err != nil {
			return fmt.Errorf("read manifests of %s: %w", from.module, err)
		}
	}
	return replace(c.manifests(), func(tmp string) error { return os.WriteFile(tmp, []byte(all.String()), 0o644) })
}
