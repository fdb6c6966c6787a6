package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/drone/go-scm/scm"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge/githubapp"
)

// A client is what the forges' calls share. go-scm is asked where its call does
// all that is wanted; where it drops a field, escapes too little or has no call,
// the API is asked with its Do.
type client struct {
	kind           string
	api            *scm.Client
	base           *url.URL
	host           string // that serves git
	user, password string // for it
	app            *app   // nil: there is none
}

// calls are the asking half of a forge. What they are given is valid, and names
// of the repository, the commit and branches need no escaping in a path but for
// what escape does.
type calls interface {
	files(ctx context.Context, repository, sha, folder string) ([]string, error)
	file(ctx context.Context, repository, sha, path string) ([]byte, error)
	compare(ctx context.Context, repository, base, head string) (paths []string, whole bool, err error)
	pullFiles(ctx context.Context, repository string, number int) (paths []string, whole bool, err error)
	head(ctx context.Context, repository, ref string) (string, error)
	pull(ctx context.Context, repository string, number int) (*trigger.Pull, error)
	level(ctx context.Context, repository, login string) (trigger.Level, error)
	tell(ctx context.Context, repository, sha string, s trigger.Status) error
}

const (
	// fileMost is how long a file may be, in bytes.
	fileMost = 1 << 20
	// pageSize is how many things are asked for at once, pagesMost how often.
	pageSize  = 100
	pagesMost = 30
	// headKind begins the full name of a branch, tagKind that of a tag.
	headKind, tagKind = "refs/heads/", "refs/tags/"
)

// ask sends a request and decodes a JSON answer into out, which may be nil.
func (c *client) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := c.send(ctx, method, path, "application/json", in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer is not what the forge documents: %w", err)
	}
	return nil
}

func (c *client) send(ctx context.Context, method, path, accept string, in any) ([]byte, error) {
	r := &scm.Request{Method: method, Path: path, Header: http.Header{"Accept": {accept}}}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		r.Body = strings.NewReader(string(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Atlassian-Token", "no-check") // Bitbucket Data Center takes no other
	}
	res, err := c.api.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.Status >= 300 {
		return nil, &answer{status: res.Status}
	}
	return io.ReadAll(res.Body)
}

// raw reads a file of the repository as it is.
func (c *client) raw(ctx context.Context, path, accept string) ([]byte, error) {
	return c.send(ctx, http.MethodGet, path, accept, nil)
}

// list asks go-scm for the files below a folder, page by page.
func (c *client) list(ctx context.Context, repository, sha, folder string) ([]string, error) {
	var paths []string
	opts := scm.ListOptions{Size: pageSize}
	for range pagesMost {
		found, res, err := c.api.Contents.List(ctx, repository, folder, sha, opts)
		switch {
		case isFile(err):
			return nil, nil
		case err != nil:
			return nil, err
		}
		for _, f := range found {
			if f.Kind == scm.ContentKindFile || f.Kind == scm.ContentKindSymlink {
				paths = append(paths, f.Path)
			}
		}
		if res.Page.NextURL == "" && res.Page.Next <= opts.Page {
			return paths, nil
		}
		opts.Page, opts.URL = res.Page.Next, res.Page.NextURL
	}
	return nil, fmt.Errorf("the folder has more than %d files", pagesMost*pageSize)
}

// isFile tells by what could not be decoded that there is a file where a folder
// was asked for: an object instead of a list.
func isFile(err error) bool {
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &mismatch) && mismatch.Value == "object"
}

// changes collects the paths of a list of changes, page by page. Most is how
// many the forge tells of at most.
func changes(most int, page func(scm.ListOptions) ([]*scm.Change, *scm.Response, error)) ([]string, bool, error) {
	var paths []string
	n := 0
	opts := scm.ListOptions{Size: pageSize, Page: 1}
	for range pagesMost {
		found, res, err := page(opts)
		if err != nil {
			return nil, false, err
		}
		n += len(found)
		for _, change := range found {
			paths = append(paths, change.Path)
			if change.PrevFilePath != "" {
				paths = append(paths, change.PrevFilePath)
			}
		}
		if res.Page.Next <= opts.Page {
			return paths, n < most && res.Page.NextURL == "", nil
		}
		opts.Page = res.Page.Next
	}
	return paths, false, nil
}

// escape makes a path's names safe in an address; the slashes stay.
func escape(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// branchOrTag tells a full ref's kind and name; a bare one is a branch's.
func branchOrTag(ref string) (kind, name string, err error) {
	for _, kind := range []string{headKind, tagKind} {
		if name, ok := strings.CutPrefix(ref, kind); ok {
			return kind, name, nil
		}
	}
	if strings.HasPrefix(ref, "refs/") {
		return "", "", fmt.Errorf("%w: %.300q is neither a branch nor a tag", ErrNotFound, ref)
	}
	return headKind, ref, nil
}

// checked holds what goes to a forge and what comes back: names are of a form
// that means nothing in an address, and an answer that makes go-scm panic is an
// error.
type checked struct {
	name   string
	calls  calls
	client *client
}

// do runs a call and says what it was for, where it fails.
func (c checked) do(what, repository string, call func() error, checks ...error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the answer is not what the forge documents: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("forge: %s: %s of %.300s: %w", c.name, what, repository, err)
		}
	}()
	if err := errors.Join(append(checks, repositoryName(repository))...); err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return call()
}

