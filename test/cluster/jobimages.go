package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// busybox is an image for jobs: a shell and every applet.
func busybox(ctx context.Context) (image, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return image{}, err
	}
	applets, err := run(ctx, program, "--list")
	if err != nil {
		return image{}, err
	}
	i := programImage("dev.local/bin/busybox", program, "", nil)
	i.name = busyboxImage
	i.entries = append(i.entries,
		entry{path: "/root", dir: true, mode: 0o700},
		entry{path: "/bin/busybox", link: "/busybox"})
	for applet := range strings.FieldsSeq(applets) {
		if applet != "busybox" {
			i.entries = append(i.entries, entry{path: "/bin/" + applet, link: "/busybox"})
		}
	}
	i.config = v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"/bin/sh"}, WorkingDir: "/"}
	return i, nil
}

// git is an image for jobs that check out: busybox, and this machine's git.
func git(ctx context.Context) (image, error) {
	i, err := busybox(ctx)
	if err != nil {
		return image{}, err
	}
	folder, err := run(ctx, "git", "--exec-path")
	if err != nil {
		return image{}, err
	}
	remote := filepath.Join(strings.TrimSpace(folder), "git-remote-http")
	programs, err := linked(ctx, map[string]string{"/usr/bin/git": "git", remote: remote})
	if err != nil {
		return image{}, err
	}
	i.name = gitImage
	i.entries = append(i.entries, programs...)
	i.entries = append(i.entries, entry{path: remote + "s", link: "git-remote-http"})
	i.config.Env = []string{"PATH=/bin:/usr/bin"}
	return i, nil
}

// redis is an image of this machine's redis-server.
func redis(ctx context.Context) (image, error) {
	programs, err := linked(ctx, map[string]string{"/usr/bin/redis-server": "redis-server", "/usr/bin/redis-cli": "redis-cli"})
	if err != nil {
		return image{}, err
	}
	return image{name: redisImage, entries: append([]entry{
		{path: "/data", dir: true, mode: 0o1777}, {path: "/tmp", dir: true, mode: 0o1777},
	}, programs...), config: v1.Config{
		Env: []string{"PATH=/usr/bin"}, User: nonroot, WorkingDir: "/data",
		Entrypoint: []string{"/usr/bin/redis-server", "--protected-mode", "no"},
	}}, nil
}

// linked are programs of this machine, by their paths in an image, which are
// linked dynamically: with their libraries where the loader looks for them.
func linked(ctx context.Context, programs map[string]string) ([]entry, error) {
	var entries []entry
	seen := map[string]bool{}
	for path, name := range programs {
		program, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		libraries, err := run(ctx, "ldd", program)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{path: path, from: program, mode: 0o755})
		for word := range strings.FieldsSeq(libraries) {
			if filepath.IsAbs(word) && !seen[word] {
				seen[word] = true
				entries = append(entries, entry{path: word, from: word, mode: 0o755})
			}
		}
	}
	return entries, nil
}
