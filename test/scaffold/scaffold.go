// Package scaffold builds the function as `func build` does, with the main that
// func writes around the root package, and talks to it as Knative does.
package scaffold

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is func's for an instanced HTTP function in Go.
const program = `package main

import (
	"fmt"
	"os"

	"knative.dev/func-go/http"

	f "github.com/relevo-ci/relevo"
)

func main() {
	if err := http.Start(f.New()); err != nil {
		fmt.Fprintln(os.Stderr, err.Error())
		os.Exit(1)
	}
}
`

// module is func's too: it requires the function's module from its folder.
const module = `module main

go 1.26

require (
	github.com/relevo-ci/relevo v0.0.0
	knative.dev/func-go v0.22.0
)

replace github.com/relevo-ci/relevo => %s
`

// Build builds the function of the repository at root in an empty folder, and
// gives the program's path.
func Build(ctx context.Context, root, folder string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return "", err
	}
	for name, text := range map[string][]byte{
		"main.go": []byte(program), "go.mod": fmt.Appendf(nil, module, root), "go.sum": sums,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-o", "f", ".")
	build.Dir, build.Env = folder, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("scaffold: build: %w\n%s", err, out)
	}
	return filepath.Join(folder, "f"), nil
}
