package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// down stops what up started and removes what it made, in the order in which
// nothing can come back: first who starts things, then the things. It ends by
// looking for what is left.
func down() error {
	if _, err := os.Stat(stateFolder()); errors.Is(err, fs.ErrNotExist) {
		say("nothing is up")
		return nil
	}
	release, err := lockState()
	if err != nil {
		return err
	}
	defer release()
	if !owned() { // up went no further than its folder
		return os.RemoveAll(stateFolder())
	}
	started := time.Now()
	if err := stop(); err != nil {
		return err
	}
	containers, sockets := idsOfContainers(), socketsOfShims()
	if err := unmount(); err != nil {
		return err
	}
	if err := removeNetwork(context.Background()); err != nil {
		return fmt.Errorf("remove network: %w", err)
	}
	if err := removeCgroups(); err != nil {
		return err
	}
	removeStrays(containers, sockets)
	if err := nothingLeft(); err != nil { // the state stays, and down may run again
		return err
	}
	if err := os.RemoveAll(stateFolder()); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	say("down in %.1f s", time.Since(started).Seconds())
	return nil
}

// stop ends the processes: those with a pid file, then the pods', which are
// the ones in the kubelet's cgroups, then their shims, which name our socket.
func stop() error {
	all := append(controlPlane(), daemon{name: "containerd"})
	slices.Reverse(all[:len(all)-1]) // kube-proxy and the kubelet before whom they ask
	for _, d := range all {
		if err := d.kill(); err != nil {
			return err
		}
	}
	return poll(context.Background(), time.Minute, func() error {
		left := slices.Concat(processesInPods(), processesNaming(containerdSocket()))
		for _, pid := range left {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%d processes of pods do not end", len(left))
		}
		return nil
	})
}

// cgroupsOfPods are the folders below which the kubelet keeps its pods, one
// per hierarchy.
func cgroupsOfPods() []string {
	var folders []string
	for _, pattern := range []string{"/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/*/kubepods"} {
		found, _ := filepath.Glob(pattern) // the patterns are good
		folders = append(folders, found...)
	}
	return folders
}

func processesInPods() []int {
	var pids []int
	for _, root := range cgroupsOfPods() {
		_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error { // what goes meanwhile is gone
			if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
				return nil //nolint:nilerr // as above
			}
			text, _ := os.ReadFile(name)
			for field := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil {
					if _, runs := startTime(pid); runs {
						pids = append(pids, pid)
					}
				}
			}
			return nil
		})
	}
	return pids
}

// processesNaming finds processes with word in their command line, this one
// and its parents (a shell may hold the word too) apart.
func processesNaming(word string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !slices.ContainsFunc(strings.Split(string(text), "\x00"), func(arg string) bool {
			_, value, flag := strings.Cut(arg, "=")
			return arg == word || flag && value == word || strings.HasPrefix(arg, word+"/")
		}) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if _, runs := startTime(pid); err == nil && runs && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// mounts are the mount points below the state, the innermost first.
func mounts() ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(table)) {
		point := strings.ReplaceAll(strings.Fields(line)[4], `\040`, " ")
		if strings.HasPrefix(point, stateFolder()+"/") {
			points = append(points, point)
		}
	}
	slices.Reverse(points)
	return points, nil
}

// unmount also frees the pods' network namespaces, which are mounted.
func unmount() error {
	points, err := mounts()
	if err != nil {
		return err
	}
	for _, point := range points {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// removeCgroups asks again for a while: a cgroup is busy until the kernel has
// buried its last process.
func removeCgroups() error {
	return poll(context.Background(), 30*time.Second, func() error {
		for _, root := range cgroupsOfPods() {
			var folders []string
			_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error { // what goes meanwhile is gone
				if err == nil && d.IsDir() {
					folders = append(folders, name)
				}
				return nil
			})
			for _, folder := range slices.Backward(folders) {
				if err := syscall.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("remove cgroup %s: %w", folder, err)
				}
			}
		}
		return nil
	})
}

// idsOfContainers are the pods' sandboxes, whose networks' names hold them.
func idsOfContainers() []string {
	folders, _ := filepath.Glob(statePath("containerd", "io.containerd.grpc.v1.cri", "sandboxes", "*")) // the pattern is good
	for i := range folders {
		folders[i] = filepath.Base(folders[i])
	}
	return folders
}

// devicePlugins is where the kubelet listens for them, whatever it is told.
const devicePlugins = "/var/lib/kubelet/device-plugins"

// removeStrays removes the few files that programs of the cluster write to
// fixed places; in shared folders, only those that are the cluster's.
func removeStrays(containers, sockets []string) {
	for _, socket := range sockets {
		_ = os.Remove(socket)
	}
	for _, id := range containers {
		results, _ := filepath.Glob("/var/lib/cni/results/*-" + id + "-*") // an id is hexadecimal
		for _, file := range results {
			_ = os.Remove(file)
		}
	}
	for _, link := range logLinks() {
		_ = os.Remove(link)
	}
	for _, file := range []string{"kubelet.sock", "kubelet_internal_checkpoint"} {
		_ = os.Remove(filepath.Join(devicePlugins, file))
	}
	for _, folder := range []string{
		devicePlugins, filepath.Dir(devicePlugins), "/var/lib/cni/results", "/var/lib/cni", "/var/log/containers", "/run/containerd/s",
	} {
		_ = syscall.Rmdir(folder) // it stays while others use it
	}
}

// logLinks are what the kubelet leaves in /var/log/containers.
func logLinks() []string {
	all, _ := filepath.Glob("/var/log/containers/*") // the pattern is good
	return slices.DeleteFunc(all, func(link string) bool {
		to, err := os.Readlink(link)
		return err != nil || !strings.HasPrefix(to, stateFolder()+"/")
	})
}
