package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Bounds of a Plain.
const (
	backlog   = 1 << 20  // bytes that wait for the output before Log does
	piece     = 64 << 10 // of a log, taken in at once
	nameCells = 32       // of a line's prefix, at most
)

// Plain shows a run as lines: those of the logs after their job's name, one
// for each change, and a summary at the end.
type Plain struct {
	colour bool
	done   chan struct{} // closed when all is written

	mu     sync.Mutex // held for none of the writing
	moved  sync.Cond  // buf grew, shrank, or the view was closed
	run    *run
	buf    []byte // what waits for the output
	prefix map[*job]*label
	wide   int
	closed bool
}

// label is what stands before the lines of a job.
type label struct {
	name string
	wide int
	log  []byte // before those that it printed
	news []byte // before those about it
}

// NewPlain makes a view that writes lines to w. Without colour it writes no
// escape sequence; with colour those for colours that a job wrote itself.
func NewPlain(w io.Writer, plan Plan, o Options) *Plain {
	p := &Plain{colour: o.Colour, done: make(chan struct{}), prefix: map[*job]*label{}}
	p.moved.L = &p.mu
	p.run = newRun(plan, p.say)
	p.run.line = p.line
	for _, j := range p.run.jobs {
		p.label(j)
	}
	if plan.Run != "" {
		p.say(nil, fmt.Sprintf("run %s of %s: %s", plan.Run, p.run.Pipeline, count(len(plan.Jobs), "job")))
	}
	go p.write(w)
	return p
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Event is View's.
func (p *Plain) Event(e events.Envelope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.run.apply(e, time.Now())
	p.moved.Broadcast()
}

// Log is View's.
func (p *Plain) Log(ref events.AttemptRef, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		for len(p.buf) > backlog && !p.closed {
			p.moved.Wait()
		}
		if p.closed {
			return
		}
		n := min(len(b), piece)
		p.run.log(ref, b[:n])
		b = b[n:]
		p.moved.Broadcast()
	}
}

// Notice is View's.
func (p *Plain) Notice(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.say(nil, oneLine(text))
		p.moved.Broadcast()
	}
}

// Close is View's.
func (p *Plain) Close() {
	p.mu.Lock()
	if !p.closed {
		p.run.flush()
		p.closed = true
		p.buf = append(append(p.buf, '\n'), p.run.summary(p.colour).text(0)...)
		p.moved.Broadcast()
	}
	p.mu.Unlock()
	<-p.done
}

// Summary is how the run went, as far as it went.
func (p *Plain) Summary() Summary {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run.summary(p.colour)
}

// write carries what waits to the output, so that nobody else has to wait for
// it. After an error it throws it away: nobody reads any more.
func (p *Plain) write(w io.Writer) {
	defer close(p.done)
	var spare []byte
	var err error
	for {
		p.mu.Lock()
		for len(p.buf) == 0 && !p.closed {
			p.moved.Wait()
		}
		out := p.buf
		p.buf = spare[:0]
		p.mu.Unlock()
		if len(out) == 0 {
			return
		}
		p.moved.Broadcast()
		if err == nil {
			_, err = w.Write(out)
		}
		spare = out
	}
}

// line takes a line of a job's log.
func (p *Plain) line(j *job, b []byte) {
	p.buf = append(p.buf, p.label(j).log...)
	p.buf = appendClean(p.buf, b, p.colour)
	p.buf = append(p.buf, '\n')
}

// say takes a line about a job, or about the run.
func (p *Plain) say(j *job, text string) {
	if j == nil {
		p.buf = append(p.buf, "* "...)
	} else {
		p.buf = append(p.buf, p.label(j).news...)
	}
	p.buf = append(p.buf, text...)
	p.buf = append(p.buf, '\n')
}

// label makes what stands before a job's lines, again where a name changed.
func (p *Plain) label(j *job) *label {
	l := p.prefix[j]
	if l != nil && l.name == j.Name && l.wide == p.wide {
		return l
	}
	name := clip(j.Name, nameCells, "…")
	p.wide = max(p.wide, cells(name))
	l = &label{name: j.Name, wide: p.wide}
	l.log = []byte(pad(name, p.wide) + " | ")
	l.news = []byte(pad(name, p.wide) + " * ")
	p.prefix[j] = l
	return l
}
