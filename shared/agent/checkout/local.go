package checkout

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// local is the checkout of a run that somebody started by hand: what is to be
// built lies in the workspace already, and stays as it is.
func (w *work) local() (Result, error) {
	switch {
	case w.InPlace && w.Clone != "":
		return Result{}, fmt.Errorf("checkout: jobs share the folder %s, and a checkout would overwrite it: give each job a folder of its own (relevo up without --workspace)", w.Workspace)
	case w.Inputs.Repository != "":
		return Result{}, fmt.Errorf("checkout: the run was not started by a forge that could have %s: fetch it with git in `run`", w.Inputs.Repository)
	case w.dir != filepath.Clean(w.Workspace):
		return w.copyHead()
	}
	entries, err := os.ReadDir(w.Workspace)
	if err != nil || len(entries) == 0 {
		return Result{}, fmt.Errorf("checkout: the run is of no repository, and its folder is empty: start it by a forge, or with relevo run in the project's folder")
	}
	w.Say("the run was started by hand: the folder is built as it is, nothing is checked out")
	if w.Inputs.Ref != "" {
		w.Say("that may not be %s, which the step asks for", w.Inputs.Ref)
	}
	return Result{Dir: w.dir, Ref: w.Source.Ref, Commit: w.SHA}, nil
}

// copyHead puts the last commit of the workspace's own repository into a folder
// below it.
func (w *work) copyHead() (Result, error) {
	if _, err := os.Stat(filepath.Join(w.Workspace, ".git")); err != nil {
		return Result{}, fmt.Errorf("checkout: the folder is no git repository that could be copied to %s", w.Path)
	}
	name := w.Inputs.Ref
	if name == "" {
		name = "HEAD"
	}
	id, err := w.Git.Output(w.Workspace, false, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	w.commit = strings.TrimSpace(id)
	if err != nil || !hash(w.commit) {
		return Result{}, fmt.Errorf("checkout: the folder's repository has no commit %q", name)
	}
	if w.url, err = filepath.Abs(w.Workspace); err != nil {
		return Result{}, fmt.Errorf("checkout: %w", err)
	}
	if err := w.prepare(); err != nil {
		return Result{}, err
	}
	w.Say("the run was started by hand: %s gets the commit %s of the folder's own repository", w.Path, name)
	if err := w.Git.Run(w.dir, false, "fetch", "--no-tags", "--quiet", w.url, w.commit); err != nil {
		return Result{}, err
	}
	return w.checkout()
}
