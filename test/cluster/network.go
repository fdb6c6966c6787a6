package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// mark is the comment of the firewall rules that are this cluster's own; those
// of kube-proxy stand in chains named KUBE-….
const mark = "relevo-cluster"

// forwards let the pods' traffic through where a policy drops what is
// forwarded, as Docker sets it.
var forwards = [][]string{
	{"FORWARD", "-i", bridge, "-m", "comment", "--comment", mark, "-j", "ACCEPT"},
	{"FORWARD", "-o", bridge, "-m", "comment", "--comment", mark, "-j", "ACCEPT"},
}

// makeNetwork makes the bridge that is the node's address and the pods' network
// at once. The route makes the Services' addresses reachable from the host even
// where it has no default route.
func makeNetwork(ctx context.Context) error {
	if _, err := run(ctx, "ip", "link", "show", bridge); err == nil {
		return nil
	}
	for _, argv := range [][]string{
		// A fixed MAC: else it changes with the pods that come and go.
		{"ip", "link", "add", bridge, "address", "02:00:0a:cb:00:01", "type", "bridge"},
		{"ip", "address", "add", nodeAddress + "/22", "dev", bridge},
		{"ip", "link", "set", bridge, "up"},
		{"ip", "route", "add", serviceRange, "dev", bridge},
	} {
		if _, err := run(ctx, argv...); err != nil {
			return err
		}
	}
	for _, rule := range forwards {
		if _, err := run(ctx, slices.Concat([]string{"iptables", "-w", "-I"}, rule)...); err != nil {
			return err
		}
	}
	return nil
}

// removeNetwork takes away the bridge, its rules and kube-proxy's.
func removeNetwork(ctx context.Context) error {
	for _, rule := range forwards {
		for { // as often as it stands there
			if _, err := run(ctx, slices.Concat([]string{"iptables", "-w", "-D"}, rule)...); err != nil {
				break
			}
		}
	}
	for _, tool := range []string{"iptables", "ip6tables"} {
		if err := removeChains(ctx, tool); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "ip", "link", "show", bridge); err == nil {
		_, err = run(ctx, "ip", "link", "delete", bridge)
		return err
	}
	return nil
}

// removeChains removes kube-proxy's chains and the jumps to them, per table in
// one step, and touches no other rule.
func removeChains(ctx context.Context, tool string) error {
	if _, err := exec.LookPath(tool + "-save"); err != nil {
		return nil //nolint:nilerr // without the tool there are no rules
	}
	saved, err := run(ctx, tool+"-save")
	if err != nil {
		return err
	}
	steps := removal(saved)
	if steps == "" {
		return nil
	}
	_, err = runWith(ctx, steps, tool+"-restore", "--wait", "--noflush")
	return err
}

// removal turns the output of iptables-save into the input of iptables-restore
// that takes the KUBE- chains away.
func removal(saved string) string {
	var steps, flush, unjump, remove strings.Builder
	for line := range strings.Lines(saved) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case strings.HasPrefix(line, "*"):
			flush.Reset()
			unjump.Reset()
			remove.Reset()
			flush.WriteString(line)
		case strings.HasPrefix(line, ":KUBE-"):
			fmt.Fprintf(&flush, "%s - [0:0]\n", fields[0]) // naming a chain empties it
			fmt.Fprintf(&remove, "-X %s\n", fields[0][1:])
		case fields[0] == "-A" && !strings.HasPrefix(fields[1], "KUBE-") && strings.Contains(line, "-j KUBE-"):
			unjump.WriteString(strings.Replace(line, "-A", "-D", 1))
		case fields[0] == "COMMIT" && remove.Len() > 0:
			steps.WriteString(flush.String() + unjump.String() + remove.String() + line)
		}
	}
	return steps.String()
}

// settings of the kernel that the cluster needs.
var settings = map[string]string{
	"net/ipv4/ip_forward":                "1",
	"net/bridge/bridge-nf-call-iptables": "1",
	"fs/inotify/max_user_instances":      "8192",
	"fs/inotify/max_user_watches":        "1048576",
}

// The kubelet sets these, whatever it is told; they are put back once it runs,
// since nothing here needs them (one makes the machine restart on a fault).
var kubeletSettings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func setKernel(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		file := "/proc/sys/" + name
		now, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(now)) == values[name] {
			continue
		}
		if err := os.WriteFile(file, []byte(values[name]), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

func readKernel(names []string) map[string]string {
	values := map[string]string{}
	for _, name := range names {
		if text, err := os.ReadFile("/proc/sys/" + name); err == nil {
			values[name] = strings.TrimSpace(string(text))
		}
	}
	return values
}
