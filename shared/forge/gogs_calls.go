package forge

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// gogsCalls is the little that Gogs' API has: no statuses, no pull requests, no
// comparison.
type gogsCalls struct{ *client }

func (c gogsCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	var found []struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/contents/%s?ref=%s", repository, escape(folder), sha), nil, &found)
	switch {
	case isFile(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var paths []string
	for _, f := range found {
		if f.Type == "file" || f.Type == "symlink" {
			paths = append(paths, f.Path)
		}
	}
	return paths, nil
}

func (c gogsCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, fmt.Sprintf("api/v1/repos/%s/raw/%s/%s", repository, sha, escape(path)), "*/*")
}

func (c gogsCalls) compare(context.Context, string, string, string) ([]string, bool, error) {
	return nil, false, nil
}

func (c gogsCalls) pullFiles(context.Context, string, int) ([]string, bool, error) {
	return nil, false, nil
}

func (c gogsCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	sha, err := c.raw(ctx, fmt.Sprintf("api/v1/repos/%s/commits/%s", repository, kind+escape(name)), "*/*")
	return strings.TrimSpace(string(sha)), err
}

func (c gogsCalls) pull(context.Context, string, int) (*trigger.Pull, error) {
	return nil, ErrUnsupported
}

// level knows the owner, and collaborators: those of an organization's teams
// Gogs does not tell.
func (c gogsCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	if owner, _, _ := strings.Cut(repository, "/"); strings.EqualFold(owner, login) {
		return trigger.Admin, nil
	}
	var found []struct {
		hubUser
		Permissions struct {
			Admin bool `json:"admin"`
			Push  bool `json:"push"`
			Pull  bool `json:"pull"`
		} `json:"permissions"`
	}
	err := c.ask(ctx, http.MethodGet, fmt.Sprintf("api/v1/repos/%s/collaborators", repository), nil, &found)
	if err != nil {
		return trigger.None, err
	}
	for _, u := range found {
		if !strings.EqualFold(u.actor().Login, login) {
			continue
		}
		switch {
		case u.Permissions.Admin:
			return trigger.Admin, nil
		case u.Permissions.Push:
			return trigger.Write, nil
		case u.Permissions.Pull:
			return trigger.Read, nil
		}
	}
	return trigger.None, nil
}

func (c gogsCalls) tell(context.Context, string, string, trigger.Status) error {
	return ErrUnsupported
}
