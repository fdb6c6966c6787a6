// Package checkout fetches a commit of a repository into a folder with the git
// of the worker's image, as actions/checkout does: no more history than asked
// for, the exact commit, and no credential left behind.
package checkout

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// Git runs git commands in the folder given.
type Git interface {
	// Run runs one and shows what it prints. A *Failure where git says no; any
	// other error ends the checkout as it is. Remote commands get the credential,
	// and no others.
	Run(dir string, remote bool, args ...string) error
	// Output runs one and gives what it prints.
	Output(dir string, remote bool, args ...string) (string, error)
}

// Failure is a git command that ended with an error.
type Failure struct {
	Args []string
	Err  error
	Tail string // the end of what it printed
}

// Error says which command it was and how it ended.
func (f *Failure) Error() string { return fmt.Sprintf("git %s %v", f.Args[0], f.Err) }

// Unwrap gives how it ended.
func (f *Failure) Unwrap() error { return f.Err }

// Source is the repository that the run is of.
type Source struct {
	Clone      string // address; empty: of none
	Repository string // owner/name
	Ref        string // full, where there is one
	SHA        string
}

// Inputs are those of the step.
type Inputs = execution.Checkout

// Options are what to check out, and where.
type Options struct {
	Inputs
	Source
	Workspace string
	// InPlace: the workspace is a folder of somebody's own.
	InPlace bool
	Git     Git
	// Say tells people what is done.
	Say func(format string, args ...any)
	// Pause waits before what failed is tried again; false: it is not to be.
	Pause func(try int) bool
	// NoCredential says why there is no credential; empty: there is one, or
	// nobody asked.
	NoCredential string
}

// Result is what was checked out.
type Result struct {
	Dir, Ref, Commit string
}

// ErrTrouble marks what is not the author's doing: the forge or the way to it.
var ErrTrouble = errors.New("checkout: the repository cannot be reached")

// Do checks out. In a folder of somebody's own it leaves everything as it is.
func Do(o Options) (Result, error) {
	w := &work{Options: o, dir: filepath.Join(o.Workspace, filepath.FromSlash(o.Path))}
	if o.Clone == "" || o.InPlace {
		return w.local()
	}
	if err := w.aim(); err != nil {
		return Result{}, err
	}
	if err := w.prepare(); err != nil {
		return Result{}, err
	}
	if w.commit == "" {
		if err := w.resolve(); err != nil {
			return Result{}, err
		}
	}
	if err := w.fetch(); err != nil {
		return Result{}, err
	}
	return w.checkout()
}

// ended tells whether an error is not git's own: the step is to end.
func ended(err error) bool {
	var f *Failure
	return err != nil && !errors.As(err, &f)
}

// work is a checkout under way.
type work struct {
	Options
	dir string
	url string
	// ref is full but for what the author named, until it is resolved.
	ref, commit string
}

// aim finds the repository's address, and the commit where it is known.
func (w *work) aim() error {
	if err := w.address(); err != nil {
		return err
	}
	own := w.Inputs.Repository == "" || strings.EqualFold(w.Inputs.Repository, w.Source.Repository)
	w.url, w.ref = w.Clone, w.Inputs.Ref
	if !own {
		url, ok := sibling(w.Clone, w.Source.Repository, w.Inputs.Repository)
		if !ok {
			return fmt.Errorf("checkout: it is not known where the forge has %s: fetch it with git in `run`", w.Inputs.Repository)
		}
		w.url = url
	}
	switch {
	case hash(w.ref):
		w.commit, w.ref = strings.ToLower(w.ref), ""
	case w.ref == "" && own:
		w.ref, w.commit = w.Source.Ref, w.SHA
		if w.ref != "" && !strings.HasPrefix(w.ref, "refs/") {
			w.ref = "refs/heads/" + w.ref
		}
		if w.commit != "" && !hash(w.commit) {
			return fmt.Errorf("checkout: %q, which the run is of, is no commit", w.commit)
		}
		if wrong := execution.WrongInput("ref", w.ref); wrong != "" {
			return fmt.Errorf("checkout: %s", wrong)
		}
	}
	return nil
}

// address holds that the clone address is one of HTTP, and takes a name out of
// it that some forges put there: git would ask for that one's password.
func (w *work) address() error {
	u, err := url.Parse(w.Clone)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("checkout: the forge names no address over HTTP for %s", w.Source.Repository)
	}
	u.User = nil
	w.Clone = u.String()
	return nil
}

// sibling is the address of another repository of the same forge.
func sibling(clone, repository, other string) (string, bool) {
	base, suffix := strings.TrimSuffix(clone, "/"), ""
	if s, ok := strings.CutSuffix(base, ".git"); ok {
		base, suffix = s, ".git"
	}
	at := len(base) - len(repository)
	if repository == "" || at < 1 || base[at-1] != '/' || !strings.EqualFold(base[at:], repository) {
		return "", false
	}
	return base[:at] + other + suffix, true
}

