package workflow

import (
	"bytes"
	"path"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/workflow/language"
)

// OverlayFile is where the overlay stands in a repository.
const OverlayFile = ".relevo/overlay.yaml"

// Overlay is what .relevo/overlay.yaml says: Relevo's own words for jobs of
// files in .github/workflows, where GitHub would refuse them.
type Overlay struct {
	file      string
	workflows []overlaid
}

// overlaid is what the overlay says of one file.
type overlaid struct {
	name string // of the file, without its folder
	key  *yaml.Node
	jobs []overlaidJob
}

type overlaidJob struct {
	id  string
	key *yaml.Node
	own own
}

// ParseOverlay reads an overlay. Whether its files and jobs are there is only
// known when these are read.
func ParseOverlay(file string, src []byte) (*Overlay, Errors) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	r := &reader{report: &report{file: file, lines: newLines(src)}}
	o := &Overlay{file: file}
	r.during(func() {
		root := document(src, r.report)
		if root == nil {
			return
		}
		if n := r.keyed(root, language.Overlay).get("workflows"); n != nil {
			for _, f := range r.pairs(n, "workflows") {
				o.workflows = append(o.workflows, r.overlaid(f))
			}
		}
	})
	if errs := r.sorted(); len(errs) > 0 {
		return nil, errs
	}
	return o, nil
}

func (r *reader) overlaid(f field) overlaid {
	w := overlaid{name: f.name, key: f.key}
	if path.Base(f.name) != f.name {
		r.fail(f.key, "write "+path.Base(f.name), "%s names a folder: a workflow goes by the name of its file", quote(f.name))
	}
	n := r.keyed(f.value, language.OverlayWorkflow).get("jobs")
	if n == nil {
		return w
	}
	for _, j := range r.pairs(n, "jobs") {
		w.jobs = append(w.jobs, overlaidJob{j.name, j.key, r.own(r.keyed(j.value, language.OverlayJob))})
	}
	return w
}

// apply is called during reading and adds what the overlay says to the jobs of a file. It reports jobs that
// the file does not have.
func (o *Overlay) apply(file string, jobs []*job, report *report) {
	if o == nil {
		return
	}
	report.file = o.file
	for _, w := range o.workflows {
		if w.name != path.Base(file) {
			continue
		}
		var ids []string
		for _, j := range jobs {
			ids = append(ids, j.id)
		}
		for _, add := range w.jobs {
			i := slices.Index(ids, add.id)
			if i < 0 {
				report.add(add.key.Line, add.key.Column, didYouMean(add.id, ids), "%s has no job %s", file, quote(add.id))
				continue
			}
			add.own.apply(&jobs[i].spec)
		}
	}
}

// strangers reports the files that the overlay names and that are not among
// those given.
func (o *Overlay) strangers(files []string) Errors {
	var names []string
	for _, f := range files {
		if fromGitHub(f) {
			names = append(names, path.Base(f))
		}
	}
	r := &report{file: o.file}
	r.during(func() {
		for _, w := range o.workflows {
			if !slices.Contains(names, w.name) {
				r.add(w.key.Line, w.key.Column, didYouMean(w.name, names), "there is no file .github/workflows/%s", w.name)
			}
		}
	})
	return r.sorted()
}
