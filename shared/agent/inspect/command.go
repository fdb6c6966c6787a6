package inspect

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// command is one that was started, and what it printed so far. It goes on when
// who asked for it hangs up.
type command struct {
	script string

	mu        sync.Mutex
	changed   chan struct{} // closed, and made anew, with each change
	output    []byte
	truncated bool
	done      bool
	exit      int
}

// Write records output, as much as is kept.
func (c *command) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := p[:min(len(p), maxOutput-len(c.output))]
	c.output = append(c.output, kept...)
	c.truncated = c.truncated || len(kept) < len(p)
	c.tell()
	return len(p), nil
}

func (c *command) finish(exit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done, c.exit = true, exit
	c.tell()
}

func (c *command) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// copyTo streams the output from its beginning until the command ended.
func (c *command) copyTo(ctx context.Context, w io.Writer) (exit int, truncated bool, err error) {
	for sent := 0; ; {
		c.mu.Lock()
		more, changed := c.output[sent:], c.changed
		done, exit, truncated := c.done, c.exit, c.truncated
		c.mu.Unlock()
		if len(more) > 0 {
			if _, err := w.Write(more); err != nil {
				return 0, false, err
			}
			sent += len(more)
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if done {
			return exit, truncated, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
}
