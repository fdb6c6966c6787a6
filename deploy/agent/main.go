// The agent runs the steps of one job in a worker; it is copied into the image
// of the user. See package agent.
package main

import (
	"os"

	"github.com/relevo-ci/relevo/shared/agent"
)

// version is set when the program is built.
var version = "dev"

func main() {
	os.Exit(agent.Main(os.Args[1:], os.Environ(), version, os.Stdin, os.Stdout, os.Stderr))
}
