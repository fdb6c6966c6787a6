package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

const (
	shaA = "1111111111111111111111111111111111111111"
	shaB = "2222222222222222222222222222222222222222"
	tagC = "3333333333333333333333333333333333333333"
	gone = "0000000000000000000000000000000000000000"
)

func read(t *testing.T, kind, event, body string) (trigger.Happening, error) {
	t.Helper()
	return opened(t, kind, secret).Parse(signed(kind, event, []byte(body)), []byte(body))
}

const (
	hubRepo    = `"repository":{"id":7,"full_name":"o/r","default_branch":"main"},"sender":{"id":9,"login":"someone"}`
	labProject = `"project":{"id":7,"path_with_namespace":"g/s/r","default_branch":"main","visibility_level":0},"user":{"id":9,"username":"someone"}`
)

func hubPull(action, title, changes string) string {
	return fmt.Sprintf(`{"action":%q,"number":3,"pull_request":{"number":3,"state":"open","title":%q,"user":{"id":9,"login":"someone"},
		"head":{"ref":"f","sha":%q,"repo":{"id":8,"full_name":"x/r"}},"base":{"ref":"main","sha":%q}},"changes":{%s},%s}`, action, title, shaA, shaB, changes, hubRepo)
}

func labMerge(action, oldrev, changes string) string {
	return fmt.Sprintf(`{"object_kind":"merge_request",%s,"object_attributes":{"iid":3,"title":"t","state":"opened","author_id":9,"source_branch":"f","target_branch":"main",
		"source_project_id":8,"source":{"id":8,"path_with_namespace":"x/r"},"last_commit":{"id":%q,"author":{"name":"admin","email":"admin@example.com"}},
		"action":%q,"oldrev":%q},"labels":[{"title":"a"},{"title":"b"}],"changes":{%s}}`, labProject, shaA, action, oldrev, changes)
}

