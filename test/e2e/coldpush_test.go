//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

// What test/e2e/install tells the functions of the forge.
const (
	forgeAddress  = "10.203.0.1:18480"
	webhookHost   = "webhook.relevo.relevo.test"
	webhookSecret = "signs-deliveries"
	shop          = "acme/shop"
)

// shopPipeline reads a file of its own commit. It goes on until the forge was
// told that it is pending: a state that is over is told no more.
const shopPipeline = `
name: build
on: push
jobs:
  build:
    container: dev.local/relevo/git:test
    steps:
      - uses: actions/checkout@v4
      - run: |
          test "$(git rev-parse HEAD)" = "$GITHUB_SHA"
          cat greeting
          until wget -q -O /dev/null http://` + forgeAddress + `/pending; do sleep 1; done
`

// forged is a forge with one repository, which the cluster reaches, and a clone
// of it.
func (r *rig) forged() (server *forgetest.Server, clone string) {
	r.Helper()
	server = forgetest.New(r.TB, forge.GitHub)
	seen := &httptest.Server{Listener: r.listens(forgeAddress), Config: &http.Server{Handler: answeringPending(server)}}
	seen.Start()
	r.Cleanup(seen.Close)
	server.URL = seen.URL

	bare, clone := filepath.Join(r.TempDir(), "repo.git"), filepath.Join(r.TempDir(), "clone")
	r.run("git", "init", "-q", "--bare", "-b", "main", bare)
	r.run("git", "clone", "-q", bare, clone)
	server.Add(shop, bare)
	return server, clone
}

// listens opens a port of this machine.
func (r *rig) listens(address string) net.Listener {
	r.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(r.ctx, "tcp", address)
	if err != nil {
		r.Fatal(err)
	}
	return l
}

// answeringPending is the forge, and says at /pending whether it was told that
// a run is.
func answeringPending(server *forgetest.Server) http.Handler {
	var pending atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path != "/pending":
			server.ServeHTTP(w, req)
			if req.Method == http.MethodPost && strings.Contains(req.URL.Path, "/statuses/") {
				pending.Store(true)
			}
		case !pending.Load():
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
}

// pushes commits files, of path and text, and pushes them to main.
func (r *rig) pushes(clone string, files map[string]string) (sha string) {
	r.Helper()
	for name, text := range files {
		path := filepath.Join(clone, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.Fatal(err)
		}
		write(r.TB, path, text)
	}
	git := func(args ...string) string {
		return r.run("git", append([]string{"-C", clone, "-c", "user.name=dev", "-c", "user.email=dev@acme.example"}, args...)...)
	}
	git("add", "-A")
	git("commit", "-q", "-m", "greet")
	git("push", "-q", "origin", "HEAD:refs/heads/main")
	return strings.TrimSpace(git("rev-parse", "HEAD"))
}

// delivers posts what the forge would send, signed.
func (r *rig) delivers(d forgetest.Delivery) client.Received {
	r.Helper()
	door := httptest.NewServer(ingress(environment(r.TB, "RELEVO_CLUSTER_INGRESS"), webhookHost))
	defer door.Close()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, door.URL+"/webhooks/github", bytes.NewReader(d.Body))
	if err != nil {
		r.Fatal(err)
	}
	request.Header = d.Sign(forge.GitHub, webhookSecret, fmt.Sprint(r.Name(), time.Now().UnixNano()))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer answer.Body.Close()
	var got client.Received
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || answer.StatusCode != http.StatusAccepted {
		r.Fatalf("the delivery was answered %s, %v", answer.Status, err)
	}
	return got
}

// A push that a forge delivers wakes the functions from zero, its pipeline runs
// on a checkout of the commit, the states stand on the commit once each and in
// order, and everything is at zero again.
func TestPushFromZero(t *testing.T) {
	r := begin(t)
	server, clone := r.forged()
	sha := r.pushes(clone, map[string]string{".relevo/build.yaml": shopPipeline, "greeting": "hello from the commit\n"})
	delivery := server.Push(shop, "refs/heads/main", "", sha, trigger.Actor{Login: "dev"})
	r.zero()

	got := r.delivers(delivery)

	told := func() string {
		var all []string
		for _, s := range server.Told(shop, sha) {
			all = append(all, s.Context+" "+s.State)
		}
		return strings.Join(all, ", ")
	}
	r.eventually("the forge is told how it ended", func() bool { return strings.Contains(told(), "success") || strings.Contains(told(), "fail") })
	ended, err := r.api.Delivery(r.ctx, got.Delivery)
	if err != nil || len(ended.Outcomes) != 1 {
		t.Fatalf("the delivery came to %+v, %v", ended, err)
	}
	run := r.succeeded(ended.Outcomes[0].Run)
	r.zero()
	if want := "relevo/build pending, relevo/build success"; told() != want {
		t.Errorf("the forge was told %s, want %s", told(), want)
	}
	log := r.log(run.ID+".build", 0)
	if !strings.Contains(log, "hello from the commit") || strings.Contains(log, server.Token) {
		t.Errorf("the log of what ran on the commit:\n%s", log)
	}
	if out := r.relevo("explain", "--delivery", got.Delivery); !strings.Contains(out, ".relevo/build.yaml") || !strings.Contains(out, run.ID) {
		t.Errorf("explain --delivery: %s", out)
	}
	r.audit(run.ID)
}
