package deliveryreceived

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/workflow"
)

// mostFiles bounds the pipeline files of a repository.
const mostFiles = 100

var folders = []string{".relevo", ".github/workflows"}

// files are the pipeline files of one commit, with the overlay.
type files struct {
	repository, sha string
	text            map[string][]byte // by path
}

// read reads the pipeline files of a commit, with the overlay.
func read(ctx context.Context, f forge.Forge, repository, sha string) (files, error) {
	all := files{repository: repository, sha: sha, text: map[string][]byte{}}
	for _, folder := range folders {
		paths, err := f.Files(ctx, repository, sha, folder)
		if err != nil && !errors.Is(err, forge.ErrNotFound) {
			return all, asking(err, "list %s at %s", folder, short(sha))
		}
		for _, p := range paths {
			if ext := path.Ext(p); ext != ".yaml" && ext != ".yml" || path.Dir(p) != folder {
				continue
			}
			if len(all.text) == mostFiles {
				return all, fmt.Errorf("%w: there are more than %d pipeline files at %s", errHopeless, mostFiles, short(sha))
			}
			text, err := f.File(ctx, repository, sha, p)
			if errors.Is(err, forge.ErrNotFound) {
				continue // a folder or a link of that name
			}
			if err != nil {
				return all, asking(err, "read %s at %s", p, short(sha))
			}
			all.text[p] = text
		}
	}
	return all, nil
}

// pipelines are the paths of the files that are pipelines: Relevo's own first,
// sorted.
func (a files) pipelines() []string {
	var paths []string
	for p := range a.text {
		if p != workflow.OverlayFile {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, func(x, y string) int {
		at := func(p string) int { return slices.Index(folders, path.Dir(p)) }
		if at(x) != at(y) {
			return at(x) - at(y)
		}
		return compare(x, y)
	})
	return paths
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// config is the hash of all of them, as an approval is bound to it.
func (a files) config() string { return trigger.ConfigHash(a.text) }

// compile compiles the pipelines, and tells what is wrong with the others: where
// the overlay is wrong, that is each of those that it is for.
func (a files) compile() (map[string]*pipeline.Spec, map[string]workflow.Errors) {
	compiled, wrong := map[string]*pipeline.Spec{}, map[string]workflow.Errors{}
	var overlay *workflow.Overlay
	var torn workflow.Errors
	if text, ok := a.text[workflow.OverlayFile]; ok {
		overlay, torn = workflow.ParseOverlay(workflow.OverlayFile, text)
	}
	for _, file := range a.pipelines() {
		if strings.HasPrefix(file, ".github/") && len(torn) > 0 {
			wrong[file] = torn
			continue
		}
		if spec, errs := workflow.Parse(file, a.text[file], workflow.Options{Overlay: overlay}); len(errs) > 0 {
			wrong[file] = errs
		} else {
			compiled[file] = spec
		}
	}
	return compiled, wrong
}

func short(sha string) string { return sha[:min(len(sha), 10)] }
