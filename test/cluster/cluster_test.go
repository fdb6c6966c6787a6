package main

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestRemovalTakesKubeChainsAlone(t *testing.T) {
	const saved = `# Generated
*mangle
:PREROUTING ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [10:600]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A KUBE-SERVICES -d 10.204.0.1/32 -j KUBE-SVC-A
COMMIT
`
	const want = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-X KUBE-SERVICES
-X KUBE-SVC-A
COMMIT
`
	if got := removal(saved); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManifest(t *testing.T) {
	const text = `
# only a comment
---
kind: CustomResourceDefinition
metadata: {name: things}
---
kind: HorizontalPodAutoscaler
metadata: {name: none}
---
kind: ConfigMap
metadata: {name: config-autoscaler}
---
kind: Deployment
metadata: {name: activator}
spec:
  template:
    spec:
      containers:
      - image: ko://knative.dev/serving/cmd/activator
        resources: {requests: {cpu: 300m}, limits: {cpu: 1}}
        readinessProbe: {initialDelaySeconds: 20, periodSeconds: 10}
`
	definitions, rest, err := manifest(cache{key: "0123"}, text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(definitions, "things") || strings.Contains(definitions, "activator") {
		t.Errorf("definitions:\n%s", definitions)
	}
	for _, want := range []string{
		"stable-window: 10s", "image: dev.local/system/serving-activator:0123\n", "periodSeconds: 1\n", "resources: {}\n",
	} {
		if !strings.Contains(rest, want) {
			t.Errorf("%q is not in\n%s", want, rest)
		}
	}
	if strings.Contains(rest, "HorizontalPodAutoscaler") {
		t.Errorf("not left out:\n%s", rest)
	}
}

func TestImageIsWhatContainerdReads(t *testing.T) {
	i := programImage("dev.local/relevo/thing:test", "/proc/self/exe", nonroot, []entry{
		{path: "/opt/deep/link", link: "/thing"},
	})
	var saved bytes.Buffer
	if err := i.write(&saved); err != nil {
		t.Fatal(err)
	}
	read, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(saved.Bytes())), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := read.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != nonroot || !slices.Equal(config.Config.Entrypoint, []string{"/thing"}) {
		t.Errorf("config is %+v", config.Config)
	}
	layer, err := i.layer()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	want := []string{"tmp/", "etc/", "etc/passwd", "etc/group", "thing", "opt/", "opt/deep/", "opt/deep/link"}
	if !slices.Equal(names, want) {
		t.Errorf("entries are %q, want %q", names, want)
	}
}

func TestFullName(t *testing.T) {
	for given, want := range map[string]string{
		"host":              "dev.local/relevo/host:test",
		"host:e2e":          "dev.local/relevo/host:e2e",
		"dev.local/other/x": "dev.local/other/x:test",
	} {
		if got := fullName(given); got != want {
			t.Errorf("fullName(%q) = %q, want %q", given, got, want)
		}
	}
}
