package forge

import (
	"context"
	"fmt"
	"net/http"

	"github.com/drone/go-scm/scm"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type githubCalls struct{ *client }

func (c githubCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	return c.list(ctx, repository, sha, escape(folder))
}

// file does without go-scm, to which a file of more than 1 MB is empty.
func (c githubCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, fmt.Sprintf("repos/%s/contents/%s?ref=%s", repository, escape(path), sha), "application/vnd.github.raw+json")
}

// What GitHub tells of at most: files of a comparison and of a pull request.
const (
	githubCompared = 300
	githubPulled   = 3000
)

// compare tells what head has and base has not, and, where a forced push took
// commits away, the converse: Actions compares the two ends.
func (c githubCalls) compare(ctx context.Context, repository, base, head string) ([]string, bool, error) {
	var found struct {
		Behind int       `json:"behind_by"`
		Files  []hubFile `json:"files"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("repos/%s/compare/%s...%s", repository, base, head), nil, &found)
	if err != nil {
		return nil, false, err
	}
	paths, whole := hubPaths(found.Files), len(found.Files) < githubCompared
	if found.Behind == 0 || !whole {
		return paths, whole, nil
	}
	found.Files = nil
	err = c.ask(ctx, http.MethodGet, fmt.Sprintf("repos/%s/compare/%s...%s", repository, head, base), nil, &found)
	return append(paths, hubPaths(found.Files)...), len(found.Files) < githubCompared, err
}

func (c githubCalls) pullFiles(ctx context.Context, repository string, number int) ([]string, bool, error) {
	return changes(githubPulled, func(opts scm.ListOptions) ([]*scm.Change, *scm.Response, error) {
		return c.api.PullRequests.ListChanges(ctx, repository, number, opts)
	})
}

// head asks for the commit: a ref's object may be an annotated tag.
func (c githubCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	of := map[string]string{headKind: "heads/", tagKind: "tags/"}[kind]
	commit, _, err := c.api.Git.FindCommit(ctx, repository, of+escape(name))
	if err != nil {
		return "", err
	}
	return commit.Sha, nil
}

func (c githubCalls) pull(ctx context.Context, repository string, number int) (*trigger.Pull, error) {
	var p hubPull
	if err := c.ask(ctx, http.MethodGet, fmt.Sprintf("repos/%s/pulls/%d", repository, number), nil, &p); err != nil {
		return nil, err
	}
	return p.pull(), nil
}

func (c githubCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	var found struct {
		Permission string `json:"permission"`
		Role       string `json:"role_name"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("repos/%s/collaborators/%s/permission", repository, escape(login)), nil, &found)
	level := hubLevels[found.Permission]
	if level == trigger.Read && found.Role == "triage" {
		level = trigger.Triage // its permission is read, for those who know no roles
	}
	return level, err
}

// hubLevels are the permissions of GitHub, Gitea and Bitbucket Cloud.
var hubLevels = map[string]trigger.Level{
	"read": trigger.Read, "write": trigger.Write, "admin": trigger.Admin, "owner": trigger.Admin,
}

func (c githubCalls) tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	if c.app != nil {
		return c.check(ctx, repository, sha, s)
	}
	return c.createStatus(ctx, repository, sha, s, 140)
}

// createStatus has go-scm set a status. GitHub and Gitea have no word for a
// cancelled one: it is an error, and the description says which.
func (c *client) createStatus(ctx context.Context, repository, sha string, s trigger.Status, most int) error {
	state := map[trigger.State]scm.State{
		trigger.Pending: scm.StatePending, trigger.Succeeded: scm.StateSuccess, trigger.Failed: scm.StateFailure,
	}[s.State]
	if state == scm.StateUnknown {
		state = scm.StateError
	}
	_, _, err := c.api.Repositories.CreateStatus(ctx, repository, sha, &scm.StatusInput{
		State: state, Label: s.Context, Desc: cut(described(s), most), Target: s.Link,
	})
	return err
}

// described is a status' description; a cancelled one says so.
func described(s trigger.Status) string {
	if s.State == trigger.Cancelled && s.Description == "" {
		return "cancelled"
	}
	return s.Description
}

// cut shortens a text to a number of characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
