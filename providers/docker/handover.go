package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// The launch holds the attempt's token: nobody but the agent's user may read
// it, outside the container and in it.
const launchMode = 0o600

// mountable tells whether the launch can be mounted: the daemon must see this
// machine's files under the same names and owners, and the agent must be root
// there, or it could not read the launch.
func (p *Provider) mountable(ctx context.Context, user string) (bool, error) {
	uid, _, _ := strings.Cut(user, ":")
	if p.cfg.State == "" || uid != "" && uid != "0" && uid != "root" {
		return false, nil
	}
	p.mu.Lock()
	known := p.mounts
	p.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	info, err := p.cli.Info(ctx)
	if err != nil {
		return false, err
	}
	// With user namespaces the container's root is somebody else here; SELinux
	// keeps containers from files that are not labelled for them.
	mounts := !slices.ContainsFunc(info.SecurityOptions, func(option string) bool {
		return strings.Contains(option, "name=userns") || strings.Contains(option, "name=selinux")
	})
	p.mu.Lock()
	p.mounts = &mounts
	p.mu.Unlock()
	return mounts, nil
}

// layOut writes the launch below Config.State and gives the mounts for it and
// the agent. What is there is replaced in one step by the same.
func (p *Provider) layOut(l execution.Launch) ([]mount.Mount, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode launch: %w", err)
	}
	folder := filepath.Join(p.cfg.State, p.nameOf(l.Worker, l.Fence))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	launch := filepath.Join(folder, filepath.Base(launchAt))
	if err := os.WriteFile(launch+".next", text, launchMode); err != nil {
		return nil, err
	}
	if err := os.Rename(launch+".next", launch); err != nil {
		return nil, err
	}
	return []mount.Mount{
		{Type: mount.TypeBind, Source: p.cfg.Agent, Target: agentAt, ReadOnly: true},
		{Type: mount.TypeBind, Source: launch, Target: launchAt, ReadOnly: true},
	}, nil
}

// sweep removes what layOut wrote for a worker of this fence or an older one.
func (p *Provider) sweep(worker events.WorkerID, fence events.Fence) error {
	if p.cfg.State == "" {
		return nil
	}
	entries, err := os.ReadDir(p.cfg.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stem := p.nameOf(worker, events.Fence{}) // ends where the fence begins
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), stem)
		if f, err := events.ParseFence(text); !ok || err != nil || f.Compare(fence) > 0 {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.cfg.State, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyIn copies the agent and the launch into a container that does not run
// yet. They belong to the user that the agent will run as.
func (p *Provider) copyIn(ctx context.Context, l execution.Launch, id, user string) error {
	uid, err := p.uid(ctx, id, user)
	if err != nil {
		return fmt.Errorf("find the user %q of the image: %w", user, err)
	}
	launch, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode launch: %w", err)
	}
	agent, err := os.Open(p.cfg.Agent)
	if err != nil {
		return fmt.Errorf("read the agent: %w", err)
	}
	defer func() { _ = agent.Close() }()
	folder := l.Workspace
	if p.inPlace(l) {
		folder = "" // it is there
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.archive(w, agent, launch, folder, uid)) }()
	err = p.cli.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{})
	_ = r.Close() // ends the writer, where the daemon did not read to the end
	if err != nil {
		return fmt.Errorf("copy the agent in: %w", err)
	}
	return nil
}

// archive writes the tar: the agent, the launch, and a workspace where one
// is named that the agent's user could not make.
func (p *Provider) archive(w io.Writer, agent *os.File, launch []byte, workspace string, uid int) error {
	info, err := agent.Stat()
	if err != nil {
		return err
	}
	files := []struct {
		header tar.Header
		body   io.Reader
	}{
		{tar.Header{Typeflag: tar.TypeDir, Name: home[1:] + "/", Mode: 0o755}, nil},
		{tar.Header{Typeflag: tar.TypeReg, Name: agentAt[1:], Mode: 0o555, Size: info.Size()}, agent},
		{tar.Header{Typeflag: tar.TypeReg, Name: launchAt[1:], Mode: launchMode, Size: int64(len(launch))}, bytes.NewReader(launch)},
		{tar.Header{Typeflag: tar.TypeDir, Name: strings.Trim(workspace, "/") + "/", Mode: 0o755}, nil},
	}
	if uid == 0 || workspace == "" {
		files = files[:3]
	}
	out := tar.NewWriter(w)
	for _, f := range files {
		f.header.Uid, f.header.ModTime = uid, info.ModTime()
		if err := out.WriteHeader(&f.header); err != nil {
			return err
		}
		if f.body == nil {
			continue
		}
		if _, err := io.Copy(out, f.body); err != nil {
			return err
		}
	}
	return out.Close()
}

// passwdMax bounds what is read of an image's list of users, in bytes.
const passwdMax = 1 << 20

// uid is the number of the image's user, which the image may give by name.
func (p *Provider) uid(ctx context.Context, id, user string) (int, error) {
	name, _, _ := strings.Cut(user, ":")
	if name == "" {
		return 0, nil
	}
	if uid, err := strconv.Atoi(name); err == nil {
		return uid, nil
	}
	archive, _, err := p.cli.CopyFromContainer(ctx, id, "/etc/passwd")
	if cerrdefs.IsNotFound(err) {
		return 0, errors.New("there is no /etc/passwd")
	}
	if err != nil {
		return 0, err
	}
	defer archive.Close()
	files := tar.NewReader(archive)
	if _, err := files.Next(); err != nil {
		return 0, err
	}
	passwd, err := io.ReadAll(io.LimitReader(files, passwdMax))
	if err != nil {
		return 0, err
	}
	return findUser(string(passwd), name)
}

// findUser reads a passwd(5) file.
func findUser(passwd, name string) (uid int, err error) {
	for line := range strings.Lines(passwd) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || fields[0] != name {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 31)
		return int(uid), err
	}
	return 0, errors.New("it is not in /etc/passwd")
}
