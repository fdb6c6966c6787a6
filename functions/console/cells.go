package console

// cell stands for a job of a matrix, or for those of them that look alike.
type cell struct {
	Look    look
	X, Y, W int
}

const (
	cellWidth = 10
	cellGap   = 4
	inset     = 12 // of the cells in their node
	mostCells = (nodeWidth - 2*inset + cellGap) / (cellWidth + cellGap)
)

// placeCells shows each job of a matrix, or of a large one how many look alike.
func (n *node) placeCells() {
	if len(n.Jobs) == 1 {
		return
	}
	x, y := n.X+inset, n.Y+nodeHeight-2
	if len(n.Jobs) <= mostCells {
		for i, j := range n.Jobs {
			n.Cells = append(n.Cells, cell{jobLook(j), x + i*(cellWidth+cellGap), y, cellWidth})
		}
		return
	}
	alike := map[string][]look{}
	for _, j := range n.Jobs {
		l := jobLook(j)
		alike[l.Class] = append(alike[l.Class], l)
	}
	// What is there is seen, however few they are.
	room := nodeWidth - 2*inset - len(alike)*cellGap
	for _, class := range []string{"ok", "skip", "off", "infra", "bad", "ask", "run", "wait"} {
		if l := alike[class]; len(l) > 0 {
			w := cellGap + room*len(l)/len(n.Jobs)
			n.Cells = append(n.Cells, cell{l[0], x, y, w - 1})
			x += w
		}
	}
}
