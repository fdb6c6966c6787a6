package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The addresses are fixed: one cluster per machine, and tests may know them.
// The node's address is the bridge's own, in the pods' range.
const (
	bridge         = "relevo0"
	nodeName       = "relevo"
	nodeAddress    = "10.203.0.1"
	podRange       = "10.203.0.0/22"
	serviceRange   = "10.204.0.0/16"
	firstService   = "10.204.0.1" // kubernetes.default
	dnsAddress     = "10.204.0.10"
	ingressAddress = "10.204.0.80"
	// Only while someone serves it: cluster registry.
	registryAddress = nodeAddress + ":5000"
	domain          = "relevo.test" // hosts are SERVICE.NAMESPACE.relevo.test
	apiserverURL    = "https://" + nodeAddress + ":6443"
)

// stateFolder holds everything that a running cluster keeps on this machine.
func stateFolder() string {
	return filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), "/var/tmp"), "relevo-cluster")
}

func statePath(elements ...string) string {
	return filepath.Join(append([]string{stateFolder()}, elements...)...)
}

func kubeconfig(user string) string {
	if user == "admin" {
		return statePath("kubeconfig")
	}
	return statePath("secrets", user+".kubeconfig")
}

// binary is where a program of the running cluster lies: in the cache of the
// build that it was brought up with.
func binary(name string) string { return statePath("cache", name) }

func kubectlPath() string { return binary("kubectl") }

// lockState makes the state folder and holds its lock until release. Who waited
// while down removed the folder makes it again.
func lockState() (release func(), err error) {
	for {
		if err := os.MkdirAll(stateFolder(), 0o711); err != nil {
			return nil, fmt.Errorf("make state folder: %w", err)
		}
		folder, err := os.Open(stateFolder())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		release = func() { _ = folder.Close() } // and unlock
		if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
			release()
			return nil, fmt.Errorf("lock %s: %w", stateFolder(), err)
		}
		held, err := folder.Stat()
		if err != nil {
			release()
			return nil, err
		}
		if now, err := os.Stat(stateFolder()); err == nil && os.SameFile(held, now) {
			return release, nil
		}
		release()
	}
}

// ownership is a file that says that the pods, their cgroups and kube-proxy's
// chains on this machine are this cluster's: their names are those of any
// Kubernetes, and down removes them by name.
func ownership() string { return statePath("owned") }

func owned() bool {
	_, err := os.Stat(ownership())
	return err == nil
}

// own keeps off a machine that is a Kubernetes node already.
func own(ctx context.Context) error {
	if owned() {
		return nil
	}
	rules, err := run(ctx, "iptables-save")
	if err != nil {
		return err
	}
	if strings.Contains(rules, "KUBE-") || len(cgroupsOfPods()) > 0 {
		return errors.New("this machine is a node of another Kubernetes (KUBE- chains, or cgroups of pods): use that one, or remove it first")
	}
	return os.WriteFile(ownership(), nil, 0o600)
}

// linkCache makes the state use the cache's programs, and keeps this program
// itself at a known path for others to run.
func linkCache(c cache) error {
	if err := replace(statePath("cache"), func(tmp string) error { return os.Symlink(c.bin(""), tmp) }); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return replace(statePath("cluster"), func(tmp string) error { return os.WriteFile(tmp, self, 0o755) })
}

// replace puts what write makes at path, at once.
func replace(path string, write func(tmp string) error) error {
	tmp := fmt.Sprintf("%s.tmp%d", path, os.Getpid())
	_ = os.Remove(tmp) // of one that was killed
	if err := write(tmp); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
}

// lastLines is the end of a file, for reports.
func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
