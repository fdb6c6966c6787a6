// Command relevo runs pipelines: once on this machine (run), as a service of
// one host (up), and it talks to a service that runs elsewhere.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/relevo-ci/relevo/shared/agent"
)

// version is set when the program is built.
var version = "dev"

func main() {
	// Under the agent's name this program is the agent: where no lean one was
	// built, workers are started with a link to it.
	if filepath.Base(os.Args[0]) == agentName {
		os.Exit(agent.Main(os.Args[1:], os.Environ(), version, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(execute(context.Background(), os.Args[1:]))
}
