package workflow

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// Find lists the pipeline files of a repository, relative to its folder and
// with slashes: .relevo/*.yaml (but for the overlay), then
// .github/workflows/*.yaml, both also as .yml, each sorted. Missing folders
// are no error.
func Find(dir string) ([]string, error) {
	var files []string
	for _, folder := range []string{".relevo", ".github/workflows"} {
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("workflow: find files: %w", err)
		}
		for _, e := range entries {
			file := path.Join(folder, e.Name())
			ext := path.Ext(file)
			if !e.IsDir() && (ext == ".yaml" || ext == ".yml") && file != OverlayFile {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// Load reads a file of the repository in dir and compiles it, with the
// repository's overlay if it has one. The file is relative to dir; the
// returned error is about reading files, Errors are about what they say.
func Load(dir, file string, inputs map[string]any) (*pipeline.Spec, Errors, error) {
	overlay, errs, err := loadOverlay(dir)
	if err != nil {
		return nil, nil, err
	}
	if len(errs) > 0 && fromGitHub(filepath.ToSlash(file)) {
		return nil, errs, nil
	}
	src, err := read(dir, file)
	if err != nil {
		return nil, nil, err
	}
	spec, errs := Parse(file, src, Options{Overlay: overlay, Inputs: inputs})
	return spec, errs, nil
}

// Lint checks the given files of the repository in dir, or all that Find lists
// and the overlay where none is given. It tells which files it checked.
func Lint(dir string, files ...string) (checked []string, errs Errors, err error) {
	all := len(files) == 0
	if all {
		if files, err = Find(dir); err != nil {
			return nil, nil, err
		}
	}
	overlay, wrong, err := loadOverlay(dir)
	if err != nil {
		return nil, nil, err
	}
	if all || slices.ContainsFunc(files, heedsOverlay) {
		errs = append(errs, wrong...)
	}
	if all && (overlay != nil || len(wrong) > 0) {
		checked = append(checked, OverlayFile)
	}
	if overlay != nil && (all || slices.ContainsFunc(files, isOverlay)) {
		there, err := Find(dir)
		if err != nil {
			return nil, nil, err
		}
		errs = append(errs, overlay.strangers(there)...)
	}
	for _, file := range files {
		if isOverlay(file) {
			checked = append(checked, file)
			continue // read already
		}
		src, err := read(dir, file)
		if err != nil {
			return nil, nil, err
		}
		_, wrong := Parse(file, src, Options{Overlay: overlay})
		errs = append(errs, wrong...)
		checked = append(checked, file)
	}
	slices.Sort(checked)
	return checked, errs.Sort(), nil
}

func isOverlay(file string) bool {
	return filepath.ToSlash(filepath.Clean(file)) == OverlayFile
}

// heedsOverlay tells the files that a bad overlay spoils.
func heedsOverlay(file string) bool {
	return isOverlay(file) || fromGitHub(filepath.ToSlash(file))
}

// loadOverlay reads the overlay; nil where there is none.
func loadOverlay(dir string) (*Overlay, Errors, error) {
	src, err := read(dir, OverlayFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	o, errs := ParseOverlay(OverlayFile, src)
	return o, errs, nil
}

// read reads a file, but of a large one only enough to see that it is.
func read(dir, file string) ([]byte, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, filepath.FromSlash(file))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("workflow: read file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	src, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("workflow: read file: %w", err)
	}
	return src, nil
}