// hash tells whether a text is a whole commit id, SHA-1 or SHA-256.
func hash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// prepare makes the folder a repository of the address. One that is another's
// is left alone.
func (w *work) prepare() error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return fmt.Errorf("checkout: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(w.dir, ".git")); err != nil {
		return w.begin()
	}
	had, err := w.Git.Output(w.dir, false, "config", "--get", "remote.origin.url")
	if ended(err) {
		return err
	}
	if err != nil || strings.TrimSpace(had) != w.url {
		return fmt.Errorf("checkout: %s holds another repository: give this one a `path` of its own", w.place())
	}
	for _, lock := range []string{"index.lock", "shallow.lock"} { // of a git that was killed
		_ = os.Remove(filepath.Join(w.dir, ".git", lock))
	}
	if !w.Clean {
		return nil
	}
	if err := w.Git.Run(w.dir, false, "clean", "-ffdx"); err != nil {
		return err
	}
	if _, err := w.Git.Output(w.dir, false, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		if ended(err) {
			return err
		}
		return nil // nothing was checked out yet
	}
	return w.Git.Run(w.dir, false, "reset", "--hard", "--quiet", "HEAD")
}

func (w *work) begin() error {
	init := []string{"init", "--quiet"}
	if len(w.commit) == 64 {
		init = append(init, "--object-format=sha256")
	}
	if err := w.Git.Run(w.dir, false, init...); err != nil {
		return err
	}
	return w.Git.Run(w.dir, false, "remote", "add", "origin", w.url)
}

// place names the folder for people.
func (w *work) place() string {
	if w.Path == "" || w.Path == "." {
		return "the workspace"
	}
	return w.Path
}

// resolve finds the commit of a ref: of a branch before a tag, of the default
// branch where none is named.
func (w *work) resolve() error {
	candidates := []string{w.ref}
	switch {
	case w.ref == "":
		candidates = []string{"HEAD"}
	case strings.HasPrefix(w.ref, "refs/tags/"):
		candidates = []string{w.ref + "^{}", w.ref}
	case !strings.HasPrefix(w.ref, "refs/"):
		candidates = []string{"refs/heads/" + w.ref, "refs/tags/" + w.ref + "^{}", "refs/tags/" + w.ref}
	}
	var listed string
	err := w.again(func() (err error) {
		listed, err = w.Git.Output(w.dir, true, append([]string{"ls-remote", "--quiet", "origin"}, candidates...)...)
		return err
	})
	if err != nil {
		return err
	}
	found := map[string]string{}
	for line := range strings.Lines(listed) {
		if id, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && hash(id) {
			found[ref] = id
		}
	}
	for _, ref := range candidates {
		if w.commit = found[ref]; w.commit != "" {
			w.ref = strings.TrimSuffix(ref, "^{}")
			return nil
		}
	}
	return fmt.Errorf("checkout: %s has no branch or tag %q; a commit is named by all of its letters", w.url, w.ref)
}

// checkout puts the commit's files into the folder, those of submodules too
// where they are asked for.
func (w *work) checkout() (Result, error) {
	if err := w.sparse(); err != nil {
		return Result{}, err
	}
	if err := w.Git.Run(w.dir, false, "checkout", "--quiet", "--force", "--detach", w.commit); err != nil {
		return Result{}, err
	}
	head, err := w.Git.Output(w.dir, false, "rev-parse", "HEAD^{commit}")
	if err != nil {
		return Result{}, err
	}
	head = strings.TrimSpace(head)
	if err := w.submodules(); err != nil {
		return Result{}, err
	}
	w.Say("HEAD is %s", head)
	return Result{Dir: w.dir, Ref: w.ref, Commit: head}, nil
}

// sparse limits the files to those that are asked for.
func (w *work) sparse() error {
	if len(w.Sparse) == 0 {
		return nil
	}
	cone := "--cone"
	if !w.SparseCone {
		cone = "--no-cone"
	}
	return w.Git.Run(w.dir, false, slices.Concat([]string{"sparse-checkout", "set", cone, "--"}, w.Sparse)...)
}

func (w *work) submodules() error {
	if w.Submodules == execution.NoSubmodules {
		return nil
	}
	sync := []string{"submodule", "sync", "--quiet"}
	update := []string{"submodule", "update", "--init", "--force"}
	if w.Submodules == execution.AllSubmodules {
		sync, update = append(sync, "--recursive"), append(update, "--recursive")
	}
	if w.Depth > 0 {
		update = append(update, fmt.Sprintf("--depth=%d", w.Depth))
	}
	if err := w.Git.Run(w.dir, false, sync...); err != nil {
		return err
	}
	return w.again(func() error { return w.Git.Run(w.dir, true, update...) })
}
