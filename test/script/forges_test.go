package script

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

const (
	repository = "acme/shop"
	hookSecret = "hook-53cr3t"
)

// forged is a relevo that a fake forge delivers to, and a repository there.
type forged struct {
	*host
	server *forgetest.Server
	work   string // a clone
	// secrets is a folder of what jobs may read; there is none at first.
	secrets string
}

func newForged(t *testing.T) *forged {
	t.Helper()
	f := &forged{server: forgetest.New(t, forge.GitHub), work: filepath.Join(t.TempDir(), "work")}
	bare := filepath.Join(t.TempDir(), "shop.git")
	gitIn(t, ".", "init", "-q", "--bare", "-b", "main", bare)
	gitIn(t, ".", "clone", "-q", bare, f.work)
	f.server.Add(repository, bare)
	s := newStage(t)
	f.secrets = filepath.Join(filepath.Dir(s.dir), "s")
	s.env = append(s.env, "RELEVO_FORGE_GITHUB_URL="+f.server.URL, "RELEVO_FORGE_GITHUB_TOKEN="+f.server.Token,
		"RELEVO_FORGE_GITHUB_WEBHOOK_SECRET="+hookSecret, "RELEVO_PUBLIC_URL=https://ci.example", "RELEVO_LOG_LEVEL=debug",
		"RELEVO_SECRETS_DIR="+f.secrets)
	// A checkout takes a folder of the job's own.
	f.host = &host{stage: s, data: filepath.Join(filepath.Dir(s.dir), "d"), flags: []string{"--workspace", ""}}
	f.up()
	return f
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits files and gives the body of the delivery of their push.
func (f *forged) push(files map[string]string) (sha string, body []byte) {
	t := f.host.stage.t
	t.Helper()
	before := strings.Repeat("0", 40)
	if out, err := exec.Command("git", "-C", f.work, "rev-parse", "--verify", "-q", "HEAD").Output(); err == nil {
		before = strings.TrimSpace(string(out))
	}
	for name, text := range files {
		path := filepath.Join(f.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gitIn(t, f.work, "add", "-A")
	gitIn(t, f.work, "commit", "-q", "-m", "change")
	gitIn(t, f.work, "push", "-q", "origin", "HEAD:main")
	sha = gitIn(t, f.work, "rev-parse", "HEAD")
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/main", "before": before, "after": sha,
		"head_commit": map[string]any{"id": sha, "message": "change", "author": map[string]any{"name": "spoofed", "username": "admin"}},
		"commits":     []any{}, "sender": map[string]any{"login": "dev", "id": 7}, "pusher": map[string]any{"name": "dev"},
		"repository": map[string]any{
			"id": 100, "full_name": repository, "name": "shop", "owner": map[string]any{"login": "acme"},
			"default_branch": "main", "clone_url": f.server.Clone(repository), "html_url": f.server.URL + "/" + repository,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sha, body
}

// deliver posts a delivery and gives the answer, which must have the status.
func (f *forged) deliver(status int, event string, body []byte, header ...string) client.Received {
	t := f.host.stage.t
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/webhooks/github", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", "d-1")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != status {
		t.Fatalf("a %s is answered %d, want %d: %s", event, res.StatusCode, status, raw)
	}
	var got client.Received
	if status < 300 {
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
	}
	return got
}

// states are what the forge was told of a commit: context and state.
func (f *forged) states(sha string) string {
	var all []string
	for _, told := range f.server.Told(repository, sha) {
		all = append(all, told.Context+" "+told.State)
	}
	return strings.Join(all, ", ")
}

// TestAPushRunsItsPipelines: a signed push starts the pipelines of its commit,
// and their states stand on the commit, once each, in order.
func TestAPushRunsItsPipelines(t *testing.T) {
	t.Parallel()
	f := newForged(t)
	sha, body := f.push(map[string]string{
		".relevo/build.yaml": `on: push
jobs:
  a:
    steps:
      - uses: actions/checkout@v4
        with: {path: src}
      - run: echo ${{ github.sha }} ${{ github.event.pusher.name }} ${{ github.actor }} $(git -C src rev-parse HEAD) > ` + filepath.Join(f.dir, "built") + "\n",
	})
	got := f.deliver(http.StatusAccepted, "push", body)
	if got.Duplicate || got.Delivery == "" {
		t.Errorf("answered %+v", got)
	}
	eventually(t, "the run is over", func() bool { return strings.Count(f.states(sha), "relevo/build") == 2 })
	if !strings.HasSuffix(f.states(sha), "success") {
		run := regexp.MustCompile(`started (\S+)`).FindStringSubmatch(f.call(0, "explain", "--delivery", got.Delivery))
		t.Fatalf("the log:\n%s", f.call(0, "logs", run[1]+".a"))
	}
	if want := "relevo/build pending, relevo/build success"; f.states(sha) != want {
		t.Errorf("the forge was told %s, want %s", f.states(sha), want)
	}
	if want := sha + " dev dev " + sha + "\n"; f.read("built") != want {
		t.Errorf("the job saw %q, want %q", f.read("built"), want)
	}
	if again := f.deliver(http.StatusAccepted, "push", body); !again.Duplicate || again.Delivery != got.Delivery {
		t.Errorf("delivered again it is %+v", again)
	}
	bad, body := f.push(map[string]string{
		".relevo/build.yaml":  "on: push\njobs: {a: {steps: [{run: exit 3}]}}\n",
		".relevo/broken.yaml": "on: push\njobs: {a: {step: []}}\n",
		".relevo/other.yaml":  "on: {push: {branches: [release]}}\njobs: {a: {steps: [{run: exit 3}]}}\n",
	})
	f.deliver(http.StatusAccepted, "push", body)
	eventually(t, "the commit is red", func() bool { return strings.Contains(f.states(bad), "relevo/build failure") })
	for _, want := range []string{"relevo/build pending, relevo/build failure", "relevo/.relevo/broken.yaml failure"} {
		if !strings.Contains(strings.ReplaceAll(f.states(bad), "relevo/.relevo/broken.yaml failure, ", "")+f.states(bad), want) {
			t.Errorf("the forge was told %s", f.states(bad))
		}
	}
	f.signal(15)
	f.ends(0)
	for _, secret := range []string{hookSecret, f.server.Token, "head_commit"} {
		f.printsNot(secret)
	}
}
