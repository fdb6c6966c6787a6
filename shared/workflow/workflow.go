// Package workflow reads pipeline files: the words of GitHub Actions that are
// implemented, and Relevo's own beside them (docs/language.md). It compiles a
// file to the typed job graph of the pipeline domain, with matrices unfolded
// and expressions parsed, or tells everything that is wrong with it, each with
// file, line and column. What is not implemented is refused: no key is
// ignored.
package workflow

import (
	"bytes"
	"path"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/workflow/expr"
	"github.com/relevo-ci/relevo/shared/workflow/language"
)

const (
	// mostJobs of a file, matrices unfolded.
	mostJobs = 1024
	// mostUnfolded bounds the text of a file with its matrices unfolded, in
	// bytes: all of it travels with the run.
	mostUnfolded = 4 << 20
)

// Options are what a file is read with.
type Options struct {
	// Overlay is what .relevo/overlay.yaml adds to the files in
	// .github/workflows; nil without one. It is not heeded for other files.
	Overlay *Overlay
	// Inputs are values for the inputs of workflow_dispatch, as text or already
	// of their type. Nil means that no run is being started: then a required
	// input may be missing.
	Inputs map[string]any
}

// Parse compiles a file. Its name is what errors and the Spec show; files
// under .github/workflows are told by it. On errors, which come sorted, there
// is no Spec.
func Parse(file string, src []byte, opts Options) (*pipeline.Spec, Errors) {
	file = path.Clean(strings.ReplaceAll(file, `\`, "/"))
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	lines := newLines(src)
	r := &reader{report: &report{file: file, lines: lines}, github: fromGitHub(file)}
	overlaid := &report{}
	var spec *pipeline.Spec
	r.during(func() {
		if root := document(src, r.report); root != nil {
			spec = r.workflow(r.keyed(root, language.Workflow), opts, overlaid)
		}
	})
	if errs := append(r.sorted(), overlaid.sorted()...); len(errs) > 0 {
		return nil, errs
	}
	return spec, nil
}

// fromGitHub tells the files that GitHub reads as well.
func fromGitHub(file string) bool {
	return strings.HasPrefix(file, ".github/workflows/") || strings.Contains(file, "/.github/workflows/")
}

// workflow reads the file. What is wrong with the overlay's part in it goes to
// overlaid.
func (r *reader) workflow(k keyed, opts Options, overlaid *report) *pipeline.Spec {
	spec := &pipeline.Spec{File: r.file, Name: strings.TrimSuffix(path.Base(r.file), path.Ext(r.file))}
	on := k.get("on")
	if on == nil && r.github && len(k.fields) > 0 {
		r.fail(k.node, "", `a file in .github/workflows needs "on"`)
	}
	spec.Triggers = r.triggers(on)
	in := names{inputs: map[string]bool{}}
	for _, t := range spec.Triggers {
		spec.On = append(spec.On, t.Event)
		in.event = in.event || t.Event == pipeline.CloudEvent
		for _, input := range t.Inputs {
			in.inputs[strings.ToLower(input.Name)] = true
		}
	}
	spec.Inputs = r.settle(spec.Triggers, opts.Inputs, on)
	if n := k.get("name"); n != nil {
		if name, ok := r.word(n, "name"); ok && name != "" {
			spec.Name = name
		}
	}
	if n := k.get("run-name"); n != nil {
		spec.RunName = r.template(n, "run-name", in.at(expr.RunName))
	}
	spec.Env = r.env(k.get("env"), in.at(expr.WorkflowEnv))
	spec.Permissions = r.permissions(k.get("permissions"))
	spec.Concurrency = r.concurrency(k.get("concurrency"), in.at(expr.WorkflowConcurrency))
	defaults := r.defaults(k.get("defaults"), runDefaults{}, in.at(expr.WorkflowEnv))
	if n := k.get("jobs"); n != nil {
		jobs := r.jobs(r.jobFields(n), in, defaults)
		if r.github {
			opts.Overlay.apply(r.file, jobs, overlaid)
		}
		spec.Jobs = r.graph(jobs)
	}
	return spec
}

// jobs reads all jobs, in the order of the file.
func (r *reader) jobs(fields []field, in names, defaults runDefaults) []*job {
	in.jobs = map[string]*job{}
	var jobs []*job
	for _, f := range fields {
		j := r.outline(f)
		jobs = append(jobs, j)
		in.jobs[strings.ToLower(j.id)] = j
		in.jobIDs = append(in.jobIDs, j.id)
	}
	r.affordableJobs(jobs)
	for _, j := range jobs {
		r.checkNeeds(j, in)
		r.fill(j, in, defaults)
	}
	return jobs
}

// affordableJobs bounds how many jobs there are and how long they are once
// matrices are unfolded.
func (r *reader) affordableJobs(jobs []*job) {
	count, bytes := 0, 0
	for _, j := range jobs {
		n := max(len(j.combinations), 1)
		count += n
		bytes += n * (j.bulk.bytes + j.bulk.nodes)
		switch {
		case count > mostJobs:
			r.fail(j.key, "split the file", "the file has more than %d jobs, matrices unfolded", mostJobs)
			return
		case bytes > mostUnfolded:
			r.fail(j.key, "move long scripts into files of their own", "the jobs are too long, matrices unfolded: more than %d MiB", mostUnfolded>>20)
			return
		}
	}
}

// checkNeeds reports jobs that are needed and not there.
func (r *reader) checkNeeds(j *job, in names) {
	for _, n := range j.needs {
		if there := in.jobs[strings.ToLower(n.id)]; there != nil && there.id == n.id {
			continue
		}
		hint := didYouMean(n.id, in.jobIDs)
		r.fail(n.node, hint, "the job %s needs %s, which is not there", quote(j.id), quote(n.id))
	}
}
