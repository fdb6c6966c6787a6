package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// nothingLeft looks for whatever up may have made on this machine.
func nothingLeft() error {
	ctx := context.Background()
	var left []error
	found := func(what string, these ...string) {
		if len(these) > 0 {
			left = append(left, fmt.Errorf("left behind: %s: %s", what, strings.Join(these, ", ")))
		}
	}
	for _, pid := range slices.Concat(processesInPods(), processesNaming(containerdSocket()),
		processesNaming(statePath("containerd.toml")), processesNaming(binary(""))) {
		found("process", strconv.Itoa(pid))
	}
	points, err := mounts()
	if err != nil {
		return err
	}
	found("mounts", points...)
	found("cgroups", cgroupsOfPods()...)
	found("log links", logLinks()...)
	if _, err := os.Stat(filepath.Join(devicePlugins, "kubelet.sock")); err == nil {
		found("socket", devicePlugins)
	}
	if _, err := os.Stat("/sys/class/net/" + bridge); err == nil {
		found("bridge", bridge)
	}
	for _, tool := range []string{"iptables-save", "ip6tables-save"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue
		}
		rules, err := run(ctx, tool)
		if err != nil {
			return err
		}
		for line := range strings.Lines(rules) {
			if strings.Contains(line, "KUBE-") || strings.Contains(line, mark) || strings.Contains(line, bridge) {
				found(tool, strings.TrimSpace(line))
			}
		}
	}
	return errors.Join(left...)
}