// TestActions holds the words of Actions that each forge's own become.
func TestActions(t *testing.T) {
	for _, c := range []struct{ kind, event, body, action string }{
		{forge.GitHub, "pull_request", hubPull("ready_for_review", "t", ""), "ready_for_review"},
		{forge.GitHub, "pull_request", hubPull("edited", "t", `"title":{"from":"WIP: t"}`), "edited"},
		{forge.Gitea, "pull_request", hubPull("synchronized", "t", ""), "synchronize"},
		{forge.Gitea, "pull_request", hubPull("label_updated", "t", ""), "labeled"},
		{forge.Gitea, "pull_request", hubPull("label_cleared", "t", ""), "unlabeled"},
		{forge.Gitea, "pull_request", hubPull("edited", "t", `"title":{"from":"WIP: t"}`), "ready_for_review"},
		{forge.Gitea, "pull_request", hubPull("edited", "[wip] t", `"title":{"from":"t"}`), "converted_to_draft"},
		{forge.Gitea, "pull_request", hubPull("edited", "t", `"title":{"from":"u"}`), "edited"},
		{forge.GitLab, "Merge Request Hook", labMerge("open", "", ""), "opened"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", shaB, `"labels":{"previous":[],"current":[{"title":"a"}]}`), "synchronize"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"draft":{"previous":true,"current":false}`), "ready_for_review"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"title":{"previous":"Draft: t","current":"t"}`), "ready_for_review"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"title":{"previous":"t","current":"WIP: t"}`), "converted_to_draft"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"labels":{"previous":[],"current":[{"title":"a"}]}`), "labeled"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"labels":{"previous":[{"title":"a"}],"current":[]}`), "unlabeled"},
		{forge.GitLab, "Merge Request Hook", labMerge("update", "", `"description":{"previous":"","current":"x"}`), "edited"},
		{forge.GitLab, "Merge Request Hook", labMerge("close", "", ""), "closed"},
		{forge.GitLab, "Merge Request Hook", labMerge("reopen", "", ""), "reopened"},
		{forge.GitLab, "Merge Request Hook", labMerge("approved", "", ""), "approved"},
	} {
		h, err := read(t, c.kind, c.event, c.body)
		if err != nil || h.Event != "pull_request" || h.Action != c.action {
			t.Errorf("%s: %s: got %s %s, %v, want %s", c.kind, c.body, h.Event, h.Action, err, c.action)
			continue
		}
		p := h.Pull
		if !h.Fork() || p.Number != 3 || p.HeadSHA != shaA || h.SHA != shaA || p.From.Name != "x/r" || p.From.ID != "8" || h.Actor.ID != "9" || p.Author.Login != "someone" {
			t.Errorf("%s: %+v of %+v", c.kind, p, h)
		}
		if c.kind == forge.GitLab && !slices.Equal(p.Labels, []string{"a", "b"}) {
			t.Errorf("labels %q", p.Labels)
		}
	}
}

// TestActorIsAuthenticated: whoever pushes commits of somebody else's name is
// the actor, and the commits' authors are nobody.
func TestActorIsAuthenticated(t *testing.T) {
	commits := fmt.Sprintf(`"head_commit":{"id":%q,"author":{"username":"admin","id":1}},"commits":[{"id":%q,"author":{"username":"admin"},"committer":{"username":"admin"}}],"pusher":{"name":"admin","username":"admin"}`, shaB, shaB)
	hub := fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,%s,%s}`, shaA, shaB, commits, hubRepo)
	for kind, body := range map[string]string{
		forge.GitHub: hub, forge.Gitea: hub, forge.Gogs: hub,
		forge.GitLab: fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%q,"after":%q,"user_id":9,"user_name":"admin","user_username":"someone","user_email":"admin@example.com",%s,%s}`,
			shaA, shaB, commits, strings.Split(labProject, `,"user"`)[0]),
		forge.Bitbucket: fmt.Sprintf(`{"actor":{"uuid":"9","nickname":"someone"},"repository":{"full_name":"o/r","uuid":"{7}"},"push":{"changes":[{"old":{"type":"branch","name":"main","target":{"hash":%q}},
			"new":{"type":"branch","name":"main","target":{"hash":%q,"author":{"raw":"admin","user":{"uuid":"1"}}}}}]}}`, shaA, shaB),
		forge.Stash: fmt.Sprintf(`{"actor":{"id":9,"name":"someone"},"repository":{"id":7,"slug":"r","project":{"key":"O"}},"changes":[{"ref":{"id":"refs/heads/main"},"fromHash":%q,"toHash":%q}],
			"toCommit":{"id":%q,"message":"m","author":{"name":"admin","id":1}}}`, shaA, shaB, shaB),
	} {
		event := map[string]string{forge.GitLab: "Push Hook", forge.Bitbucket: "repo:push", forge.Stash: "repo:refs_changed"}[kind]
		if event == "" {
			event = "push"
		}
		h, err := read(t, kind, event, body)
		if err != nil || h.Actor.ID != "9" || h.Event != "push" || h.SHA != shaB || h.Before != shaA || h.Ref != "refs/heads/main" {
			t.Errorf("%s: %+v, %v", kind, h, err)
		}
		if h.Actor.Login == "admin" {
			t.Errorf("%s: the actor is whom the commit names", kind)
		}
	}
}

// TestAnnotatedTags: the commit is built, not the tag's object.
func TestAnnotatedTags(t *testing.T) {
	hub, err := read(t, forge.GitHub, "push", fmt.Sprintf(`{"ref":"refs/tags/v1","before":%q,"after":%q,"head_commit":{"id":%q},%s}`, gone, tagC, shaA, hubRepo))
	if err != nil || hub.SHA != shaA || hub.Before != "" {
		t.Errorf("%+v %v", hub, err)
	}
	lab, err := read(t, forge.GitLab, "Tag Push Hook", fmt.Sprintf(`{"object_kind":"tag_push","ref":"refs/tags/v1","before":%q,"after":%q,"checkout_sha":%q,%s}`, gone, tagC, shaA, labProject))
	if err != nil || lab.SHA != shaA {
		t.Errorf("%+v %v", lab, err)
	}
}