// Files implements Forge.
func (c checked) Files(ctx context.Context, repository, sha, folder string) (paths []string, err error) {
	folder = strings.Trim(folder, "/")
	err = c.do("list "+folder, repository, func() error {
		paths, err = c.calls.files(ctx, repository, sha, folder)
		if errors.Is(err, ErrNotFound) {
			// There is no such folder, or nothing that the token may see.
			paths = nil
			_, _, err = c.client.api.Git.FindCommit(ctx, repository, sha)
		}
		return err
	}, commitName(sha, false), pathName(folder))
	paths = slices.DeleteFunc(paths, func(p string) bool { return path.Dir(p) != path.Clean(folder) })
	slices.Sort(paths)
	return paths, err
}

// File implements Forge.
func (c checked) File(ctx context.Context, repository, sha, path string) (content []byte, err error) {
	err = c.do("read "+path, repository, func() error {
		content, err = c.calls.file(ctx, repository, sha, path)
		if err == nil && len(content) > fileMost {
			content, err = nil, fmt.Errorf("the file is longer than %d KiB", fileMost>>10)
		}
		return err
	}, commitName(sha, false), pathName(path))
	return content, err
}

func pathName(p string) error {
	if p == "" || path.Clean(p) != p || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") || len(p) > 4096 || strings.ContainsRune(p, 0) {
		return fmt.Errorf("%.300q is not a path in a repository", p)
	}
	return nil
}

// Changed implements Forge. A renamed file's old path is among them.
func (c checked) Changed(ctx context.Context, repository, base, head string, number int) (paths []string, whole bool, err error) {
	what, checks := "compare", []error{commitName(base, false), commitName(head, false)}
	if number > 0 {
		what, checks = "list the changes", nil
	}
	err = c.do(what, repository, func() error {
		if number > 0 {
			paths, whole, err = c.calls.pullFiles(ctx, repository, number)
		} else {
			paths, whole, err = c.calls.compare(ctx, repository, base, head)
		}
		return err
	}, checks...)
	slices.Sort(paths)
	return slices.Compact(paths), whole && err == nil, err
}

// Head implements Forge.
func (c checked) Head(ctx context.Context, repository, ref string) (sha string, err error) {
	err = c.do("find "+ref, repository, func() error {
		if hexes.MatchString(ref) { // a branch of such a name is asked for in full
			commit, _, err := c.client.api.Git.FindCommit(ctx, repository, ref)
			if err == nil {
				sha = commit.Sha
			}
			return err
		}
		sha, err = c.calls.head(ctx, repository, ref)
		return err
	}, refName(ref))
	if err == nil {
		if err = commitName(sha, true); err != nil {
			return "", fmt.Errorf("forge: %s: find %s of %s: %w", c.name, ref, repository, err)
		}
	}
	return sha, err
}

// Message implements Forge.
func (c checked) Message(ctx context.Context, repository, sha string) (message string, err error) {
	err = c.do("read a commit", repository, func() error {
		commit, _, err := c.client.api.Git.FindCommit(ctx, repository, sha)
		if err == nil {
			message = commit.Message
		}
		return err
	}, commitName(sha, false))
	return message, err
}

// Pull implements Forge.
func (c checked) Pull(ctx context.Context, repository string, number int) (p trigger.Pull, err error) {
	var check error
	if number <= 0 {
		check = errors.New("no pull request has that number")
	}
	err = c.do(fmt.Sprintf("read the pull request %d", number), repository, func() error {
		found, err := c.calls.pull(ctx, repository, number)
		if err != nil {
			return err
		}
		p = *found
		return pulled(found, true)
	}, check)
	if err != nil {
		return trigger.Pull{}, err
	}
	return p, nil
}

// Level implements Forge.
func (c checked) Level(ctx context.Context, repository, login string) (level trigger.Level, err error) {
	var check error
	if login == "" || strings.ContainsFunc(login, func(r rune) bool { return r < ' ' || r == '/' || r == 0x7f }) || login == "." || login == ".." {
		check = fmt.Errorf("%.100q is not an account", login)
	}
	err = c.do("ask for the rights of "+login, repository, func() error {
		level, err = c.calls.level(ctx, repository, login)
		if errors.Is(err, ErrNotFound) {
			level, err = trigger.None, nil
		}
		return err
	}, check)
	if err != nil {
		return trigger.None, err
	}
	return level, nil
}

// Tell implements Forge.
func (c checked) Tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	return c.do("set "+s.Context, repository, func() error {
		return c.calls.tell(ctx, repository, sha, s)
	}, commitName(sha, false))
}

// Credential implements Forge.
func (c checked) Credential(ctx context.Context, repository string) (credential Credential, err error) {
	err = c.do("git's credential", repository, func() error {
		credential.Host = c.client.host
		if c.client.app == nil {
			credential.User, credential.Password = c.client.user, c.client.password
			return nil
		}
		t, err := c.client.app.token(ctx, repository, githubapp.Checkout)
		if err != nil {
			return err
		}
		credential.User, credential.Password = githubapp.User, t.Value
		credential.Scoped, credential.Until = true, t.Until
		return nil
	})
	return credential, err
}

// Checks implements Forge.
func (c checked) Checks() bool { return c.client.app != nil }
