package agent

import (
	"sync"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/command"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// notes are what a step points people at while it runs: masked, and no more of a
// level than count.
type notes struct {
	masks     *mask.Set
	workspace string
	roots     []string // of the repository in it

	mu   sync.Mutex
	list []events.Annotation
	of   map[string]int
	over bool
}

// add notes one. It is masked before anything of it is cut off: half a secret
// would not be found.
func (n *notes) add(a events.Annotation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over || n.of[a.Level] == execution.MostAnnotations {
		return
	}
	a = n.masked(a)
	a.File = command.Below(n.roots, command.Within(n.workspace, a.File)) // which changes what is between the slashes
	if fits := new(execution.Annotate).Take([]events.Annotation{a}); len(fits) == 1 {
		if n.of == nil {
			n.of = map[string]int{}
		}
		n.of[a.Level]++
		n.list = append(n.list, fits[0])
	}
}

func (n *notes) masked(a events.Annotation) events.Annotation {
	a.Message, a.Title, a.File = n.masks.Text(a.Message), n.masks.Text(a.Title), n.masks.Text(a.File)
	return a
}

// end gives them all, without what became a secret since. What the step left
// running adds no more.
func (n *notes) end() []events.Annotation {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	for i, a := range n.list {
		n.list[i] = n.masked(a)
	}
	return n.list
}
