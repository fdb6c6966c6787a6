package forge

import (
	"context"
	"fmt"
	"net/http"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type giteaCalls struct{ *client }

func (c giteaCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	return c.list(ctx, repository, sha, escape(folder))
}

func (c giteaCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, fmt.Sprintf("api/v1/repos/%s/raw/%s?ref=%s", repository, escape(path), sha), "*/*")
}

type hubFile struct {
	Filename string `json:"filename"`
	Previous string `json:"previous_filename"`
}

func hubPaths(files []hubFile) []string {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Filename)
		if f.Previous != "" {
			paths = append(paths, f.Previous)
		}
	}
	return paths
}

// compare unites the files of the commits that head has and base has not:
// Gitea tells no others. What one commit changed and the next changed back is
// among them; what base has and head has not is not, so that a forced push that
// takes commits away is not told whole.
func (c giteaCalls) compare(ctx context.Context, repository, base, head string) ([]string, bool, error) {
	forth, whole, err := c.between(ctx, repository, base, head)
	if err != nil || !whole {
		return forth, whole, err
	}
	back, whole, err := c.between(ctx, repository, head, base)
	return append(forth, back...), whole, err
}

func (c giteaCalls) between(ctx context.Context, repository, base, head string) (paths []string, whole bool, err error) {
	var found struct {
		Total   int `json:"total_commits"`
		Commits []struct {
			Files []hubFile `json:"files"`
		} `json:"commits"`
	}
	err = c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/compare/%s...%s", repository, base, head), nil, &found)
	whole = err == nil && found.Total == len(found.Commits)
	for _, commit := range found.Commits {
		paths = append(paths, hubPaths(commit.Files)...)
	}
	return paths, whole, err
}

// giteaPage is how many Gitea gives at once, whatever is asked for, unless its
// administrator set MAX_RESPONSE_ITEMS.
const giteaPage = 50

func (c giteaCalls) pullFiles(ctx context.Context, repository string, number int) ([]string, bool, error) {
	var paths []string
	for page := 1; page <= 2*pagesMost; page++ {
		var files []hubFile
		err := c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/pulls/%d/files?limit=%d&page=%d", repository, number, giteaPage, page), nil, &files)
		if err != nil {
			return nil, false, err
		}
		if len(files) == 0 {
			return paths, true, nil
		}
		paths = append(paths, hubPaths(files)...)
	}
	return paths, false, nil
}

func (c giteaCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	var found struct {
		Commit struct {
			ID  string `json:"id"`  // of a branch
			SHA string `json:"sha"` // of a tag
		} `json:"commit"`
	}
	of := map[string]string{headKind: "branches", tagKind: "tags"}[kind]
	err = c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/%s/%s", repository, of, escape(name)), nil, &found)
	return found.Commit.ID + found.Commit.SHA, err
}

func (c giteaCalls) pull(ctx context.Context, repository string, number int) (*trigger.Pull, error) {
	var p hubPull
	if err := c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/pulls/%d", repository, number), nil, &p); err != nil {
		return nil, err
	}
	pull := p.pull()
	pull.Draft = pull.Draft || draftTitle(pull.Title)
	return pull, nil
}

func (c giteaCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	var found struct {
		Permission string `json:"permission"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/collaborators/%s/permission", repository, escape(login)), nil, &found)
	return hubLevels[found.Permission], err
}

func (c giteaCalls) tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	return c.createStatus(ctx, repository, sha, s, 255)
}
