package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/client"
)

// graph is a run's jobs as a picture: who needs whom, from left to right.
type graph struct {
	Width, Height int
	Nodes         []*node
	Edges         []edge
}

// node is a job, or the jobs of a matrix as one.
type node struct {
	ID    string // in the file
	Label string
	Look  look
	Href  string
	Jobs  []client.Job
	Cells []cell // of a matrix
	Note  string // below the label
	Since string // when what it does began, for the running clock
	X, Y  int
	W, H  int

	needs []string
	depth int
	order float64
	bend  bool // no job: an edge passes here
}

// edge is a line from what is needed to what needs it.
type edge struct {
	Path string
	Look look // of what is needed
	Done bool
}

const (
	nodeWidth   = 180
	nodeHeight  = 54
	matrixExtra = 22
	columnGap   = 38
	rowGap      = 18
	bendHeight  = 8
	margin      = 6
)

// drawGraph places the jobs of a run.
func drawGraph(r client.Run) graph {
	nodes := gather(r)
	columns := layers(nodes)
	var g graph
	for i, column := range columns {
		y := margin
		for _, n := range column {
			n.X, n.Y = margin+i*(nodeWidth+columnGap), y
			y += n.H + rowGap
		}
		g.Height = max(g.Height, y-rowGap+margin)
	}
	g.Width = len(columns)*(nodeWidth+columnGap) - columnGap + 2*margin
	for _, column := range columns {
		center(column, g.Height)
		for _, n := range column {
			if !n.bend {
				g.Nodes = append(g.Nodes, n)
				n.placeCells()
			}
		}
	}
	g.Edges = connect(columns)
	return g
}

// base is the id in the file of a job's key: the jobs of a matrix share it.
func base(key string) string {
	id, _, _ := strings.Cut(key, ".")
	return id
}

// gather makes a node of each job, and one of those of a matrix.
func gather(r client.Run) map[string]*node {
	nodes := map[string]*node{}
	for i, j := range r.Jobs {
		id := base(string(j.Key))
		n := nodes[id]
		if n == nil {
			n = &node{ID: id, needs: j.Needs, W: nodeWidth, H: nodeHeight, order: float64(i)}
			nodes[id] = n
		}
		n.Jobs = append(n.Jobs, j)
	}
	for _, n := range nodes {
		n.describe()
	}
	return nodes
}

// describe says what a node shows.
func (n *node) describe() {
	first := n.Jobs[0]
	n.Look, n.Href, n.Label = jobLook(first), "#job-"+string(first.Key), cmp.Or(first.Name, string(first.Key))
	if len(n.Jobs) == 1 && !strings.Contains(string(first.Key), ".") {
		n.Note = jobNote(first)
		return
	}
	n.Label, n.Href = n.ID, "#matrix-"+n.ID
	done := 0
	for i, j := range n.Jobs {
		l := jobLook(j)
		if j.Final() {
			done++
		}
		if i == 0 || weight(l) > weight(n.Look) {
			n.Look = l
		}
	}
	n.Note = fmt.Sprintf("%s · %d of %d done", n.Look.Word, done, len(n.Jobs))
	n.H += matrixExtra
}

// weight orders looks by how much they matter where one has to stand for many.
func weight(l look) int {
	return slices.Index([]string{"skip", "ok", "wait", "off", "run", "infra", "bad", "ask"}, l.Class)
}

// jobNote is a job's state with the time that it took.
func jobNote(j client.Job) string {
	asked, started, ended := jobTimes(j)
	from := cmp.Or(started, asked)
	l := jobLook(j)
	if j.CarriedFrom != "" {
		return "Carried over"
	}
	if !ended.IsZero() && !from.IsZero() && l.Class != "skip" {
		return l.Word + " · " + span(ended.Sub(from))
	}
	return l.Word
}

// layers puts each node behind all that it needs, and gives the edges that
// cross a column a place in it, so that they run between the jobs.
func layers(nodes map[string]*node) [][]*node {
	var all []*node
	for _, n := range nodes {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int { return cmp.Compare(a.order, b.order) })
	for range all { // needs come first in a run: one round does, any number is safe
		moved := false
		for _, n := range all {
			for _, id := range n.needs {
				if need := nodes[base(id)]; need != nil && need != n && n.depth <= need.depth && n.depth < len(all) {
					n.depth, moved = need.depth+1, true
				}
			}
		}
		if !moved {
			break
		}
	}
	columns := [][]*node{nil}
	for _, n := range all {
		for len(columns) <= n.depth {
			columns = append(columns, nil)
		}
		columns[n.depth] = append(columns[n.depth], n)
	}
	for _, n := range all {
		for i, id := range n.needs {
			need := nodes[base(id)]
			if need == nil {
				continue
			}
			for d := need.depth + 1; d < n.depth; d++ {
				b := &node{ID: fmt.Sprintf("%s>%s@%d", need.ID, n.ID, d), needs: []string{need.ID}, Jobs: need.Jobs, Look: need.Look, depth: d, W: nodeWidth, H: bendHeight, bend: true}
				columns[d] = append(columns[d], b)
				nodes[b.ID] = b
				need = b
			}
			n.needs = slices.Clone(n.needs)
			n.needs[i] = need.ID
		}
	}
	arrange(columns, nodes)
	return columns
}

// arrange orders each column by where its needs stand, which keeps most lines
// from crossing.
func arrange(columns [][]*node, nodes map[string]*node) {
	for i, column := range columns {
		for k, n := range column {
			if i == 0 {
				n.order = float64(k)
				continue
			}
			sum, count := 0.0, 0.0
			for _, id := range n.needs {
				if need := find(nodes, id); need != nil {
					sum, count = sum+need.order, count+1
				}
			}
			n.order = sum / max(count, 1)
		}
		slices.SortStableFunc(column, func(a, b *node) int { return cmp.Compare(a.order, b.order) })
		for k, n := range column {
			n.order = float64(k) - float64(len(column)-1)/2
		}
	}
}

// find looks a node up by its id, or by the key of a job of it.
func find(nodes map[string]*node, id string) *node {
	if n := nodes[id]; n != nil {
		return n
	}
	return nodes[base(id)]
}

// center moves a column to the middle of the picture.
func center(column []*node, height int) {
	if len(column) == 0 {
		return
	}
	last := column[len(column)-1]
	shift := (height - margin - (last.Y + last.H)) / 2
	for _, n := range column {
		n.Y += max(shift, 0)
	}
}

// connect draws the lines.
func connect(columns [][]*node) []edge {
	at := map[string]*node{}
	var out []edge
	for _, column := range columns {
		for _, n := range column {
			at[n.ID] = n
			for _, id := range n.needs {
				need := find(at, id)
				if need == nil || need == n {
					continue
				}
				out = append(out, edge{Path: curve(need, n), Look: need.Look, Done: need.Look.Class == "ok" || need.Look.Class == "skip"})
			}
		}
	}
	return out
}

// curve leads from the right side of one node to the left side of another; a
// bend is passed straight through.
func curve(from, to *node) string {
	x1, y1 := from.X+from.W, from.Y+from.H/2
	x2, y2 := to.X, to.Y+to.H/2
	mid := (x1 + x2) / 2
	path := fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, mid, y1, mid, y2, x2, y2)
	if to.bend {
		path += fmt.Sprintf("H%d", to.X+to.W)
	}
	return path
}
