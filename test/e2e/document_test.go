//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shown is the n-th block of commands (from 0) in a section of docs/deploy.md:
// what is written there for people is what is tried here.
func shown(t testing.TB, section string, n int) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/deploy.md has no section %s", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	blocks := strings.Split(rest, "\n```sh\n")
	if len(blocks) < n+2 {
		t.Fatalf("section %s of docs/deploy.md has %d blocks of commands", section, len(blocks)-1)
	}
	block, _, ok := strings.Cut(blocks[n+1], "\n```")
	if !ok {
		t.Fatalf("block %d in section %s of docs/deploy.md does not end", n, section)
	}
	return block + "\n"
}

// instead puts a name of this cluster in the place of the document's, which
// must stand in the text.
func instead(t testing.TB, text, of, name string) string {
	t.Helper()
	if !strings.Contains(text, of) {
		t.Fatalf("docs/deploy.md does not show %q in\n%s", of, text)
	}
	return strings.ReplaceAll(text, of, name)
}

// shell runs commands as a person types them at the repository's root, with the
// programs that they name, and gives what they print.
func (r *rig) shell(commands string, env ...string) string {
	r.Helper()
	return r.shellIn("../..", commands, env...)
}

func (r *rig) shellIn(folder, commands string, env ...string) string {
	r.Helper()
	bin := r.TempDir()
	for name, variable := range map[string]string{"kubectl": "RELEVO_CLUSTER_KUBECTL", "kn": "RELEVO_CLUSTER_KN"} {
		if err := os.Symlink(environment(r.TB, variable), filepath.Join(bin, name)); err != nil {
			r.Fatal(err)
		}
	}
	cmd := exec.CommandContext(r.ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v\n%s", commands, err, out)
	}
	return string(out)
}

// without takes installed objects away, and puts the installation back as it
// was when the test ends: whatever stands there by these names then goes first.
func (r *rig) without(objects ...string) {
	r.Helper()
	remove := append([]string{"delete", "-n", namespace, "--ignore-not-found"}, objects...)
	r.kubectl(remove...)
	r.Cleanup(func() {
		r.kubectl(remove...)
		r.kubectl("apply", "-k", "install")
		r.ready(objects...)
	})
}

func (r *rig) ready(objects ...string) {
	r.Helper()
	r.kubectl(append([]string{"wait", "-n", namespace, "--for=condition=Ready", "--timeout=180s"}, objects...)...)
}

// The function that the document deploys, and its Trigger.
const (
	offerService = "services.serving.knative.dev/offer-created"
	offerTrigger = "triggers.eventing.knative.dev/offer-created"
)

// planned runs a pipeline, whose job an offer must place.
func (r *rig) planned() {
	r.Helper()
	r.succeeded(r.submit(`
on: workflow_dispatch
jobs:
  only:
    container: dev.local/relevo/busybox:test
    steps:
      - run: echo planned
`))
}
