package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
)

// A matrix stays in its box, however large it is, and nothing of it is hidden.
func TestCellsOfAMatrix(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, mostCells, mostCells + 1, 1000} {
		var run client.Run
		for i := range n {
			j := client.Job{Key: events.JobKey(fmt.Sprintf("m.%d", i)), State: "SUCCEEDED"}
			switch i {
			case 0:
				j.State = "FAILED"
			case 1:
				j.State = "RUNNING"
			}
			run.Jobs = append(run.Jobs, j)
		}
		g := drawGraph(run)
		if len(g.Nodes) != 1 {
			t.Fatalf("%d jobs make %d nodes", n, len(g.Nodes))
		}
		box, classes := g.Nodes[0], map[string]int{}
		at := box.X
		for _, c := range box.Cells {
			classes[c.Look.Class]++
			if c.X < at || c.W < 3 || c.X+c.W > box.X+box.W-inset {
				t.Errorf("%d jobs: a cell from %d to %d, after %d, in a box from %d to %d", n, c.X, c.X+c.W, at, box.X, box.X+box.W)
			}
			at = c.X + c.W
		}
		if classes["bad"] != 1 || classes["run"] != 1 || n > 2 && classes["ok"] == 0 {
			t.Errorf("%d jobs: %v", n, classes)
		}
	}
}

func TestAxis(t *testing.T) {
	t.Parallel()
	for whole, want := range map[time.Duration]string{
		40 * time.Millisecond:  "0 20 ms 40 ms",
		3 * time.Second:        "0 1 s 2 s 3 s",
		82 * time.Second:       "0 20 s 40 s 1 min 1 min 20 s",
		4 * time.Minute:        "0 1 min 2 min 3 min 4 min",
		100 * time.Minute:      "0 20 min 40 min 1 h 1 h 20 min 1 h 40 min",
		5 * 7 * 24 * time.Hour: "0 168 h 336 h 504 h 672 h 840 h",
	} {
		var words []string
		for _, tick := range axis(whole) {
			words = append(words, tick.Word)
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: %s, want %s", whole, got, want)
		}
	}
}
