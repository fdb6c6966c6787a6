package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// cniFolder is where Debian puts the network plugins.
const cniFolder = "/usr/lib/cni"

// packages are what the cluster takes from Debian, by a file of each.
var packages = []struct{ file, name string }{
	{"/usr/bin/containerd", "containerd"},
	{"/usr/sbin/runc", "runc"},
	{cniFolder + "/bridge", "containernetworking-plugins"},
	{"/usr/sbin/iptables", "iptables"},
	{"/bin/ip", "iproute2"},
	{"/bin/busybox", "busybox-static"},
	{"/usr/bin/git", "git"},
	{"/usr/bin/redis-server", "redis-server"},
}

func install(ctx context.Context) error {
	var missing []string
	for _, p := range packages {
		if _, err := os.Stat(p.file); err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("run it as root, or install these first: %s", strings.Join(missing, " "))
	}
	say("installing %s", strings.Join(missing, " "))
	for _, argv := range [][]string{
		{"apt-get", "update", "-q"},
		slices.Concat([]string{"apt-get", "install", "-qy", "--no-install-recommends"}, missing),
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		// Debian starts what it installs; no server of the machine is wanted.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
		}
	}
	return nil
}

func containerdSocket() string { return statePath("containerd.sock") }

// containerd is an instance of its own: another one, as Docker's, is not touched.
func containerd(pauseImage string) (daemon, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return daemon{}, err
	}
	// The network namespaces lie in the state, for down to find them. The
	// kernel may refuse a container a better standing with the OOM killer.
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = %[10]q
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[5]q
    conf_dir = %[6]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %[7]q
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = %[8]q
        Root = %[9]q
`, statePath("containerd"), statePath("containerd-run"), containerdSocket(), pauseImage, cniFolder,
		statePath("cni"), snapshotter(), runc, statePath("runc"), registries())
	network := fmt.Sprintf(`{
  "cniVersion": "1.0.0", "name": "relevo-cluster",
  "plugins": [{
    "type": "bridge", "bridge": %q, "isGateway": true, "hairpinMode": true,
    "ipam": {
      "type": "host-local", "dataDir": %q,
      "ranges": [[{"subnet": %q, "gateway": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`, bridge, statePath("addresses"), podRange, nodeAddress)
	if err := os.WriteFile(statePath("containerd.toml"), []byte(config), 0o600); err != nil {
		return daemon{}, err
	}
	if err := os.WriteFile(statePath("cni", "relevo.conflist"), []byte(network), 0o600); err != nil {
		return daemon{}, err
	}
	if err := writeHosts(); err != nil {
		return daemon{}, err
	}
	return daemon{
		name: "containerd",
		argv: []string{"/usr/bin/containerd", "--config", statePath("containerd.toml")},
		ready: func(ctx context.Context) error {
			_, err := ctr(ctx, "version")
			return err
		},
	}, nil
}

// snapshotter is overlayfs wherever the kernel has it; native copies.
func snapshotter() string {
	kinds, err := os.ReadFile("/proc/filesystems")
	if err == nil && strings.Contains(string(kinds), "\toverlay\n") {
		return "overlayfs"
	}
	return "native"
}

func ctr(ctx context.Context, args ...string) (string, error) {
	return run(ctx, slices.Concat([]string{"ctr", "--address", containerdSocket(), "--namespace", "k8s.io"}, args)...)
}

// socketsOfShims are the sockets of this containerd's shims, which lie outside
// its own folders; each shim writes down its own.
func socketsOfShims() []string {
	var sockets []string
	files, _ := filepath.Glob(statePath("containerd-run", "io.containerd.runtime.v2.task", "k8s.io", "*", "address")) // the pattern is good
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			sockets = append(sockets, strings.TrimPrefix(strings.TrimSpace(string(text)), "unix://"))
		}
	}
	return sockets
}
