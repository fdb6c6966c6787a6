package script

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

const deployKey = "hunter2/deploy+key"

// building checks out, uses a secret in every way that could show it, and emits
// an event. A process looks at all command lines meanwhile.
const building = `on: push
env: {OUT: "OUT-FOLDER"}
jobs:
  build:
    outputs: {leak: "${{ steps.use.outputs.leak }}", commit: "${{ steps.source.outputs.commit }}"}
    steps:
      - run: (while [ ! -e "$OUT/over" ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >> "$OUT/seen"; done) &
      - id: source
        uses: actions/checkout@v4
      - id: use
        name: use ${{ secrets.DEPLOY_KEY }}
        env: {KEY: "${{ secrets.deploy_key }}", NONE: "${{ secrets.NOT_THERE }}"}
        run: |
          cat message; echo "HEAD $(git rev-parse HEAD) of $GITHUB_REPOSITORY"
          echo "$GITHUB_SERVER_URL $GITHUB_REF $GITHUB_REF_NAME $GITHUB_REF_TYPE $GITHUB_SHA $GITHUB_EVENT_NAME"
          printf %s "$KEY" > "$OUT/key"; echo "key $KEY none <$NONE>"; printf %s "$KEY" | base64
          echo "leak=$KEY" >> "$GITHUB_OUTPUT"; echo "summary $KEY" >> "$GITHUB_STEP_SUMMARY"
          echo "::error title=$KEY::$KEY"
          env | sort > "$OUT/env"; touch "$OUT/over"
      - emit:
          type: com.example.built
          subject: ${{ github.repository }}
          data: {commit: "${{ steps.source.outputs.commit }}", event: "${{ github.event_name }}"}
`

// TestCheckoutSecretsAndEvents: a push to a private repository, from the forge's
// delivery to the user's own event. Neither the secret nor the forge's token is
// anywhere but where it belongs.
func TestCheckoutSecretsAndEvents(t *testing.T) {
	t.Parallel()
	f := newForged(t)
	if err := os.MkdirAll(f.secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.secrets, "DEPLOY_KEY"), []byte(deployKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sha, body := f.push(map[string]string{"message": "of the commit\n", ".relevo/build.yaml": strings.ReplaceAll(building, "OUT-FOLDER", f.dir)})
	f.push(map[string]string{"message": "of a later one\n"})
	f.deliver(http.StatusAccepted, "push", body)
	eventually(t, "the commit is green", func() bool { return strings.HasSuffix(f.states(sha), "success") })

	all := f.eventsUntil("com.example.built")
	emitted := all[len(all)-1]
	if want := `{"commit":"` + sha + `","event":"push"}`; string(emitted.Data) != want || emitted.Subject != repository || emitted.Source != "/relevo/run/"+emitted.RunID+"/job/build" {
		t.Errorf("emitted %+v, want %s", emitted, want)
	}
	log := f.call(0, "logs", emitted.RunID+".build")
	for _, want := range []string{
		"of the commit\nHEAD " + sha + " of " + repository + "\n", f.server.URL + " refs/heads/main main branch " + sha + " push\n",
		"key *** none <>\n", "==> use ***\n", "::error title=***::***\n", "==> emitted com.example.built " + repository,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if f.read("key") != deployKey {
		t.Errorf("the step got %q", f.read("key"))
	}
	feed, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	f.signal(syscall.SIGTERM)
	f.ends(0)
	seen := f.read("seen")
	if !strings.Contains(seen, "git fetch") {
		t.Error("the spy saw no git")
	}
	nowhere(t, map[string]string{
		"the feed": string(feed), "the log": log, "a command line": seen,
		"what relevo prints": f.out.String(), "a step's environment": strings.ReplaceAll(f.read("env"), "KEY="+deployKey, ""),
	}, deployKey, f.server.Token)
	if !f.nowhereOnDisk("com.example.built", deployKey, f.server.Token) {
		t.Error("the ledger was not looked at")
	}
}

// eventsUntil are the events of the feed up to the first of a type.
func (f *forged) eventsUntil(last events.Type) (all []events.Envelope) {
	t := f.host.stage.t
	t.Helper()
	c, err := client.New(f.url, "")
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Events(t.Context(), client.EventOptions{After: client.Oldest}) {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, e.Envelope); e.Type == last {
			break
		}
	}
	return all
}

// nowhereOnDisk holds that no secret is in the ledger, the logs, the launches, or
// what git wrote; it tells whether a text is.
func (f *forged) nowhereOnDisk(text string, secrets ...string) (there bool) {
	t := f.host.stage.t
	t.Helper()
	for _, dir := range []string{f.data, f.temp} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			there = there || bytes.Contains(content, []byte(text))
			nowhere(t, map[string]string{path: string(content)}, secrets...)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	return there
}

// nowhere holds that texts hold no secret, plain or in base64.
func nowhere(t *testing.T, texts map[string]string, secrets ...string) {
	t.Helper()
	for what, text := range texts {
		for _, s := range secrets {
			quoted, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{s, string(bytes.Trim(quoted, `"`)), base64.StdEncoding.EncodeToString([]byte(s))[:16]} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q", what, form)
				}
			}
		}
	}
}

// TestRunBuildsTheFolder: relevo run in a project's folder checks out nothing.
func TestRunBuildsTheFolder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	gitIn(t, s.dir, "init", "-q")
	gitIn(t, s.dir, "commit", "-q", "--allow-empty", "-m", "first")
	s.file("mine", "not committed")
	s.env = append(s.env, "RELEVO_SECRETS_DIR="+filepath.Join(s.dir, "secrets"))
	s.file("secrets/WHO", "somebody\n")
	s.file("ci.yaml", `jobs:
  a:
    steps:
      - uses: actions/checkout@v4
      - uses: actions/checkout@v4
        with: {path: copy}
      - run: cat mine; git -C copy log --format=%s; echo "for $WHO" > who
        env: {WHO: "${{ secrets.WHO }}"}
      - emit: {type: com.example.done}
`)
	p := s.start("run", "ci.yaml", "--events", "all.jsonl")
	p.ends(0)
	p.prints("nothing is checked out", "not committed", "first")
	if s.read("who") != "for somebody\n" {
		t.Errorf("the step knew %q", s.read("who"))
	}
	if all := s.read("all.jsonl"); strings.Count(all, `/job/a","type":"com.example.done"`) != 1 || strings.Contains(all, "somebody") {
		t.Error(all)
	}
}