// TestChangedPaths are told where the commits are all that lies between: not of
// a forced push, a new branch, or a list that is cut off.
func TestChangedPaths(t *testing.T) {
	commit := fmt.Sprintf(`{"id":%q,"added":["b"],"modified":["a","b"],"removed":["c"]}`, shaB)
	for _, c := range []struct {
		forced, before string
		commits        int
		want           []string
	}{
		{"false", shaA, 1, []string{"a", "b", "c"}},
		{"true", shaA, 1, nil},
		{"null", shaA, 1, nil},
		{"false", gone, 1, nil},
		{"false", shaA, 0, nil},
		{"false", shaA, 2047, []string{"a", "b", "c"}},
		{"false", shaA, 2048, nil},
	} {
		commits := strings.TrimPrefix(strings.Repeat(","+commit, c.commits), ",")
		h, err := read(t, forge.GitHub, "push", fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,"forced":%s,"commits":[%s],%s}`, c.before, shaB, c.forced, commits, hubRepo))
		if err != nil || !slices.Equal(h.Changed, c.want) || (h.Changed == nil) != (c.want == nil) {
			t.Errorf("%+v: %q, %v", c, h.Changed, err)
		}
	}
}

// TestManyRefs: Bitbucket tells of a whole push at once, and none is lost.
func TestManyRefs(t *testing.T) {
	body := fmt.Sprintf(`{"actor":{"uuid":"{9}"},"repository":{"full_name":"o/r","uuid":"{7}"},"push":{"changes":[
		{"old":null,"new":{"type":"branch","name":"a","target":{"hash":%[1]q}}},
		{"old":null,"new":{"type":"tag","name":"v1","target":{"hash":%[1]q}}},
		{"old":{"type":"branch","name":"b","target":{"hash":%[2]q}},"new":null}]}}`, shaA, shaB)
	h, err := read(t, forge.Bitbucket, "repo:push", body)
	if err != nil || len(h.Also) != 2 {
		t.Fatalf("%+v %v", h, err)
	}
	tag, deleted := h.Also[0], h.Also[1]
	if h.Ref != "refs/heads/a" || tag.Ref != "refs/tags/v1" || tag.SHA != shaA || deleted.Ref != "refs/heads/b" || !deleted.Deleted || deleted.Before != shaB {
		t.Errorf("%+v", h)
	}
	for _, one := range h.Also {
		if one.Forge != h.Forge || one.Delivery != h.Delivery || one.Actor != h.Actor || one.Repository != h.Repository || len(one.Payload) == 0 || one.Also != nil {
			t.Errorf("%+v", one)
		}
	}
}

// TestForkThatIsGone: a head whose repository was deleted is a stranger's.
func TestForkThatIsGone(t *testing.T) {
	h, err := read(t, forge.GitHub, "pull_request", strings.Replace(hubPull("opened", "t", ""), `{"id":8,"full_name":"x/r"}`, "null", 1))
	if err != nil || !h.Fork() {
		t.Errorf("%+v %v", h, err)
	}
	h, err = read(t, forge.GitLab, "Merge Request Hook", strings.NewReplacer(`"source_project_id":8`, `"source_project_id":null`, `{"id":8,"path_with_namespace":"x/r"}`, "null").Replace(labMerge("open", "", "")))
	if err != nil || !h.Fork() {
		t.Errorf("%+v %v", h, err)
	}
	h, err = read(t, forge.GitLab, "Merge Request Hook", strings.NewReplacer(`"source_project_id":8`, `"source_project_id":7`, `{"id":8,"path_with_namespace":"x/r"}`, "null").Replace(labMerge("open", "", "")))
	if err != nil || h.Fork() {
		t.Errorf("the project's own, by its number: %+v %v", h, err)
	}
}

// TestDeliveryID: the forge's, else the body's.
func TestDeliveryID(t *testing.T) {
	body := []byte(`{"object_kind":"pipeline"}`)
	for kind, name := range map[string]string{
		forge.GitHub: "X-GitHub-Delivery", forge.GitLab: "Idempotency-Key", forge.Gitea: "X-Forgejo-Delivery",
		forge.Bitbucket: "X-Request-UUID", forge.Stash: "X-Request-Id", forge.Gogs: "X-Gogs-Delivery",
	} {
		f := opened(t, kind, secret)
		for given, want := range map[string]string{"f2467dea-70d6": "f2467dea-70d6", "": "sha256:acb5d5e6", "a b": "sha256:acb5d5e6", strings.Repeat("a", 200): "sha256:acb5d5e6"} {
			header := signed(kind, ping[kind], body)
			header.Set(name, given)
			if h, err := f.Parse(header, body); err != nil || !strings.HasPrefix(h.Delivery, want) {
				t.Errorf("%s: %q: %q, %v", kind, given, h.Delivery, err)
			}
		}
	}
}

// TestBodiesRefused are no forge's, or could do harm further on.
func TestBodiesRefused(t *testing.T) {
	push := func(ref, before, after, repo string) string {
		return fmt.Sprintf(`{"ref":%q,"before":%q,"after":%q,"repository":{"full_name":%q},"sender":{}}`, ref, before, after, repo)
	}
	for _, body := range []string{
		"", "null", "[]", "3", "{", `"x"`, "payload=%7B%7D", "\x00", "{}", `{"ref":3}`,
		push("main", shaA, shaB, "o/r"), push("refs/heads/", shaA, shaB, "o/r"), push("refs/heads/a b", shaA, shaB, "o/r"),
		push("refs/heads/../x", shaA, shaB, "o/r"), push("refs/heads/a\nb", shaA, shaB, "o/r"), push("refs/heads/a", "x", shaB, "o/r"),
		push("refs/heads/a", shaA, shaB[:39], "o/r"), push("refs/heads/a", gone, gone, "o/r"), push("refs/heads/a", shaA, "--upload-pack=x", "o/r"),
		push("refs/heads/a", shaA, shaB, ""), push("refs/heads/a", shaA, shaB, "o"), push("refs/heads/a", shaA, shaB, "o/.."),
		push("refs/heads/a", shaA, shaB, "o/r?x=y"), push("refs/heads/a", shaA, shaB, "o/r#"), push("refs/heads/a", shaA, shaB, "//"),
	} {
		for _, kind := range []string{forge.GitHub, forge.Gitea, forge.Gogs} {
			if h, err := read(t, kind, "push", body); !errors.Is(err, forge.ErrBody) {
				t.Errorf("%s: %q: %+v, %v", kind, body, h, err)
			}
		}
	}
	for kind, event := range map[string]string{forge.GitLab: "Push Hook", forge.Bitbucket: "repo:push", forge.Stash: "repo:refs_changed"} {
		for _, body := range []string{"", "null", "[]", `{"object_kind":"push"}`, `{"push":{"changes":[]}}`, `{"push":{"changes":[null]},"changes":[null],"object_kind":"push"}`} {
			if h, err := read(t, kind, event, body); !errors.Is(err, forge.ErrBody) {
				t.Errorf("%s: %q: %+v, %v", kind, body, h, err)
			}
		}
	}
	for _, header := range []http.Header{{}, {"X-Github-Event": {"push", "ping"}}, {"X-Github-Event": {"a\nb"}}, {"X-Github-Event": {strings.Repeat("a", 99)}}} {
		if _, err := opened(t, forge.GitHub).Parse(header, []byte("{}")); !errors.Is(err, forge.ErrBody) {
			t.Errorf("%v: %v", header, err)
		}
	}
}
