package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// up makes each part unless it stands, so that a second run mends what is
// missing and changes nothing else.
func up(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("up needs root: namespaces, cgroups, firewall")
	}
	c, err := build(ctx)
	if err != nil {
		return err
	}
	if err := install(ctx); err != nil {
		return err
	}
	release, err := lockState()
	if err != nil {
		return err
	}
	defer release()
	started := time.Now()
	if err := prepare(ctx, c); err != nil {
		return err
	}
	group, within := errgroup.WithContext(ctx)
	loaded := make(chan struct{})
	group.Go(func() error { return startRuntime(within, c, loaded) })
	group.Go(func() error { return startNode(within, c, loaded) })
	if err := group.Wait(); err != nil {
		return err
	}
	say("ready after %.0f s; kubeconfig %s", time.Since(started).Seconds(), kubeconfig("admin"))
	return nil
}

// prepare makes what the processes find when they start.
func prepare(ctx context.Context, c cache) error {
	if err := own(ctx); err != nil {
		return err
	}
	for _, folder := range []string{"logs", "pids", "secrets", "cni", "pod-logs", "volume-plugins"} {
		if err := os.MkdirAll(statePath(folder), 0o700); err != nil {
			return err
		}
	}
	if old, err := os.Readlink(statePath("cache")); err == nil && old != c.bin("") {
		say("the pods get the programs of this build; the node's processes keep theirs until down")
	}
	if err := linkCache(c); err != nil {
		return err
	}
	if err := makeSecrets(); err != nil {
		return fmt.Errorf("make secrets: %w", err)
	}
	if err := makeNetwork(ctx); err != nil {
		return fmt.Errorf("make network: %w", err)
	}
	if err := setKernel(settings); err != nil {
		return err
	}
	return os.WriteFile(statePath("kubelet.yaml"), []byte(kubeletConfig()), 0o600)
}

// startRuntime starts containerd and gives it the images, those that the
// others wait for first.
func startRuntime(ctx context.Context, c cache, loaded chan<- struct{}) error {
	pause := programs[slices.IndexFunc(programs, func(p program) bool { return p.pkg == module+"/pause" })]
	runtime, err := containerd(c.systemImage(pause))
	if err != nil {
		return err
	}
	if err := runtime.ensure(ctx); err != nil {
		return err
	}
	close(loaded)
	present, err := ctr(ctx, "images", "ls", "-q")
	if err != nil {
		return err
	}
	has := strings.Fields(present)
	count, started := 0, time.Now()
	for _, p := range slices.Backward(programs) { // its own come last, and are small
		name := c.systemImage(p)
		if !p.pod || slices.Contains(has, name) {
			continue
		}
		if err := programImage(name, c.bin(p.name()), p.user, nil).load(ctx); err != nil {
			return err
		}
		count++
	}
	for _, other := range []struct {
		name string
		make func(context.Context) (image, error)
	}{{busyboxImage, busybox}, {gitImage, git}, {redisImage, redis}} {
		if slices.Contains(has, other.name) {
			continue
		}
		i, err := other.make(ctx)
		if err != nil {
			return err
		}
		if err := i.load(ctx); err != nil {
			return err
		}
		count++
	}
	if count > 0 {
		say("%d images in %.0f s", count, time.Since(started).Seconds())
	}
	return nil
}

// startNode starts Kubernetes and, in it, Knative.
func startNode(ctx context.Context, c cache, runtime <-chan struct{}) error {
	started := time.Now()
	for _, d := range controlPlane() {
		if d.name == "kubelet" {
			select {
			case <-runtime:
			case <-ctx.Done():
				return ctx.Err()
			}
			before := readKernel(kubeletSettings)
			defer setKernel(before) //nolint:errcheck // the machine's own values, and none of ours
		}
		if err := d.ensure(ctx); err != nil {
			return err
		}
	}
	say("node is Ready after %.0f s", time.Since(started).Seconds())
	text, err := os.ReadFile(c.manifests())
	if err != nil {
		return err
	}
	addresses := strings.NewReplacer("$DNS", dnsAddress, "$INGRESS", ingressAddress)
	definitions, rest, err := manifest(c, string(text)+"\n---\n"+addresses.Replace(dnsManifest+"\n---\n"+ingressManifest))
	if err != nil {
		return err
	}
	marker := statePath("applied")
	if applied, err := os.ReadFile(marker); err != nil || string(applied) != definitions+rest {
		if err := apply(ctx, definitions, rest); err != nil {
			return fmt.Errorf("apply manifests: %w", err)
		}
		if err := os.WriteFile(marker, []byte(definitions+rest), 0o600); err != nil {
			return err
		}
		say("manifests applied after %.0f s", time.Since(started).Seconds())
	}
	return waitForDeployments(ctx)
}

// waitForDeployments says, when it was in vain, which pods are the reason.
func waitForDeployments(ctx context.Context) error {
	for _, namespace := range []string{"kube-system", "knative-serving", "knative-eventing", "test-ingress"} {
		_, err := kubectl(ctx, "", "-n", namespace, "wait", "--for=condition=Available", "--timeout=180s", "deployment", "--all")
		if err != nil {
			pods, _ := kubectl(ctx, "", "get", "pods", "-A", "-o", "wide") // for the report alone
			events, _ := kubectl(ctx, "", "-n", namespace, "get", "events", "--field-selector=type=Warning")
			return fmt.Errorf("%w\n%s\n%s", err, pods, events)
		}
	}
	return nil
}
