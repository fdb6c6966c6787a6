package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/relevo-ci/relevo/events"
)

// sizeText is what stands in the file beside a closed log: its size, and on a
// line of its own which it is, since the file's name does not tell.
func sizeText(size int64, ref events.AttemptRef) string {
	name, err := json.Marshal(ref)
	if err != nil { // names of attempts always encode
		panic(err)
	}
	return strconv.FormatInt(size, 10) + "\n" + string(name)
}

// moved tells that a closed log has its bytes elsewhere.
func (f *Files) moved(ref events.AttemptRef, limit int64) bool {
	if limit == open {
		return false
	}
	_, err := os.Lstat(f.path(ref) + ".log")
	return errors.Is(err, fs.ErrNotExist)
}

// closedLogs are those that this process closed, and once those that it found.
type closedLogs struct {
	mu     sync.Mutex
	looked bool
	order  []events.AttemptRef
	known  map[events.AttemptRef]bool
}

func (c *closedLogs) add(ref events.AttemptRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(ref)
}

func (c *closedLogs) put(ref events.AttemptRef) {
	if c.known == nil {
		c.known = map[events.AttemptRef]bool{}
	}
	if !c.known[ref] {
		c.known[ref] = true
		c.order = append(c.order, ref)
	}
}

func (c *closedLogs) remove(gone func(events.AttemptRef) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.order[:0]
	for _, ref := range c.order {
		if gone(ref) {
			delete(c.known, ref)
			continue
		}
		kept = append(kept, ref)
	}
	c.order = kept
}

// Closed names logs that can be moved; see Hot. The folder is looked through once
// in the life of the process, which alone uses it.
func (f *Files) Closed(_ context.Context, limit int) ([]events.AttemptRef, error) {
	f.closed.mu.Lock()
	defer f.closed.mu.Unlock()
	if !f.closed.looked {
		if err := f.look(); err != nil {
			return nil, err
		}
		f.closed.looked = true
	}
	return append([]events.AttemptRef(nil), f.closed.order[:min(len(f.closed.order), limit)]...), nil
}

// look finds what was closed before this process began.
func (f *Files) look() error {
	names, err := filepath.Glob(filepath.Join(f.dir, "*", "*.size"))
	if err != nil {
		return fmt.Errorf("logs: look for closed logs: %w", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it is being removed
		}
		size, rest, _ := strings.Cut(string(text), "\n")
		var ref events.AttemptRef
		if json.Unmarshal([]byte(rest), &ref) != nil || Check(ref) != nil || f.path(ref)+".size" != name {
			continue // closed before names were written: it stays
		}
		info, err := os.Stat(f.path(ref) + ".log")
		if err == nil && strconv.FormatInt(info.Size(), 10) == size {
			f.closed.put(ref)
		}
	}
	return nil
}

// Drop forgets the bytes of a closed log; see Hot.
func (f *Files) Drop(_ context.Context, ref events.AttemptRef) error {
	limit, release, err := f.hold(ref)
	if err != nil {
		return err
	}
	defer release()
	if !f.moved(ref, limit) {
		info, err := os.Stat(f.path(ref) + ".log")
		if err != nil || info.Size() != limit {
			return fmt.Errorf("%w: the log %s is open", ErrInvalid, Name(ref))
		}
		if err := os.Remove(f.path(ref) + ".log"); err != nil {
			return fmt.Errorf("logs: drop: %w", err)
		}
	}
	f.closed.remove(func(r events.AttemptRef) bool { return r == ref })
	return nil
}

// Room tells that there is no bound but the disk's; see Hot.
func (f *Files) Room(context.Context) (used, most int64, err error) { return 0, 0, nil }
