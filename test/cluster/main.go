// Package main brings up a real Kubernetes of one node with Knative Serving and
// Eventing on a bare Debian machine, from the Go module proxy and Debian's
// packages alone: it builds every program of the cluster, makes its images and
// runs it as processes of this machine. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

const usage = `usage: cluster COMMAND

  build             build every program into the cache; up does it too
  up                bring the cluster up; a second time it mends what is missing
  down              stop and remove what up made, and see that nothing is left
  check             try Knative, Jobs and the event sources on the running cluster
  load [FLAGS] IMAGE=BINARY...
                    make dev.local/relevo/IMAGE from a static binary, for the node
  registry          serve an image registry on the node's address until interrupted
  kubectl ARGS...   run kubectl as the cluster's admin
  kubeconfig        print the path of the admin's kubeconfig
  env               print what a shell may eval to use the cluster
`

type command func(ctx context.Context, args []string) error

var commands = map[string]command{
	"build":      func(ctx context.Context, _ []string) error { _, err := build(ctx); return err },
	"up":         func(ctx context.Context, _ []string) error { return up(ctx) },
	"down":       func(context.Context, []string) error { return down() },
	"check":      func(ctx context.Context, _ []string) error { return check(ctx) },
	"load":       load,
	"registry":   func(ctx context.Context, _ []string) error { return serveRegistry(ctx) },
	"kubectl":    func(_ context.Context, args []string) error { return becomeKubectl(args) },
	"kubeconfig": func(context.Context, []string) error { fmt.Println(kubeconfig("admin")); return nil },
	"env":        func(context.Context, []string) error { printEnv(); return nil },
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		stop()
		os.Exit(1)
	}
}

// say reports progress; standard output is for results.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
}

// run runs a command and returns what it wrote to standard output; its
// standard error becomes part of the error.
func run(ctx context.Context, argv ...string) (string, error) {
	return runWith(ctx, "", argv...)
}

// runWith is run with a standard input.
func runWith(ctx context.Context, stdin string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return string(out), nil
}

// kubectl runs kubectl as the admin.
func kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return runWith(ctx, stdin, slices.Concat([]string{kubectlPath(), "--kubeconfig", kubeconfig("admin")}, args)...)
}

// becomeKubectl replaces this process, so that signals and terminals work.
func becomeKubectl(args []string) error {
	argv := slices.Concat([]string{"kubectl", "--kubeconfig", kubeconfig("admin")}, args)
	return fmt.Errorf("run %s: %w", kubectlPath(), syscall.Exec(kubectlPath(), argv, os.Environ()))
}

func printEnv() {
	fmt.Printf("export KUBECONFIG='%s'\n", kubeconfig("admin"))
	fmt.Printf("export RELEVO_CLUSTER='%s'\n", statePath("cluster"))
	fmt.Printf("export RELEVO_CLUSTER_KUBECTL='%s'\n", kubectlPath())
	fmt.Printf("export RELEVO_CLUSTER_INGRESS='http://%s'\n", ingressAddress)
	fmt.Printf("export RELEVO_CLUSTER_DOMAIN='%s'\n", domain)
	fmt.Printf("export RELEVO_CLUSTER_NODE='%s'\n", nodeAddress)
	fmt.Printf("export RELEVO_CLUSTER_KN='%s'\n", binary("kn"))
	fmt.Printf("export RELEVO_CLUSTER_REGISTRY='%s'\n", registryAddress)
}
