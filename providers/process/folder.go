package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// The files of a worker's folder.
const (
	launchFile = "launch.json"
	agentFile  = "agent.json"
	exitFile   = "exit.json"
	logFile    = "agent.log"
	portFile   = "inspect.port" // the agent writes its inspection port there
	workFolder = "workspace"
)

// removing ends the name of a folder that is being removed: what it held does
// not count any more.
const removing = ".removing"

// worker is where a worker stands, whether it is there or not.
type worker struct {
	id       events.WorkerID
	fence    events.Fence
	folder   string
	removing bool
}

// name is the folder's, and the mark that the worker's processes carry.
func (w worker) name() string { return filepath.Base(w.folder) }

func (w worker) path(file string) string { return filepath.Join(w.folder, file) }

// prefixOf begins the names of an installation's folders. The id itself may
// hold anything, and be long.
func prefixOf(installation string) string {
	sum := sha256.Sum256([]byte(installation))
	return hex.EncodeToString(sum[:4]) + "-"
}

func (p *Provider) worker(id events.WorkerID, fence events.Fence) worker {
	name := p.prefix + string(id) + "-f" + fence.String()
	return worker{id: id, fence: fence, folder: filepath.Join(p.cfg.State, name)}
}

// parseName reads what worker wrote; ok is false for any other name.
func parseName(prefix, name string) (w worker, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return worker{}, false
	}
	rest, w.removing = strings.CutSuffix(rest, removing)
	at := strings.LastIndex(rest, "-f")
	if at < 1 {
		return worker{}, false
	}
	fence, err := events.ParseFence(rest[at+2:])
	w.id, w.fence = events.WorkerID(rest[:at]), fence
	return w, err == nil && plainName(rest[:at])
}

// plainName tells whether an id can be part of a file's name.
func plainName(id string) bool {
	if id == "" || len(id) > 128 || id[0] == '.' {
		return false
	}
	for _, c := range id {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("._-", c) {
			return false
		}
	}
	return true
}

// workers lists the folders of this installation.
func (p *Provider) workers() ([]worker, error) {
	entries, err := os.ReadDir(p.cfg.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("process: list workers: %w", err)
	}
	var ws []worker
	for _, e := range entries {
		if w, ok := parseName(p.prefix, e.Name()); ok {
			w.folder = filepath.Join(p.cfg.State, e.Name())
			ws = append(ws, w)
		}
	}
	return ws, nil
}

// latest is the worker with the highest fence; ErrNotFound.
func (p *Provider) latest(id events.WorkerID) (worker, error) {
	ws, err := p.workers()
	if err != nil {
		return worker{}, err
	}
	var last worker
	for _, w := range ws {
		if w.id == id && !w.removing && (last.folder == "" || w.fence.Compare(last.fence) > 0) {
			last = w
		}
	}
	if last.folder == "" {
		return worker{}, fmt.Errorf("%w: %s", provider.ErrNotFound, id)
	}
	return last, nil
}

// lock takes the worker's folder, and makes it first where create says so;
// else fs.ErrNotExist. Closing the lock gives it back.
func (w worker) lock(ctx context.Context, create bool) (io.Closer, error) {
	for {
		if create {
			if err := os.Mkdir(w.folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
		}
		f, err := os.Open(w.folder)
		if errors.Is(err, fs.ErrNotExist) && create {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f); err != nil {
			return nil, err
		}
		// Whoever held it may have removed it.
		if same(f, w.folder) {
			return f, nil
		}
		_ = f.Close()
	}
}

// flock waits for f's lock, or for ctx; then f is closed.
func flock(ctx context.Context, f *os.File) error {
	fd := int(f.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return nil
	}
	locked := make(chan error, 1)
	go func() {
		for {
			if err := unix.Flock(fd, unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			_ = f.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-locked
			_ = f.Close()
		}()
		return ctx.Err()
	}
}

func same(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// exit is how an agent ended.
type exit struct {
	Code   int       `json:"code"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// write replaces a file of the folder in one step; it does not make the folder.
func (w worker) write(file string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	next := w.path(file + ".next")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, w.path(file))
}

// read decodes a file of the folder; ok is false where there is none. One that
// a crash of the machine cut short counts as none.
func (w worker) read(file string, v any) (ok bool, err error) {
	text, err := os.ReadFile(w.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("process: read worker %s: %w", w.id, err)
	}
	return json.Unmarshal(text, v) == nil, nil
}

// removeAll is os.RemoveAll, also for folders that forbid their owner to write
// into them, as Go's module cache does.
func removeAll(folder string) error {
	err := os.RemoveAll(folder)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll tells what could not be changed
		}
		return nil
	})
	return os.RemoveAll(folder)
}
