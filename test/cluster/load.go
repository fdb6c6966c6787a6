package main

import (
	"context"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	imagePrefix  = "dev.local/relevo/"
	busyboxImage = imagePrefix + "busybox:test"
	redisImage   = imagePrefix + "redis:test"
)

// load makes images of static binaries: IMAGE=BINARY, as relevo-host:e2e=bin/relevo-host.
func load(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	user := flags.String("user", nonroot, "the user (and no other) that the program runs as")
	certificates := flags.Bool("certs", false, "add this machine's CA certificates")
	var extra []entry
	flags.Func("file", "`PATH=FILE`: add a file of this machine under an absolute path; may repeat", func(s string) error {
		to, from, ok := strings.Cut(s, "=")
		if !ok || !path.IsAbs(to) {
			return errors.New("want /PATH=FILE")
		}
		info, err := os.Stat(from)
		if err == nil {
			extra = append(extra, entry{path: to, from: from, mode: int64(info.Mode().Perm())})
		}
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("load: want IMAGE=BINARY")
	}
	if *certificates {
		const bundle = "/etc/ssl/certs/ca-certificates.crt"
		extra = append(extra, entry{path: bundle, from: bundle, mode: 0o644})
	}
	for _, arg := range flags.Args() {
		name, binary, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("load: %s is not IMAGE=BINARY", arg)
		}
		if err := mustBeStatic(binary); err != nil {
			return err
		}
		name = fullName(name)
		if err := programImage(name, binary, *user, extra).load(ctx); err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}

// fullName adds what of an image's name was left out. A tag is always written
// out: with ":latest" the kubelet would try to pull.
func fullName(name string) string {
	if !strings.Contains(name, "/") {
		name = imagePrefix + name
	}
	if !strings.Contains(path.Base(name), ":") {
		name += ":test"
	}
	return name
}

// mustBeStatic spares a "no such file or directory" from inside a container.
func mustBeStatic(binary string) error {
	program, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("load %s: %w", binary, err)
	}
	defer func() { _ = program.Close() }()
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("load: %s is linked dynamically; build it with CGO_ENABLED=0", binary)
	}
	return nil
}

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

// redis is an image of this machine's redis-server, which is linked
// dynamically, with its libraries where its loader looks for them.
func redis(ctx context.Context) (image, error) {
	entries := []entry{{path: "/data", dir: true, mode: 0o1777}, {path: "/tmp", dir: true, mode: 0o1777}}
	seen := map[string]bool{}
	for _, name := range []string{"redis-server", "redis-cli"} {
		program, err := exec.LookPath(name)
		if err != nil {
			return image{}, err
		}
		libraries, err := run(ctx, "ldd", program)
		if err != nil {
			return image{}, err
		}
		entries = append(entries, entry{path: "/usr/bin/" + name, from: program, mode: 0o755})
		for word := range strings.FieldsSeq(libraries) {
			if !filepath.IsAbs(word) || seen[word] {
				continue
			}
			seen[word] = true
			entries = append(entries, entry{path: word, from: word, mode: 0o755})
		}
	}
	return image{name: redisImage, entries: entries, config: v1.Config{
		Env: []string{"PATH=/usr/bin"}, User: nonroot, WorkingDir: "/data",
		Entrypoint: []string{"/usr/bin/redis-server", "--protected-mode", "no"},
	}}, nil
}
