package logs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/logstest"
)

const run events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

var build = events.AttemptRef{JobRef: events.JobRef{Run: run, Job: "build"}, Attempt: 1}

// writerFolder tells the child process of TestFilesSurviveKill where to write.
const writerFolder = "LOGS_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerFolder); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

func TestMemory(t *testing.T) {
	logstest.Run(t, func(*testing.T) logs.Store { return logs.NewMemory(1 << 20) })
}

func TestFiles(t *testing.T) {
	logstest.Run(t, func(t *testing.T) logs.Store { return openFiles(t, t.TempDir()) })
}

func TestFilesWithoutSync(t *testing.T) {
	logstest.Run(t, func(t *testing.T) logs.Store {
		f := openFiles(t, t.TempDir())
		f.NoSync = true
		return f
	})
}

func openFiles(t *testing.T, dir string) *logs.Files {
	t.Helper()
	f, err := logs.NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMemoryIsBounded(t *testing.T) {
	m := logs.NewMemory(10)
	if n, err := m.Append(t.Context(), build, 0, make([]byte, 8)); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := m.Append(t.Context(), build, 8, make([]byte, 3)); n != 8 || !errors.Is(err, logs.ErrFull) {
		t.Fatalf("%d, %v; want 8, ErrFull", n, err)
	}
	if err := m.Remove(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Append(t.Context(), build, 0, make([]byte, 10)); n != 10 || err != nil {
		t.Fatalf("after Remove: %d, %v", n, err)
	}
}

func TestFilesStayInTheirFolder(t *testing.T) {
	dir := t.TempDir()
	store := openFiles(t, filepath.Join(dir, "logs"))
	for _, job := range []string{"..", "../../x", "/etc/x", "a\x00b", strings.Repeat("é", 300), "con.", "x\n"} {
		ref := build
		ref.Job = events.JobKey(job)
		if _, err := store.Append(t.Context(), ref, 0, []byte("x")); err != nil {
			t.Errorf("job %q: %v", job, err)
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d.Type().IsRegular() {
			files++
			if filepath.Dir(path) != filepath.Join(dir, "logs", string(run)) {
				t.Errorf("wrote %s", path)
			}
		}
		return err
	})
	if err != nil || files != 7 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestFilesOpenAgain(t *testing.T) {
	dir := t.TempDir()
	first := openFiles(t, dir)
	if _, err := first.Append(t.Context(), build, 0, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(t.Context(), build, 7); err != nil {
		t.Fatal(err)
	}
	second := openFiles(t, dir)
	if n, err := second.Append(t.Context(), build, 5, []byte("!!!")); n != 5 || !errors.Is(err, logs.ErrClosed) {
		t.Fatalf("%d, %v; want 5, ErrClosed", n, err)
	}
	if n, err := second.Append(t.Context(), build, 5, []byte("!!")); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 10)
	n, size, closed, err := second.Read(t.Context(), build, 0, buf)
	if string(buf[:n]) != "hello!!" || size != 7 || !closed || err != nil {
		t.Fatalf("%q, %d, %v, %v", buf[:n], size, closed, err)
	}
}

// pattern is the byte at an offset of the log that the child writes.
func pattern(offset int64) byte { return byte(offset*31 + offset>>8) }

// writeForEver appends until killed, and prints what was acknowledged.
func writeForEver(dir string) {
	store, err := logs.NewFiles(dir)
	for at := int64(0); err == nil; {
		chunk := make([]byte, 10_007)
		for i := range chunk {
			chunk[i] = pattern(at + int64(i))
		}
		at, err = store.Append(context.Background(), build, at, chunk)
		fmt.Println(at)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestFilesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), writerFolder+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged int64
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		fmt.Sscan(lines.Text(), &acknowledged)
		if n == 50 {
			child.Process.Kill()
		}
	}
	child.Wait()
	store := openFiles(t, dir)
	data := make([]byte, acknowledged)
	n, size, _, err := store.Read(t.Context(), build, 0, data)
	if err != nil || int64(n) != acknowledged || acknowledged == 0 {
		t.Fatalf("read %d of %d acknowledged bytes, size %d: %v", n, acknowledged, size, err)
	}
	for i, b := range data {
		if b != pattern(int64(i)) {
			t.Fatalf("byte %d is %x, want %x", i, b, pattern(int64(i)))
		}
	}
	if n, err := store.Append(t.Context(), build, size, []byte("on")); n != size+2 || err != nil {
		t.Fatalf("append after the crash: %d, %v", n, err)
	}
}
