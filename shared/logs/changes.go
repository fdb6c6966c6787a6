package logs

import (
	"context"
	"sync"

	"github.com/relevo-ci/relevo/events"
)

// changes wakes the followers of logs; the zero value is ready.
type changes struct {
	mu      sync.Mutex
	waiting map[string]*followers
}

// followers wait for the next change of one log.
type followers struct {
	changed chan struct{}
	count   int
}

// follow gives a channel that is closed at the next change of name, and what
// to call when done with it. Follow before looking at the log, or a change in
// between goes unseen.
func (c *changes) follow(name string) (changed <-chan struct{}, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]*followers{}
	}
	f := c.waiting[name]
	if f == nil {
		f = &followers{changed: make(chan struct{})}
		c.waiting[name] = f
	}
	f.count++
	return f.changed, func() { c.leave(name, f) }
}

func (c *changes) leave(name string, f *followers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.count--; f.count == 0 && c.waiting[name] == f {
		delete(c.waiting, name)
	}
}

// wake tells whoever follows name.
func (c *changes) wake(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.waiting[name]; f != nil {
		close(f.changed)
		delete(c.waiting, name)
	}
}

// wait is Store.Wait, for a store that wakes followers after each change.
func (c *changes) wait(ctx context.Context, s Store, ref events.AttemptRef, offset int64) error {
	for {
		changed, done := c.follow(Name(ref))
		_, size, closed, err := s.Read(ctx, ref, offset, nil)
		if err != nil || size > offset || closed {
			done()
			return err
		}
		select {
		case <-changed:
			done()
		case <-ctx.Done():
			done()
			return ctx.Err()
		}
	}
}
