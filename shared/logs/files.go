package logs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/relevo-ci/relevo/events"
)

// Files keeps each log in a file of its own: <dir>/<run>/<attempt>.log, and
// beside it, when closed, <attempt>.size with its size and its name. One that was
// moved has the latter alone. One process at a time may use a
// folder: Wait hears of the appends of its own process only.
//
// An append is acknowledged when the kernel has it: it survives the end of
// this process, however sudden, but not that of the machine. Close writes
// through to the disk, unless NoSync says otherwise. After a crash a log may be
// shorter than what was acknowledged; the next Append then tells the shorter
// length.
//
// No file stays open between calls, so that any number of logs can be live.
type Files struct {
	// NoSync leaves it to the kernel when to write to the disk: for a folder
	// that does not outlive this process.
	NoSync bool

	dir     string
	changes changes
	closed  closedLogs
	// locks order the appends to one log; a log's lock is chosen by its name.
	locks [64]sync.Mutex
}

// NewFiles keeps logs under dir, which is made when missing.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("logs: make folder: %w", err)
	}
	return &Files{dir: dir}, nil
}

// Name is unlike that of any other attempt, also where a file system tells
// no upper from lower case, and harmless as a file name: of the job's key it
// shows what is harmless, and a digest tells the rest.
func Name(ref events.AttemptRef) string {
	shown := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, string(ref.Job))
	digest := sha256.Sum256([]byte(ref.Job))
	return filepath.Join(string(ref.Run), fmt.Sprintf("%.80s-%s.%d.%d-%d",
		shown, hex.EncodeToString(digest[:8]), ref.Attempt, ref.Fence.Epoch, ref.Fence.Counter))
}

func (f *Files) path(ref events.AttemptRef) string { return filepath.Join(f.dir, Name(ref)) }

// hold keeps others from changing a log until it is released, and reads the size
// that it was closed with.
func (f *Files) hold(ref events.AttemptRef) (limit int64, release func(), err error) {
	if err := Check(ref); err != nil {
		return 0, nil, err
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, Name(ref))
	mu := &f.locks[h.Sum32()%uint32(len(f.locks))]
	mu.Lock()
	if limit, err = f.limit(ref); err != nil {
		mu.Unlock()
		return 0, nil, err
	}
	return limit, mu.Unlock, nil
}

// Append keeps data at offset; see Store.
func (f *Files) Append(_ context.Context, ref events.AttemptRef, offset int64, data []byte) (int64, error) {
	limit, release, err := f.hold(ref)
	if err != nil {
		return 0, err
	}
	defer release()
	if f.moved(ref, limit) {
		_, err := piece(limit, limit, offset, data)
		return limit, err
	}
	file, length, err := f.openLog(ref)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	fresh, err := piece(length, limit, offset, data)
	if err != nil || len(fresh) == 0 {
		return length, err
	}
	n, err := file.WriteAt(fresh, length)
	length += int64(n)
	if n > 0 {
		f.changes.wake(Name(ref))
	}
	if err == nil && length == limit {
		f.closed.add(ref)
		err = f.sync(file)
	}
	if err != nil {
		return length, fmt.Errorf("logs: append: %w", err)
	}
	return length, nil
}

// openLog opens a log for writing, made when missing, and tells its length.
func (f *Files) openLog(ref events.AttemptRef) (*os.File, int64, error) {
	path := f.path(ref) + ".log"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("logs: open: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, fmt.Errorf("logs: open: %w", err)
	}
	return file, info.Size(), nil
}

// limit reads the size that a log was closed with.
func (f *Files) limit(ref events.AttemptRef) (int64, error) {
	text, err := os.ReadFile(f.path(ref) + ".size")
	if errors.Is(err, fs.ErrNotExist) {
		return open, nil
	}
	if err != nil {
		return 0, fmt.Errorf("logs: read size: %w", err)
	}
	size, _, _ := strings.Cut(string(text), "\n")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("logs: read size: %w", err)
	}
	return n, nil
}

// Read copies what is at offset into buf; see Store.
func (f *Files) Read(_ context.Context, ref events.AttemptRef, offset int64, buf []byte) (int, int64, bool, error) {
	if err := Check(ref); err != nil {
		return 0, 0, false, err
	}
	if offset < 0 {
		return 0, 0, false, fmt.Errorf("%w: offset %d", ErrInvalid, offset)
	}
	// The limit first: a log that is seen closed must not grow afterwards.
	limit, err := f.limit(ref)
	if err != nil {
		return 0, 0, false, err
	}
	file, err := os.Open(f.path(ref) + ".log")
	switch {
	case errors.Is(err, fs.ErrNotExist) && limit != open && limit > offset && len(buf) > 0:
		return 0, limit, true, ErrMoved
	case errors.Is(err, fs.ErrNotExist):
		return 0, max(limit, 0), limit != open, nil
	case err != nil:
		return 0, 0, false, fmt.Errorf("logs: read: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, false, fmt.Errorf("logs: read: %w", err)
	}
	n := 0
	if len(buf) > 0 && offset < info.Size() {
		// Appends of right now are left for the next read: n fits size.
		buf = buf[:min(int64(len(buf)), info.Size()-offset)]
		if n, err = file.ReadAt(buf, offset); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, false, fmt.Errorf("logs: read: %w", err)
		}
	}
	return n, info.Size(), limit == info.Size(), nil
}

// Wait returns when the log has grown beyond offset; see Store.
func (f *Files) Wait(ctx context.Context, ref events.AttemptRef, offset int64) error {
	return f.changes.wait(ctx, f, ref, offset)
}

// Close fixes the log's size; see Store.
func (f *Files) Close(_ context.Context, ref events.AttemptRef, size int64) error {
	limit, release, err := f.hold(ref)
	if err != nil {
		return err
	}
	defer release()
	if f.moved(ref, limit) {
		_, err := closing(limit, limit, size)
		return err
	}
	file, length, err := f.openLog(ref)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	closed, err := closing(length, limit, size)
	if err != nil || closed == limit {
		return err
	}
	if err := f.sync(file); err != nil {
		return fmt.Errorf("logs: close: %w", err)
	}
	if err := f.replace(f.path(ref)+".size", sizeText(closed, ref)); err != nil {
		return fmt.Errorf("logs: close: %w", err)
	}
	if closed == length {
		f.closed.add(ref)
	}
	f.changes.wake(Name(ref))
	return nil
}

func (f *Files) sync(file *os.File) error {
	if f.NoSync {
		return nil
	}
	return file.Sync()
}

// replace writes a small file whole or not at all.
func (f *Files) replace(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".size-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, f.sync(file), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// Remove forgets every log of a run; see Store.
func (f *Files) Remove(_ context.Context, run events.RunID) error {
	if err := CheckRun(run); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(f.dir, string(run))); err != nil {
		return fmt.Errorf("logs: remove: %w", err)
	}
	f.closed.remove(func(r events.AttemptRef) bool { return r.Run == run })
	return nil
}
