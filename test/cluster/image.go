package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An entry is a file, folder or link of an image. A file is text, or a copy of
// one of this machine's.
type entry struct {
	path string // absolute
	from string // a file of this machine
	text string
	link string
	dir  bool
	mode int64
}

// An image has one layer.
type image struct {
	name    string
	entries []entry
	config  v1.Config
}

// The users that every image knows.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// programImage holds one static program, and what every program may expect.
func programImage(imageName, binary, user string, extra []entry) image {
	base := path.Base(strings.Split(imageName, ":")[0])
	return image{
		name: imageName,
		entries: slices.Concat([]entry{
			{path: "/tmp", dir: true, mode: 0o1777},
			{path: "/etc", dir: true, mode: 0o755},
			{path: "/etc/passwd", text: passwd, mode: 0o644},
			{path: "/etc/group", text: group, mode: 0o644},
			{path: "/" + base, from: binary, mode: 0o755},
		}, extra),
		config: v1.Config{Entrypoint: []string{"/" + base}, User: user, WorkingDir: "/"},
	}
}

// layer is the tar of the entries, with the folders that they need.
func (i image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	made := map[string]bool{"/": true, ".": true}
	for _, e := range i.entries {
		if err := parents(w, made, path.Dir(e.path)); err != nil {
			return nil, err
		}
		made[e.path] = true
		if err := e.write(w); err != nil {
			return nil, fmt.Errorf("%s of image %s: %w", e.path, i.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func parents(w *tar.Writer, made map[string]bool, folder string) error {
	if made[folder] {
		return nil
	}
	if err := parents(w, made, path.Dir(folder)); err != nil {
		return err
	}
	made[folder] = true
	return entry{path: folder, dir: true, mode: 0o755}.write(w)
}

func (e entry) write(w *tar.Writer) error {
	text := []byte(e.text)
	if e.from != "" {
		var err error
		if text, err = os.ReadFile(e.from); err != nil {
			return err
		}
	}
	header := &tar.Header{Name: strings.TrimPrefix(e.path, "/"), Mode: e.mode, Typeflag: tar.TypeReg, Size: int64(len(text))}
	switch {
	case e.dir:
		header.Typeflag, header.Size = tar.TypeDir, 0
		header.Name += "/"
	case e.link != "":
		header.Typeflag, header.Size, header.Linkname, header.Mode = tar.TypeSymlink, 0, e.link, 0o777
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(text)
	return err
}

// write writes what `docker save` would.
func (i image) write(w io.Writer) error {
	tag, err := name.NewTag(i.name)
	if err != nil {
		return err
	}
	built, err := i.build(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return err
	}
	return tarball.Write(tag, built, w)
}

func (i image) build(platform v1.Platform) (v1.Image, error) {
	layer, err := i.layer()
	if err != nil {
		return nil, err
	}
	// Not compressed: it goes no further than this machine.
	built, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config = platform.OS, platform.Architecture, i.config
	return mutate.ConfigFile(built, config)
}

// load gives the image to the node and waits until the kubelet can see it.
func (i image) load(ctx context.Context) error {
	var errors bytes.Buffer
	cmd := exec.CommandContext(ctx, "ctr", "--address", containerdSocket(), "--namespace", "k8s.io",
		"images", "import", "--snapshotter", snapshotter(), "-")
	cmd.Stderr = &errors
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("import %s: %w", i.name, err)
	}
	wrote := i.write(in)
	in.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("import %s: %w: %s", i.name, err, errors.String())
	}
	if wrote != nil {
		return fmt.Errorf("write image %s: %w", i.name, wrote)
	}
	return poll(ctx, patience, func() error {
		seen, err := ctr(ctx, "images", "ls", "-q", `name==`+i.name+`,labels."io.cri-containerd.image"==managed`)
		if err == nil && strings.TrimSpace(seen) == "" {
			err = fmt.Errorf("the kubelet does not see %s", i.name)
		}
		return err
	})
}
