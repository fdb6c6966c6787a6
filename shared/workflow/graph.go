package workflow

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// jobFields gives the jobs of the file by id.
func (r *reader) jobFields(n *yaml.Node) []field {
	var fields []field
	for _, f := range r.pairs(n, "jobs") {
		if hint := wrongID(f.name); hint != "" {
			r.fail(f.key, hint, "%s is not an id that a job may have", quote(f.name))
			continue
		}
		fields = append(fields, f)
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.fail(n, "", "jobs is empty")
	}
	return fields
}

// graph gives the jobs in an order in which needs come first, and as they
// stand in the file otherwise. It reports circles.
func (r *reader) graph(jobs []*job) []pipeline.JobSpec {
	waits := map[string]int{}
	followers := map[string][]int{}
	for i, j := range jobs {
		waits[j.id] = len(j.needs)
		for _, n := range j.needs {
			followers[n.id] = append(followers[n.id], i)
		}
	}
	var ready []int // ascending
	for i, j := range jobs {
		if waits[j.id] == 0 {
			ready = append(ready, i)
		}
	}
	var order []*job
	for len(ready) > 0 {
		j := jobs[ready[0]]
		ready = ready[1:]
		order = append(order, j)
		for _, f := range followers[j.id] {
			if waits[jobs[f].id]--; waits[jobs[f].id] == 0 {
				at, _ := slices.BinarySearch(ready, f)
				ready = slices.Insert(ready, at, f)
			}
		}
	}
	r.circles(jobs, waits)
	if len(r.errs) > 0 {
		return nil // too many combinations are an error too
	}
	var specs []pipeline.JobSpec
	for _, j := range order {
		specs = append(specs, j.unfolded()...)
	}
	return specs
}

// mostInCircle jobs of a circle are shown.
const mostInCircle = 12

// circles reports each circle of needs once, at the entry that closes it.
// waits tells how many needs of each job are unmet.
func (r *reader) circles(jobs []*job, waits map[string]int) {
	byID := map[string]*job{}
	for _, j := range jobs {
		if waits[j.id] > 0 {
			byID[j.id] = j
		}
	}
	const open, closed = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(j *job)
	visit = func(j *job) {
		state[j.id] = open
		path = append(path, j.id)
		for _, n := range j.needs {
			next := byID[n.id]
			switch {
			case next == nil:
			case state[n.id] == open:
				circle := append(slices.Clone(path[slices.Index(path, n.id):]), n.id)
				if len(circle) > mostInCircle {
					circle = append(circle[:mostInCircle-2:mostInCircle-2], "…", n.id)
				}
				r.fail(n.node, "", "the needs of jobs go round in a circle: %s", strings.Join(circle, " → "))
			case state[n.id] != closed:
				visit(next)
			}
		}
		path = path[:len(path)-1]
		state[j.id] = closed
	}
	for _, j := range jobs {
		if byID[j.id] != nil && state[j.id] == 0 {
			visit(j)
		}
	}
}
