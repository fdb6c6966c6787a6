//go:build e2e && deploy

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/test/scaffold"
)

// registry serves one that the cluster pulls from, and gives its address.
func (r *rig) registry() string {
	r.Helper()
	address := environment(r.TB, "RELEVO_CLUSTER_REGISTRY")
	cmd := exec.CommandContext(r.ctx, environment(r.TB, "RELEVO_CLUSTER"), "registry")
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			r.Errorf("registry: %v", err)
		}
	})
	r.eventually("the registry answers", func() bool { return r.serves(address, "base", "test") })
	return address
}

// serves tells whether a registry has an image by a tag or digest.
func (r *rig) serves(address, repository, reference string) bool {
	request, err := http.NewRequestWithContext(r.ctx, http.MethodHead, "http://"+address+"/v2/"+repository+"/manifests/"+reference, nil)
	if err != nil {
		r.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// The images are built and pushed as docs/deploy.md says, the API server takes
// the manifests that come of it, and a function runs from what the node and
// Knative pull: its tag is resolved, its digest is what runs.
func TestImages(t *testing.T) {
	r := begin(t)
	registry := r.registry()
	build, _, _ := strings.Cut(instead(t, shown(t, "kubectl", 0), "registry.example", registry), "\n")
	r.shell(build, "KO_DEFAULTBASEIMAGE="+registry+"/base:test")

	text, err := os.ReadFile("../../bin/relevo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	images := regexp.MustCompile(regexp.QuoteMeta(registry)+`/(relevo/[a-z-]+)@(sha256:[0-9a-f]{64})`).FindAllStringSubmatch(string(text), -1)
	names := map[string]string{}
	for _, image := range images {
		names[image[1]] = image[2]
		if !r.serves(registry, image[1], image[2]) {
			t.Errorf("%s was not pushed", image[0])
		}
	}
	if len(names) != 4 || strings.Contains(string(text), "ko://") {
		t.Errorf("bin/relevo.yaml names %v, and should three hosts and the agent, each by its digest", names)
	}
	r.kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "../../bin/relevo.yaml")

	r.without(offerService, offerTrigger)
	r.shell(instead(t, shown(t, "kn", 0), "registry.example/relevo/host:v1", registry+"/relevo/host:latest"))
	r.ready(offerService, offerTrigger)
	r.planned()
	running := r.kubectl("get", "revisions.serving.knative.dev", "-n", namespace, "-l", "serving.knative.dev/service=offer-created",
		"-o", "jsonpath={.items[*].status.containerStatuses[*].imageDigest}")
	if want := registry + "/relevo/host@" + names["relevo/host"]; running != want {
		t.Errorf("it runs %s, want %s", running, want)
	}
}

// The function is deployed with func in place of the installed one. Its image
// is what func's builder makes, without func: test/scaffold says why it is the
// same.
func TestFunc(t *testing.T) {
	r := begin(t)
	program, err := scaffold.Build(r.ctx, "../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	image := strings.TrimSpace(r.run(environment(t, "RELEVO_CLUSTER"), "load", "functions="+program))
	bin := t.TempDir()
	r.shell("go build -C test/deploy -o " + bin + "/func knative.dev/func/cmd/func")

	folder := t.TempDir() // func writes into func.yaml
	settings, err := os.ReadFile("../../functions/offer-created/func.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "functions/offer-created"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "functions/offer-created/func.yaml"), string(settings))

	const trigger = "triggers.eventing.knative.dev/offer-created-function-trigger-0"
	r.without(offerService, offerTrigger)
	defer r.kubectl("delete", trigger, "-n", namespace, "--ignore-not-found")
	flag, _, _ := strings.Cut(shown(t, "func", 0), "\n")
	deploy := instead(t, shown(t, "func", 1), "registry.example/relevo/functions:v1", image)
	r.shellIn(folder, "PATH="+bin+":$PATH\n"+flag+"\n"+deploy, "XDG_CONFIG_HOME="+t.TempDir())
	r.ready(offerService, trigger)
	r.planned()
}
