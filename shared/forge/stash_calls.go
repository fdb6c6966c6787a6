package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// stashCalls asks Bitbucket Data Center with go-scm's Do alone: its lists below
// a folder are deep, its branches come by a filter that may match too many, and
// it drops the old path of what was moved.
type stashCalls struct{ *client }

func stashPath(repository, rest string) string {
	owner, slug, _ := strings.Cut(repository, "/")
	return fmt.Sprintf("rest/api/1.0/projects/%s/repos/%s/%s", owner, slug, rest)
}

type stashPage[T any] struct {
	Values []T  `json:"values"`
	Last   bool `json:"isLastPage"`
	Next   int  `json:"nextPageStart"`
}

// stashAll collects the values of all pages; not whole where they are too many.
func stashAll[T any](path string, ask func(string) (stashPage[T], error)) (all []T, whole bool, err error) {
	start := 0
	for range pagesMost {
		page, err := ask(fmt.Sprintf("%slimit=%d&start=%d", path, pageSize, start))
		if err != nil {
			return nil, false, err
		}
		all = append(all, page.Values...)
		if page.Last || page.Next <= start {
			return all, true, nil
		}
		start = page.Next
	}
	return all, false, nil
}

// values asks for a page that is the whole answer.
func values[T any](ctx context.Context, c *client) func(string) (stashPage[T], error) {
	return func(path string) (page stashPage[T], err error) {
		err = c.ask(ctx, http.MethodGet, path, nil, &page)
		return page, err
	}
}

type stashName struct {
	Text string `json:"toString"`
}

func (c stashCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	type child struct {
		Path stashName `json:"path"`
		Type string    `json:"type"`
	}
	children, whole, err := stashAll(stashPath(repository, "browse/"+escape(folder)+"?at="+sha+"&"), func(path string) (stashPage[child], error) {
		var found struct {
			Children stashPage[child] `json:"children"` // none where it is a file
		}
		err := c.ask(ctx, http.MethodGet, path, nil, &found)
		return found.Children, err
	})
	if err == nil && !whole {
		err = fmt.Errorf("the folder has more than %d files", pagesMost*pageSize)
	}
	var paths []string
	for _, child := range children {
		if child.Type == "FILE" {
			paths = append(paths, path.Join(folder, child.Path.Text))
		}
	}
	return paths, err
}

func (c stashCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, stashPath(repository, "raw/"+escape(path)+"?at="+sha), "*/*")
}

type stashChange struct {
	Path    stashName  `json:"path"`
	SrcPath *stashName `json:"srcPath"`
}

func (c stashCalls) changed(ctx context.Context, path string) (paths []string, whole bool, err error) {
	found, whole, err := stashAll(path, values[stashChange](ctx, c.client))
	for _, change := range found {
		paths = append(paths, change.Path.Text)
		if change.SrcPath != nil {
			paths = append(paths, change.SrcPath.Text)
		}
	}
	return paths, whole, err
}

// compare asks in both directions: the API tells what `from` has and `to` has
// not, and a forced push may take commits away.
func (c stashCalls) compare(ctx context.Context, repository, base, head string) ([]string, bool, error) {
	between := func(from, to string) ([]string, bool, error) {
		return c.changed(ctx, stashPath(repository, fmt.Sprintf("compare/changes?from=%s&to=%s&", from, to)))
	}
	forth, whole, err := between(head, base)
	if err != nil || !whole {
		return forth, false, err
	}
	back, whole, err := between(base, head)
	return append(forth, back...), whole, err
}

func (c stashCalls) pullFiles(ctx context.Context, repository string, number int) ([]string, bool, error) {
	return c.changed(ctx, stashPath(repository, fmt.Sprintf("pull-requests/%d/changes?", number)))
}

// head asks for the newest commit of a ref, which is that of an annotated tag too.
func (c stashCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	var found stashPage[struct {
		ID string `json:"id"`
	}]
	err = c.ask(ctx, http.MethodGet, stashPath(repository, "commits?limit=1&until="+url.QueryEscape(kind+name)), nil, &found)
	if err == nil && len(found.Values) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return found.Values[0].ID, nil
}

func (c stashCalls) pull(ctx context.Context, repository string, number int) (*trigger.Pull, error) {
	var p stashPull
	if err := c.ask(ctx, http.MethodGet, stashPath(repository, fmt.Sprintf("pull-requests/%d", number)), nil, &p); err != nil {
		return nil, err
	}
	return p.pull(), nil
}

// level asks who has a right, of the account's own, a group's or the project's,
// beginning with the highest.
func (c stashCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	owner, slug, _ := strings.Cut(repository, "/")
	for _, right := range []struct {
		name  string
		level trigger.Level
	}{{"REPO_ADMIN", trigger.Admin}, {"REPO_WRITE", trigger.Write}, {"REPO_READ", trigger.Read}} {
		query := url.Values{
			"filter": {login}, "permission.1": {right.name},
			"permission.1.projectKey": {owner}, "permission.1.repositorySlug": {slug},
		}
		users, _, err := stashAll("rest/api/1.0/users?"+query.Encode()+"&", values[stashUser](ctx, c.client))
		if err != nil {
			return trigger.None, err
		}
		for _, u := range users {
			if strings.EqualFold(u.Name, login) {
				return right.level, nil
			}
		}
	}
	return trigger.None, nil
}

var stashStates = map[trigger.State]string{
	trigger.Pending: "INPROGRESS", trigger.Succeeded: "SUCCESSFUL", trigger.Failed: "FAILED",
	trigger.Errored: "UNKNOWN", trigger.Cancelled: "CANCELLED",
}

// tell sets a build of the repository; go-scm's older call knows no cancelled
// one, and none that is nobody's failure.
func (c stashCalls) tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	link := s.Link
	if link == "" {
		owner, slug, _ := strings.Cut(repository, "/")
		link = c.base.JoinPath("projects", owner, "repos", slug, "commits", sha).String()
	}
	return c.ask(ctx, http.MethodPost, stashPath(repository, "commits/"+sha+"/builds"), build{
		Key: key(s.Context, 255), State: stashStates[s.State], Name: cut(s.Context, 255), URL: link, Description: cut(described(s), 255),
	}, nil)
}
