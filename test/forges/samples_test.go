package forges

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

// libraries are the two go-scms: the one that is linked, and the one that has
// some samples which it lacks. The latter's source is read only.
var libraries = []string{"github.com/drone/go-scm@v1.38.4", "github.com/jenkins-x/go-scm@v1.14.58"}

// sample is a delivery as a forge once sent it.
type sample struct {
	name string
	forgetest.Delivery
}

// samples of a forge, of both libraries.
func samples(t *testing.T, kind string) (all []sample) {
	t.Helper()
	for _, library := range libraries {
		out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", library).Output()
		var source struct{ Dir string }
		if err != nil || json.Unmarshal(out, &source) != nil {
			t.Fatalf("%s: %v: %s", library, err, out)
		}
		files, err := filepath.Glob(filepath.Join(source.Dir, "scm/driver", kind, "testdata/webhooks/*.json"))
		if err != nil || len(files) < 10 {
			t.Fatalf("%d samples of %s in %s: %v", len(files), kind, library, err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			if name != "pull_request_comment_created_pr" { // an answer of the API
				all = append(all, sample{name, forgetest.Delivery{Event: eventOf(kind, name, body), Body: body}})
			}
		}
	}
	return all
}

// eventOf is what the forge's header says of a sample.
func eventOf(kind, name string, body []byte) string {
	var says struct {
		EventKey string
		Kind     string `json:"object_kind"`
	}
	_ = json.Unmarshal(body, &says) // some have neither
	switch kind {
	case forge.Stash:
		return says.EventKey
	case forge.GitLab:
		return map[string]string{
			"push": "Push Hook", "tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook",
			"note": "Note Hook", "issue": "Issue Hook", "release": "Release Hook",
		}[says.Kind]
	case forge.Bitbucket:
		if event, known := map[string]string{
			"pr_created": "created", "pr_created_slashbranch": "created", "pr_updated": "updated", "pr_fulfilled": "fulfilled",
			"pr_declined": "rejected", "pr_comment_created": "comment_created", "pr_comment_deleted": "comment_deleted",
		}[name]; known {
			return "pullrequest:" + event
		}
		return "repo:push"
	}
	what, how, _ := strings.Cut(name, "_")
	switch {
	case what == "branch" || what == "tag":
		return how
	case strings.Contains(name, "comment"):
		return "issue_comment"
	case what == "review":
		return "pull_request_" + how
	case what == "pull":
		return "pull_request"
	}
	return what
}

// TestSamplesOfEveryForge posts what the forges besides GitHub once sent, signed:
// each is answered with an outcome, and each that was kept comes to one.
func TestSamplesOfEveryForge(t *testing.T) {
	t.Parallel()
	var wait []func()
	for _, kind := range []string{forge.GitLab, forge.Gitea, forge.Bitbucket, forge.Stash, forge.Gogs} {
		r := newRig(t, kind)
		all := samples(t, kind)
		answers, kept := r.postAll(all)
		wait = append(wait, func() { // all of them at once: they look for what is not there
			outcomes := r.outcomes(kept)
			t.Logf("%-9s %3d samples: %s; came to: %s", kind, len(all), table(answers), table(outcomes))
			if strings.Contains(r.log.text(), "panic") || len(kept) < len(all)/2 {
				t.Errorf("of %d samples %d were kept\n%s", len(all), len(kept), r.log.text())
			}
			r.clean()
		})
	}
	for _, w := range wait {
		w()
	}
}

// postAll posts samples. It counts the answers, and gives the names of what was
// kept by the deliveries' ids.
func (r *rig) postAll(all []sample) (answers map[string]int, kept map[string]string) {
	r.t.Helper()
	answers, kept = map[string]int{}, map[string]string{}
	for i, s := range all {
		rec := r.post(r.kind, s.Sign(r.kind, secret, fmt.Sprintf("%s-%d", s.name, i)), bytes.NewReader(s.Body))
		var got client.Received
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Outcome == "" || rec.Code >= http.StatusMultipleChoices {
			r.t.Errorf("%s is answered %d: %s", s.name, rec.Code, rec.Body)
			continue
		}
		answers[fmt.Sprintf("%d %s", rec.Code, got.Outcome)]++
		if got.Delivery != "" {
			kept[got.Delivery] = s.name
		}
	}
	return answers, kept
}

// outcomes counts what deliveries came to, once all are worked on. What is of
// repositories that the forge does not have here is looked for a while.
func (r *rig) outcomes(kept map[string]string) map[string]int {
	r.t.Helper()
	outcomes := map[string]int{}
	for id, name := range kept {
		var d client.Delivery
		r.eventually(name+" is worked on", func() bool {
			var err error
			d, err = r.client.Delivery(r.t.Context(), id)
			return err == nil && (d.State == "done" || d.State == "refused")
		})
		what, _, _ := strings.Cut(d.Event, ":")
		if d.Reason == "" && len(d.Outcomes) == 0 {
			r.t.Errorf("%s came to nothing that anybody says: %+v", name, d)
		}
		outcomes[d.State+" "+what]++
	}
	return outcomes
}

// table writes counts on one line, sorted.
func table(count map[string]int) string {
	var parts []string
	for what, n := range count {
		parts = append(parts, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
