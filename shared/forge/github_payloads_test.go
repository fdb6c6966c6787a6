package forge_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

const payloads = "testdata/node_modules/@octokit/webhooks-examples"

// A payload is one documented delivery of GitHub.
type payload struct {
	name  string // of the file, the event and the example
	event string
	body  []byte
}

// documented reads every example of the npm package: of github.com, and of each
// Enterprise Server that it has.
func documented(t *testing.T) []payload {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(payloads, "*", "index.json"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d of 6 files of GitHub's payloads: test/setup installs them (%v)", len(files), err)
	}
	var all []payload
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var events []struct {
			Name     string            `json:"name"`
			Examples []json.RawMessage `json:"examples"`
		}
		if err := json.Unmarshal(text, &events); err != nil {
			t.Fatal(file, err)
		}
		for _, e := range events {
			for i, body := range e.Examples {
				name := fmt.Sprintf("%s/%s/%d", filepath.Base(filepath.Dir(file)), e.Name, i)
				all = append(all, payload{name, e.Name, body})
			}
		}
	}
	return all
}

const secret = "It's a Secret to Everybody"

func opened(t *testing.T, kind string, secrets ...string) forge.Forge {
	t.Helper()
	f, err := forge.New(forge.Settings{Kind: kind, URL: "http://forge.invalid", Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sum(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// TestDocumentedPayloads posts every one as GitHub does: it is taken and read,
// and what it says is what a reading of the bare JSON says.
func TestDocumentedPayloads(t *testing.T) {
	hub := opened(t, forge.GitHub, secret)
	count := map[string]int{}
	for _, p := range documented(t) {
		t.Run(p.name, func(t *testing.T) {
			header := http.Header{"X-Github-Event": {p.event}, "X-Github-Delivery": {"72d3162e-cc78-11e3-81ab-4c9367dc0958"}}
			header.Set("X-Hub-Signature-256", "sha256="+sum(p.body))
			if err := hub.Verify(header, p.body); err != nil {
				t.Fatal(err)
			}
			h, err := hub.Parse(header, p.body)
			if err != nil {
				t.Fatal(err)
			}
			count[p.event]++
			if h.Event != p.event || h.Forge != "github" || h.Delivery != "72d3162e-cc78-11e3-81ab-4c9367dc0958" || !slices.Equal(h.Payload, p.body) {
				t.Errorf("got event %q of %q, delivery %q", h.Event, h.Forge, h.Delivery)
			}
			compare(t, p, h)
		})
	}
	total := 0
	for _, n := range count {
		total += n
	}
	t.Logf("%d payloads of %d events: %d pushes, %d of pull requests, %d comments, %d releases", total, len(count),
		count["push"], count["pull_request"]+count["pull_request_review"]+count["pull_request_review_comment"], count["issue_comment"], count["release"])
	if total != 726 || count["push"] < 7 || count["pull_request"] < 29 {
		t.Errorf("%d payloads, %d pushes, %d pull requests: the package has others than these tests were written for", total, count["push"], count["pull_request"])
	}
}

// A tree is JSON that no struct of the package has read.
type tree struct{ v any }

func (j tree) at(path string) tree {
	for key := range strings.SplitSeq(path, ".") {
		m, _ := j.v.(map[string]any)
		j = tree{m[key]}
	}
	return j
}

func (j tree) text() string {
	switch v := j.v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func (j tree) yes() bool { b, _ := j.v.(bool); return b }

func (j tree) list() []tree {
	var all []tree
	l, _ := j.v.([]any)
	for _, v := range l {
		all = append(all, tree{v})
	}
	return all
}

func parsed(t *testing.T, body []byte) tree {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return tree{v}
}

func (j tree) repository() trigger.Repository {
	return trigger.Repository{
		Name: j.at("full_name").text(), ID: j.at("id").text(), DefaultBranch: j.at("default_branch").text(),
		Clone: j.at("clone_url").text(), Link: j.at("html_url").text(), Private: j.at("private").yes(),
	}
}

func (j tree) actor() trigger.Actor {
	return trigger.Actor{Login: j.at("login").text(), ID: j.at("id").text()}
}

// compare holds a happening against the payload's JSON.
func compare(t *testing.T, p payload, h trigger.Happening) {
	t.Helper()
	j := parsed(t, p.body)
	want := trigger.Happening{
		Forge: "github", Delivery: h.Delivery, Event: p.event, Payload: h.Payload, At: h.At,
		Repository: j.at("repository").repository(), Actor: j.at("sender").actor(), Action: j.at("action").text(),
	}
	switch p.event {
	case "push":
		wantPush(&want, j)
	case "create", "delete":
		want.Ref = map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[j.at("ref_type").text()] + j.at("ref").text()
		want.Deleted = p.event == "delete"
	case "pull_request", "pull_request_review", "pull_request_review_comment":
		wantPull(&want, j.at("pull_request"))
		for _, words := range []string{"comment", "review"} {
			if c := j.at(words); c.v != nil {
				want.Comment = &trigger.Comment{Body: c.at("body").text(), Author: c.at("user").actor(), Issue: want.Pull.Number, OnPull: true}
				break
			}
		}
	case "issue_comment":
		wantComment(&want, j)
	case "release":
		want.Ref = "refs/tags/" + j.at("release.tag_name").text()
	case "workflow_dispatch":
		want.Ref = j.at("ref").text()
	case "check_run", "check_suite":
		if j.at("action").text() == "rerequested" {
			want.SHA, want.Rerun = j.at(p.event+".head_sha").text(), &trigger.Rerun{Context: j.at("check_run.name").text()}
		}
	case "merge_group":
		want.Ref, want.SHA = j.at("merge_group.head_ref").text(), j.at("merge_group.head_sha").text()
	}
	want.Payload, h.Payload = nil, nil
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	if h.Actor != j.at("sender").actor() {
		t.Errorf("the actor %v is not the sender", h.Actor)
	}
}

func wantPush(want *trigger.Happening, j tree) {
	none := strings.Repeat("0", 40)
	commit := func(key string) string { return strings.Replace(j.at(key).text(), none, "", 1) }
	want.Ref, want.Before, want.SHA, want.Message = j.at("ref").text(), commit("before"), commit("after"), j.at("head_commit.message").text()
	want.Deleted = j.at("deleted").yes()
	if id := j.at("head_commit.id").text(); id != "" && strings.HasPrefix(want.Ref, "refs/tags/") {
		want.SHA = id
	}
	commits := j.at("commits").list()
	if j.at("forced").yes() || j.at("created").yes() || j.at("deleted").yes() || len(commits) == 0 {
		return
	}
	want.Changed = []string{}
	for _, c := range commits {
		for _, how := range []string{"added", "removed", "modified"} {
			for _, path := range c.at(how).list() {
				want.Changed = append(want.Changed, path.text())
			}
		}
	}
	slices.Sort(want.Changed)
	want.Changed = slices.Compact(want.Changed)
}

func wantPull(want *trigger.Happening, j tree) {
	number := 0
	_, _ = fmt.Sscan(j.at("number").text(), &number)
	want.Pull = &trigger.Pull{
		Number: number, Title: j.at("title").text(), Author: j.at("user").actor(),
		Base: j.at("base.ref").text(), BaseSHA: j.at("base.sha").text(), Head: j.at("head.ref").text(), HeadSHA: j.at("head.sha").text(),
		From: j.at("head.repo").repository(), Draft: j.at("draft").yes(), Merged: j.at("merged_at").v != nil, Open: j.at("state").text() == "open",
	}
	for _, l := range j.at("labels").list() {
		want.Pull.Labels = append(want.Pull.Labels, l.at("name").text())
	}
	want.SHA, want.Ref = want.Pull.HeadSHA, fmt.Sprintf("refs/pull/%d/merge", number)
}

func wantComment(want *trigger.Happening, j tree) {
	i := j.at("issue")
	number := 0
	_, _ = fmt.Sscan(i.at("number").text(), &number)
	c := j.at("comment")
	want.Comment = &trigger.Comment{Body: c.at("body").text(), Author: c.at("user").actor(), Issue: number, OnPull: i.at("pull_request").v != nil}
	want.Ref = "refs/heads/" + want.Repository.DefaultBranch
	if !want.Comment.OnPull {
		return
	}
	want.Pull = &trigger.Pull{
		Number: number, Title: i.at("title").text(), Author: i.at("user").actor(), Open: i.at("state").text() == "open",
		Draft: i.at("draft").yes(), Merged: i.at("pull_request.merged_at").v != nil,
	}
	for _, l := range i.at("labels").list() {
		want.Pull.Labels = append(want.Pull.Labels, l.at("name").text())
	}
}
