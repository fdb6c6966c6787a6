package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type gitlabCalls struct{ *client }

// project is the path of a project's API.
func project(repository string) string {
	return "api/v4/projects/" + url.PathEscape(repository)
}

func (c gitlabCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	return c.list(ctx, repository, sha, folder) // go-scm escapes it
}

func (c gitlabCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, fmt.Sprintf("%s/repository/files/%s/raw?ref=%s", project(repository), url.PathEscape(path), sha), "*/*")
}

type labDiff struct {
	Old string `json:"old_path"`
	New string `json:"new_path"`
}

// gitlabFiles is how many files GitLab compares at least before it cuts off.
const gitlabFiles = 1000

func labPaths(diffs []labDiff) []string {
	var paths []string
	for _, d := range diffs {
		paths = append(paths, d.New)
		if d.Old != "" {
			paths = append(paths, d.Old)
		}
	}
	return paths
}

func (c gitlabCalls) compare(ctx context.Context, repository, base, head string) ([]string, bool, error) {
	var found struct {
		Diffs   []labDiff `json:"diffs"`
		Timeout bool      `json:"compare_timeout"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("%s/repository/compare?from=%s&to=%s&straight=true", project(repository), base, head), nil, &found)
	return labPaths(found.Diffs), !found.Timeout && len(found.Diffs) < gitlabFiles, err
}

func (c gitlabCalls) pullFiles(ctx context.Context, repository string, number int) ([]string, bool, error) {
	var found struct {
		Changes  []labDiff `json:"changes"`
		Overflow bool      `json:"overflow"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("%s/merge_requests/%d/changes", project(repository), number), nil, &found)
	return labPaths(found.Changes), !found.Overflow && len(found.Changes) < gitlabFiles, err
}

func (c gitlabCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	find := c.api.Git.FindBranch
	if kind == tagKind {
		find = c.api.Git.FindTag
	}
	found, _, err := find(ctx, repository, url.PathEscape(name))
	if err != nil {
		return "", err
	}
	return found.Sha, nil
}

func (c gitlabCalls) pull(ctx context.Context, repository string, number int) (*trigger.Pull, error) {
	var m struct {
		IID      int      `json:"iid"`
		Title    string   `json:"title"`
		State    string   `json:"state"`
		Author   *labUser `json:"author"`
		Source   string   `json:"source_branch"`
		Target   string   `json:"target_branch"`
		SourceID id       `json:"source_project_id"`
		TargetID id       `json:"target_project_id"`
		SHA      string   `json:"sha"`
		Labels   []string `json:"labels"`
		Draft    bool     `json:"draft"`
		WIP      bool     `json:"work_in_progress"`
	}
	if err := c.ask(ctx, http.MethodGet, fmt.Sprintf("%s/merge_requests/%d", project(repository), number), nil, &m); err != nil {
		return nil, err
	}
	p := &trigger.Pull{
		Number: m.IID, Title: m.Title, Author: m.Author.actor(), Base: m.Target, Head: m.Source, HeadSHA: m.SHA,
		From: trigger.Repository{ID: string(m.SourceID)}, Labels: m.Labels, Draft: m.Draft || m.WIP,
		Merged: m.State == "merged", Open: m.State == "opened",
	}
	switch m.SourceID {
	case "": // the fork is gone
	case m.TargetID:
		p.From.Name = repository
	default:
		var fork labProject
		err := c.ask(ctx, http.MethodGet, project(string(m.SourceID)), nil, &fork)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if err == nil {
			p.From = fork.repository()
		}
	}
	return p, nil
}

func (c gitlabCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	var users []struct {
		labUser
		State string `json:"state"`
	}
	if err := c.ask(ctx, http.MethodGet, "api/v4/users?username="+url.QueryEscape(login), nil, &users); err != nil {
		return trigger.None, err
	}
	for _, u := range users {
		if !strings.EqualFold(u.Username, login) || u.State != "active" {
			continue
		}
		var member struct {
			Level int `json:"access_level"`
		}
		err := c.ask(ctx, http.MethodGet, fmt.Sprintf("%s/members/all/%s", project(repository), url.PathEscape(string(u.ID))), nil, &member)
		return labLevel(member.Level), err
	}
	return trigger.None, nil
}

// labLevel: guest and planner, reporter, developer, maintainer and owner.
func labLevel(access int) trigger.Level {
	switch {
	case access >= 40:
		return trigger.Admin
	case access >= 30:
		return trigger.Write
	case access >= 20:
		return trigger.Triage
	case access >= 10:
		return trigger.Read
	}
	return trigger.None
}

// GitLab has no word for what is not the author's fault.
var labStates = map[trigger.State]string{
	trigger.Pending: "pending", trigger.Succeeded: "success", trigger.Failed: "failed",
	trigger.Errored: "canceled", trigger.Cancelled: "canceled",
}

// tell does without go-scm, which drops the description. GitLab refuses to set
// a status to what it is.
func (c gitlabCalls) tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	state := labStates[s.State]
	err := c.ask(ctx, http.MethodPost, fmt.Sprintf("%s/statuses/%s", project(repository), sha), struct {
		State       string `json:"state"`
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
		TargetURL   string `json:"target_url,omitempty"`
	}{state, cut(s.Context, 255), cut(described(s), 255), s.Link}, nil)
	var said *answer
	if !errors.As(err, &said) || said.status != http.StatusBadRequest || !strings.Contains(said.text, "Cannot transition") {
		return err
	}
	var known []struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	}
	path := fmt.Sprintf("%s/repository/commits/%s/statuses?name=%s", project(repository), sha, url.QueryEscape(cut(s.Context, 255)))
	if asked := c.ask(ctx, http.MethodGet, path, nil, &known); asked != nil {
		return errors.Join(err, asked)
	}
	for _, k := range known {
		if k.Name == cut(s.Context, 255) && k.Status == state {
			return nil
		}
	}
	return err
}
