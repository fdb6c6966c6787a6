package main

import (
	"context"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	imagePrefix  = "dev.local/relevo/"
	busyboxImage = imagePrefix + "busybox:test"
	gitImage     = imagePrefix + "git:test"
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
