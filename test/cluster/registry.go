package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// baseImage is what an image may be built on where no other registry can be
// reached: users and folders, and nothing that runs.
const baseImage = "base:test"

// basePlatforms are those that Relevo's own images are built for.
var basePlatforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

// serveRegistry serves an image registry on the node's address, for the node
// and Knative to pull from, until it is told to end. It keeps all in memory.
func serveRegistry(ctx context.Context) error {
	listener, err := net.Listen("tcp", registryAddress)
	if err != nil {
		return fmt.Errorf("serve registry: %w", err)
	}
	return serveImages(ctx, listener)
}

// serveImages puts the base image there before it says where it listens.
func serveImages(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: registry.New(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	if err := pushBase(ctx, listener.Addr().String()); err != nil {
		return fmt.Errorf("push %s: %w", baseImage, err)
	}
	fmt.Println(listener.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

func pushBase(ctx context.Context, address string) error {
	reference, err := name.ParseReference(address+"/"+baseImage, name.Insecure)
	if err != nil {
		return err
	}
	index := v1.ImageIndex(empty.Index)
	for _, platform := range basePlatforms {
		i := image{name: baseImage, entries: []entry{
			{path: "/tmp", dir: true, mode: 0o1777},
			{path: "/etc/passwd", text: passwd, mode: 0o644},
			{path: "/etc/group", text: group, mode: 0o644},
		}, config: v1.Config{User: nonroot, WorkingDir: "/"}}
		built, err := i.build(platform)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: built, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return remote.WriteIndex(reference, index, remote.WithContext(ctx))
}

// writeHosts tells containerd that the registry speaks plain HTTP: it asks this
// host first. The same said of "server" is not heeded by containerd 1.6.
func writeHosts() error {
	folder := filepath.Join(registries(), registryAddress)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "hosts.toml"), fmt.Appendf(nil, "[host.%q]\n", "http://"+registryAddress), 0o600)
}

// registries is the folder where containerd looks how to reach a registry.
func registries() string { return statePath("registries") }
