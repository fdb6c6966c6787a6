package main

import (
	"context"
	"net"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestRegistryServesTheBase pulls it as an image builder does, for each
// platform that Relevo's images are built for.
func TestRegistryServesTheBase(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveImages(ctx, listener) }()
	base, err := name.ParseReference(listener.Addr().String() + "/" + baseImage)
	if err != nil {
		t.Fatal(err)
	}
	err = poll(ctx, patience, func() error { _, err := remote.Head(base); return err })
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range basePlatforms {
		pulled, err := remote.Image(base, remote.WithPlatform(platform))
		if err != nil {
			t.Fatal(err)
		}
		config, err := pulled.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != platform.Architecture || config.Config.User != nonroot {
			t.Errorf("%s: it is for %s, run by %q", platform, config.Architecture, config.Config.User)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("told to end: %v", err)
	}
}
