package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/command"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/process"
	"github.com/relevo-ci/relevo/shared/agent/spool"
)

// pipeSize is how much a step may be ahead of the agent, in bytes, and how
// much is read at once.
const pipeSize = 256 << 10

// journal is the attempt's log: what the steps print, and the agent's remarks.
type journal struct {
	spool *spool.Spool
	masks *mask.Set

	mu      sync.Mutex
	midLine bool
}

// raw adds what was masked already.
func (j *journal) raw(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.midLine = p[len(p)-1] != '\n'
	return j.spool.Append(p)
}

// remark adds a line of the agent's own.
func (j *journal) remark(format string, args ...any) {
	line := j.masks.Text(strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")) + "\n"
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.midLine {
		line = "\n" + line
	}
	j.midLine = false
	// Closed: the attempt is gone, nobody will read it.
	_ = j.spool.Append([]byte(line))
}

func (j *journal) size() int64 {
	_, end := j.spool.Bounds()
	return end
}

// output carries what one command prints from a pipe to a sink, masked. It
// goes on when the command ended, for the sake of what it left running.
type output struct {
	pipe    *os.File
	scanner command.Scanner
	stream  *mask.Stream
	sink    func([]byte) error
	clear   []byte // masked, not yet in the sink

	drain   chan struct{} // asks to read all there is, once each
	drained chan struct{}
	done    chan struct{} // closed at the end of the pipe
}

// newOutput makes an output, and the file for a command to write to; close it
// once the command runs. note, which may be nil, is told what the output points
// people at.
func newOutput(masks *mask.Set, sink func([]byte) error, note func(events.Annotation)) (*output, *os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("agent: make pipe: %w", err)
	}
	process.WidenPipe(write, pipeSize)
	o := &output{
		pipe: read, stream: masks.Stream(), sink: sink,
		drain: make(chan struct{}, 1), drained: make(chan struct{}), done: make(chan struct{}),
	}
	o.scanner.Mask = func(value string) error { return masks.Add(value) }
	o.scanner.Note = note
	o.scanner.Out = func(p []byte) { o.clear = o.stream.Write(o.clear, p) }
	go o.pump()
	return o, write, nil
}

// pump reads until the last writer is gone.
func (o *output) pump() {
	defer close(o.done)
	defer func() { _ = o.pipe.Close() }()
	buf := make([]byte, pipeSize)
	for {
		n, err := o.pipe.Read(buf)
		if n > 0 && !o.take(buf[:n]) {
			return
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			<-o.drain
			end := o.readReady(buf)
			o.flush()
			o.drained <- struct{}{}
			if end {
				return
			}
		case err != nil:
			o.flush()
			return
		}
	}
}

// take passes a piece on; false when nobody wants it any more.
func (o *output) take(p []byte) bool {
	o.scanner.Write(p)
	err := o.sink(o.clear)
	o.clear = o.clear[:0]
	return err == nil
}

func (o *output) flush() {
	o.scanner.Flush()
	o.clear = o.stream.Flush(o.clear)
	_ = o.sink(o.clear)
	o.clear = o.clear[:0]
}

// readReady reads what is in the pipe without waiting for more; end tells that
// there will be none. A writer that never pauses is cut off after what the
// pipe holds: all that was in it when the draining began.
func (o *output) readReady(buf []byte) (end bool) {
	// A deadline that passed would keep from reading what is there.
	_ = o.pipe.SetReadDeadline(time.Time{})
	raw, err := o.pipe.SyscallConn()
	if err != nil {
		return true
	}
	for left := 4 * pipeSize; left > 0; {
		var n int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			n, readErr = syscall.Read(int(fd), buf)
			return true
		})
		switch {
		case errors.Is(readErr, syscall.EINTR):
			continue
		case errors.Is(readErr, syscall.EAGAIN):
			return false
		case err != nil || readErr != nil || n <= 0:
			return true
		case !o.take(buf[:n]):
			return true
		}
		left -= n
	}
	return false
}

// settle returns when all that was printed before is in the sink.
func (o *output) settle() {
	select {
	case o.drain <- struct{}{}:
	case <-o.done:
		return
	}
	_ = o.pipe.SetReadDeadline(time.Unix(1, 0))
	select {
	case <-o.drained:
	case <-o.done:
	}
}

// end settles, and reads no more: a process that cannot be killed may keep the
// pipe open for ever.
func (o *output) end() {
	o.settle()
	_ = o.pipe.Close()
	<-o.done
}

// writer lets an io.Writer be a sink.
func writer(w io.Writer) func([]byte) error {
	return func(p []byte) error {
		if len(p) == 0 {
			return nil
		}
		_, err := w.Write(p)
		return err
	}
}
