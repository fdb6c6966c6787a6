package cli

import (
	"io"
	"slices"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// frameTime is the least time between two paintings.
const frameTime = 100 * time.Millisecond

// Tree shows a run on a terminal, painted over itself while it lasts.
type Tree struct {
	opts Options
	size func() (cols, rows int)
	quit chan struct{}
	done chan struct{}

	mu      sync.Mutex // held for none of the painting
	run     *run
	notices []string
	closed  bool

	canvas canvas // the painting goroutine's own
}

// NewTree makes a view that paints on w, a terminal of that size; 0 cells are
// taken for 80 columns, 24 rows. Until Close the cursor is hidden.
func NewTree(w io.Writer, size func() (cols, rows int), plan Plan, o Options) *Tree {
	t := &Tree{
		opts: o, size: size, run: newRun(plan, nil),
		quit: make(chan struct{}), done: make(chan struct{}), canvas: canvas{w: w},
	}
	go t.loop()
	return t
}

// Event is View's.
func (t *Tree) Event(e events.Envelope) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.run.apply(e, time.Now())
	}
}

// Log is View's. It never waits: of each step only the last lines are kept.
func (t *Tree) Log(ref events.AttemptRef, b []byte) {
	for len(b) > 0 {
		n := min(len(b), piece)
		t.mu.Lock()
		if t.closed {
			n = len(b)
		} else {
			t.run.log(ref, b[:n])
		}
		t.mu.Unlock()
		b = b[n:]
	}
}

// Notice is View's: the line stays above the tree.
func (t *Tree) Notice(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.notices = append(t.notices, oneLine(text))
	}
}

// Close is View's: the whole tree stays behind, then come the last lines of
// the steps that failed, and the verdict.
func (t *Tree) Close() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		t.run.flush()
		close(t.quit)
	}
	t.mu.Unlock()
	<-t.done
}

// Summary is how the run went, as far as it went.
func (t *Tree) Summary() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run.summary(t.opts.Colour)
}

func (t *Tree) loop() {
	defer close(t.done)
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	t.canvas.hide()
	t.paint()
	for {
		select {
		case <-tick.C:
			t.paint()
		case <-t.quit:
			t.last()
			return
		}
	}
}

// paint shows how things stand, if that is news.
func (t *Tree) paint() {
	cols, rows := t.cells()
	t.mu.Lock()
	f := t.frame(cols)
	now := t.run.now()
	lines := f.paint(f.fit(f.compose(now), rows-1))
	notices := t.notices
	t.notices = nil
	t.mu.Unlock()
	t.canvas.show(lines, notices, cols)
}

// last shows how the run went, all of it.
func (t *Tree) last() {
	cols, _ := t.cells()
	t.mu.Lock()
	f := t.frame(cols)
	items := slices.DeleteFunc(f.compose(t.run.now()), func(it item) bool { return it.log > 0 })
	lines := f.paint(items)
	s := t.run.summary(t.opts.Colour)
	notices := t.notices
	t.mu.Unlock()
	t.canvas.finish(lines, notices, "\n"+s.failures()+s.Line()+"\n", cols)
}

func (t *Tree) frame(cols int) frame {
	f := frame{run: t.run, glyphs: &glyphs, cols: cols - 1, colour: t.opts.Colour}
	if t.opts.ASCII {
		f.glyphs = &letters
	}
	return f
}

// cells is the terminal's size; the last column stays free, for clearing the
// rest of a full line clears its last cell on some terminals.
func (t *Tree) cells() (cols, rows int) {
	cols, rows = t.size()
	if cols <= 0 {
		cols = 80
	}
	if rows <= 0 {
		rows = 24
	}
	return max(cols, 2), max(rows, 2)
}
