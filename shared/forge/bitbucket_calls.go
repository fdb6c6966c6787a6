package forge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/drone/go-scm/scm"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type bitbucketCalls struct{ *client }

func (c bitbucketCalls) files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	return c.list(ctx, repository, sha, escape(folder))
}

// file does without go-scm, which asks twice.
func (c bitbucketCalls) file(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return c.raw(ctx, fmt.Sprintf("2.0/repositories/%s/src/%s/%s", repository, sha, escape(path)), "*/*")
}

func (c bitbucketCalls) compare(ctx context.Context, repository, base, head string) ([]string, bool, error) {
	return changes(math.MaxInt, func(opts scm.ListOptions) ([]*scm.Change, *scm.Response, error) {
		return c.api.Git.CompareChanges(ctx, repository, base, head, opts)
	})
}

func (c bitbucketCalls) pullFiles(ctx context.Context, repository string, number int) ([]string, bool, error) {
	return changes(math.MaxInt, func(opts scm.ListOptions) ([]*scm.Change, *scm.Response, error) {
		return c.api.PullRequests.ListChanges(ctx, repository, number, opts)
	})
}

func (c bitbucketCalls) head(ctx context.Context, repository, ref string) (string, error) {
	kind, name, err := branchOrTag(ref)
	if err != nil {
		return "", err
	}
	find := c.api.Git.FindBranch
	if kind == tagKind {
		find = c.api.Git.FindTag
	}
	found, _, err := find(ctx, repository, escape(name))
	if err != nil {
		return "", err
	}
	return found.Sha, nil
}

// pull asks for the whole names of the commits too.
func (c bitbucketCalls) pull(ctx context.Context, repository string, number int) (*trigger.Pull, error) {
	var found bucketPull
	if err := c.ask(ctx, http.MethodGet, fmt.Sprintf("2.0/repositories/%s/pullrequests/%d", repository, number), nil, &found); err != nil {
		return nil, err
	}
	p := found.pull()
	for _, end := range []struct {
		in  string
		sha *string
	}{{p.From.Name, &p.HeadSHA}, {repository, &p.BaseSHA}} {
		if repositoryName(end.in) != nil || commitName(*end.sha, false) != nil {
			continue
		}
		commit, _, err := c.api.Git.FindCommit(ctx, end.in, *end.sha)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(commit.Sha, *end.sha) {
			*end.sha = commit.Sha
		}
	}
	return p, nil
}

var uuid = regexp.MustCompile(`^\{[0-9a-fA-F-]{36}\}$`)

// level asks for the highest right, of the account's own or a group's.
func (c bitbucketCalls) level(ctx context.Context, repository, login string) (trigger.Level, error) {
	if !uuid.MatchString(login) {
		return trigger.None, nil // a nickname is anybody's
	}
	workspace, slug, _ := strings.Cut(repository, "/")
	var found struct {
		Values []struct {
			Permission string     `json:"permission"`
			User       bucketUser `json:"user"`
		} `json:"values"`
	}
	path := fmt.Sprintf("2.0/workspaces/%s/permissions/repositories/%s?q=%s", workspace, slug, url.QueryEscape(fmt.Sprintf("user.uuid=%q", login)))
	err := c.ask(ctx, http.MethodGet, path, nil, &found)
	for _, v := range found.Values {
		if v.User.UUID == login {
			return hubLevels[v.Permission], err
		}
	}
	return trigger.None, err
}

// Bitbucket Cloud's STOPPED is for what is nobody's failure.
var bucketStates = map[trigger.State]string{
	trigger.Pending: "INPROGRESS", trigger.Succeeded: "SUCCESSFUL", trigger.Failed: "FAILED",
	trigger.Errored: "STOPPED", trigger.Cancelled: "STOPPED",
}

// A build is a status as both Bitbuckets take it. Both demand an address.
type build struct {
	Key         string `json:"key"`
	State       string `json:"state"`
	Name        string `json:"name"`
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// tell does without go-scm, to which all but success is a failure.
func (c bitbucketCalls) tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	link := s.Link
	if link == "" {
		link = fmt.Sprintf("https://%s/%s/commits/%s", c.host, repository, sha)
	}
	return c.ask(ctx, http.MethodPost, fmt.Sprintf("2.0/repositories/%s/commit/%s/statuses/build", repository, sha), build{
		Key: key(s.Context, 40), State: bucketStates[s.State], Name: cut(s.Context, 255), URL: link, Description: cut(described(s), 255),
	}, nil)
}

// key is a context's name in at most as many bytes; a longer one ends in a digest.
func key(context string, most int) string {
	if len(context) <= most {
		return context
	}
	sum := sha256.Sum256([]byte(context))
	return strings.ToValidUTF8(context[:most-13], "") + "-" + hex.EncodeToString(sum[:6])
}
