package cold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/cold"
	"github.com/relevo-ci/relevo/shared/logs/logstest"
)

const run events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

func ref(job string) events.AttemptRef {
	return events.AttemptRef{JobRef: events.JobRef{Run: run, Job: events.JobKey(job)}, Attempt: 1, Fence: events.Fence{Epoch: 1, Counter: 1}}
}

func memory(t *testing.T) *blob.Bucket {
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	return b
}

func folder(t *testing.T) (*blob.Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := cold.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, dir
}

func TestSuite(t *testing.T) {
	hot := map[string]func(t *testing.T) logs.Hot{
		"memory": func(*testing.T) logs.Hot { return logs.NewMemory(1 << 20) },
		"files": func(t *testing.T) logs.Hot {
			f, err := logs.NewFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			f.NoSync = true
			return f
		},
	}
	for name, open := range hot {
		t.Run(name, func(t *testing.T) {
			logstest.Run(t, func(t *testing.T) logs.Store { return cold.New(open(t), memory(t), cold.Options{Chunk: 1000}) })
		})
		t.Run(name+", moved at once", func(t *testing.T) {
			logstest.Run(t, func(t *testing.T) logs.Store {
				b, _ := folder(t)
				return logstest.Eager{Moving: cold.New(open(t), b, cold.Options{Chunk: 1000})}
			})
		})
	}
}

// text has lines of many lengths.
func text(bytes int) []byte {
	var b strings.Builder
	for i := 1; b.Len() < bytes; i++ {
		fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", i%37))
	}
	return []byte(b.String()[:bytes])
}

func moved(t *testing.T, s *cold.Store, want int) {
	t.Helper()
	if n, err := s.Tidy(t.Context(), 100); n != want || err != nil {
		t.Fatalf("moved %d, %v; want %d", n, err, want)
	}
}

// read gives the text with marks where bytes are lost.
func read(t *testing.T, s logs.Store, r events.AttemptRef) string {
	t.Helper()
	var out bytes.Buffer
	err := logs.Each(t.Context(), s, r, 0, func(data []byte, lost *logs.Gap) (bool, error) {
		out.Write(data)
		if lost != nil {
			out.WriteString(lost.Mark())
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHotIsEmptiedAndColdIsWhole, also for a store that begins anew on the same
// bucket, and where the hot one lost all that it knew.
func TestHotIsEmptiedAndColdIsWhole(t *testing.T) {
	hot := logs.NewMemory(1 << 20)
	b, _ := folder(t)
	s := cold.New(hot, b, cold.Options{Chunk: 4096})
	data := text(100_000)
	logstest.Written(t, s, ref("a"), data)
	logstest.Written(t, s, ref("empty"), nil)
	if _, err := s.Append(t.Context(), ref("open"), 0, []byte("open")); err != nil {
		t.Fatal(err)
	}
	moved(t, s, 1)
	moved(t, s, 0)
	if used, _, err := hot.Room(t.Context()); used != 4 || err != nil {
		t.Errorf("hot has %d bytes, %v", used, err)
	}
	if _, _, _, err := hot.Read(t.Context(), ref("a"), 0, make([]byte, 1)); !errors.Is(err, logs.ErrMoved) {
		t.Error(err)
	}
	for name, s := range map[string]*cold.Store{
		"the same": s, "a new one": cold.New(hot, b, cold.Options{}), "with nothing hot": cold.New(logs.NewMemory(1), b, cold.Options{}),
	} {
		if got := read(t, s, ref("a")); got != string(data) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(data))
		}
		if err := s.Wait(t.Context(), ref("a"), 5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := s.Append(t.Context(), ref("a"), 99_990, data[99_990:]); n != 100_000 || err != nil {
		t.Errorf("a late repeat: %d, %v", n, err)
	}
	if n, err := s.Append(t.Context(), ref("a"), 100_000, []byte("more")); n != 100_000 || !errors.Is(err, logs.ErrClosed) {
		t.Errorf("more than there is: %d, %v", n, err)
	}
}

// TestDamageIsAGap: a chunk that is missing, cut short, or not what it was is a
// gap in the text and nothing else is.
func TestDamageIsAGap(t *testing.T) {
	data := text(10_000)
	at := func(dir string, offset int) string {
		paths, err := filepath.Glob(filepath.Join(dir, "logs", string(run), "*", fmt.Sprintf("%016d", offset)))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		return paths[0]
	}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
		gaps  []logs.Gap
	}{
		"missing": {func(dir string) error { return os.Remove(at(dir, 2000)) }, string(data[:2000]) + "[relevo: bytes 2000–3000 are missing]" + string(data[3000:]), []logs.Gap{{From: 2000, To: 3000}}},
		"two":     {func(dir string) error { return errors.Join(os.Remove(at(dir, 0)), os.Remove(at(dir, 1000))) }, "[relevo: bytes 0–1000 are missing][relevo: bytes 1000–2000 are missing]" + string(data[2000:]), []logs.Gap{{From: 0, To: 2000}}},
		"a bit": {func(dir string) error {
			spoilt := bytes.Clone(data[9000:])
			spoilt[7] ^= 1
			return os.WriteFile(at(dir, 9000), spoilt, 0o600)
		}, string(data[:9000]) + "[relevo: bytes 9000–10000 are missing]", []logs.Gap{{From: 9000, To: 10_000}}},
		"cut": {func(dir string) error { return os.Truncate(at(dir, 5000), 10) }, string(data[:5000]) + "[relevo: bytes 5000–6000 are missing]" + string(data[6000:]), []logs.Gap{{From: 5000, To: 6000}}},
		"all": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "logs")) }, "[relevo: bytes 0–10000 are missing]", []logs.Gap{{From: 0, To: 10_000}}},
		"manifest": {func(dir string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(at(dir, 0)), "manifest.json"), []byte("{"), 0o600)
		}, "[relevo: bytes 0–10000 are missing]", []logs.Gap{{From: 0, To: 10_000}}},
		"nothing": {func(string) error { return nil }, string(data), nil},
	} {
		t.Run(name, func(t *testing.T) {
			hot := logs.NewMemory(1 << 20)
			b, dir := folder(t)
			s := cold.New(hot, b, cold.Options{Chunk: 1000})
			logstest.Written(t, s, ref("a"), data)
			moved(t, s, 1)
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			s = cold.New(hot, b, cold.Options{}) // which remembers nothing
			if got := read(t, s, ref("a")); got != c.want {
				t.Errorf("got %d bytes: %.200q", len(got), got)
			}
			gaps, err := s.Gaps(t.Context(), ref("a"))
			if err != nil || !reflect.DeepEqual(gaps, c.gaps) {
				t.Errorf("gaps %v, %v", gaps, err)
			}
		})
	}
}

// failing is a bucket that gives up after so many writes, as a process does that
// ends.
type failing struct {
	logs.Hot
	drops int
}

func (f *failing) Drop(ctx context.Context, r events.AttemptRef) error {
	if f.drops--; f.drops < 0 {
		return errors.New("the process ends")
	}
	return f.Hot.Drop(ctx, r)
}

// TestMovingIsTakenUpAgain wherever it ended: with chunks and no manifest, with a
// manifest and the hot bytes still there.
func TestMovingIsTakenUpAgain(t *testing.T) {
	data := text(10_000)
	hot := &failing{Hot: logs.NewMemory(1 << 20)}
	b, dir := folder(t)
	s := cold.New(hot, b, cold.Options{Chunk: 1000})
	logstest.Written(t, s, ref("a"), data)
	if n, err := s.Tidy(t.Context(), 10); n != 0 || err == nil {
		t.Fatal(n, err)
	}
	if got := read(t, s, ref("a")); got != string(data) {
		t.Error("it is not whole between manifest and drop")
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "logs", string(run), "*", "manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatal(manifests, err)
	}
	if err := os.Remove(manifests[0]); err != nil { // it ended before that
		t.Fatal(err)
	}
	hot.drops = 1
	s = cold.New(hot, b, cold.Options{Chunk: 700}) // with another setting
	moved(t, s, 1)
	if got := read(t, cold.New(hot, b, cold.Options{}), ref("a")); got != string(data) {
		t.Error("it is not whole after all")
	}
}

// TestAFullStoreIsRelieved: what is closed makes room for what is being written,
// and steps are not held up.
func TestAFullStoreIsRelieved(t *testing.T) {
	hot := logs.NewMemory(10_000)
	s := cold.New(hot, memory(t), cold.Options{})
	for i := range 50 {
		logstest.Written(t, s, ref(fmt.Sprint("job", i)), text(4000))
	}
	for i := range 50 {
		if got := read(t, s, ref(fmt.Sprint("job", i))); got != string(text(4000)) {
			t.Fatalf("log %d has %d bytes", i, len(got))
		}
	}
	// Nothing is closed: then it is full.
	if _, err := s.Append(t.Context(), ref("large"), 0, make([]byte, 20_000)); !errors.Is(err, logs.ErrFull) {
		t.Error(err)
	}
}

// TestAboveTheMarkLogsMoveBeforeItIsFull.
func TestAboveTheMarkLogsMoveBeforeItIsFull(t *testing.T) {
	hot := logs.NewMemory(10_000)
	s := cold.New(hot, memory(t), cold.Options{Mark: 50})
	logstest.Written(t, s, ref("a"), text(6000))
	for i := range int64(100) {
		if _, err := s.Append(t.Context(), ref("b"), i, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if used, _, err := hot.Room(t.Context()); used != 100 || err != nil {
		t.Errorf("hot has %d bytes, %v", used, err)
	}
}

// TestRemoveLeavesNothing in the bucket.
func TestRemoveLeavesNothing(t *testing.T) {
	b, dir := folder(t)
	s := cold.New(logs.NewMemory(1<<20), b, cold.Options{Chunk: 100})
	logstest.Written(t, s, ref("a"), text(1000))
	moved(t, s, 1)
	if got := read(t, s, ref("a")); len(got) != 1000 {
		t.Fatal(len(got))
	}
	if err := s.Remove(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, ref("a")); got != "" {
		t.Errorf("%d bytes are left", len(got))
	}
	left, err := filepath.Glob(filepath.Join(dir, "logs", string(run), "*", "*"))
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// late moves logs in another process right before they are removed here.
type late struct {
	logs.Hot
	tidy func()
}

func (l late) Remove(ctx context.Context, run events.RunID) error {
	l.tidy()
	return l.Hot.Remove(ctx, run)
}

// TestRemoveLeavesNothingThatIsMovedMeanwhile.
func TestRemoveLeavesNothingThatIsMovedMeanwhile(t *testing.T) {
	b, dir := folder(t)
	hot := logs.NewMemory(1 << 20)
	other := cold.New(hot, b, cold.Options{})
	s := cold.New(late{hot, func() { moved(t, other, 1) }}, b, cold.Options{})
	logstest.Written(t, s, ref("a"), text(1000))
	if err := s.Remove(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "logs", string(run), "*", "*"))
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// TestWhoLookedTooEarlyReadsItAll: that a log was not there yet is remembered for a
// while, not for longer than until another process moved it.
func TestWhoLookedTooEarlyReadsItAll(t *testing.T) {
	hot, b := logs.NewMemory(1<<20), memory(t)
	s := cold.New(hot, b, cold.Options{})
	if got := read(t, s, ref("a")); got != "" {
		t.Fatal(got)
	}
	data := text(1000)
	logstest.Written(t, hot, ref("a"), data)
	moved(t, cold.New(hot, b, cold.Options{}), 1)
	if l, err := s.Lines(t.Context(), ref("a")); err != nil || l.Size != 1000 {
		t.Errorf("%+v, %v", l, err)
	}
	if got := read(t, s, ref("a")); got != string(data) {
		t.Errorf("it reads %.100q", got)
	}
}

// TestManyMoveAtOnce: several processes over one hot store and one bucket.
func TestManyMoveAtOnce(t *testing.T) {
	hot := logs.NewMemory(1 << 20)
	b, _ := folder(t)
	for i := range 20 {
		logstest.Written(t, hot, ref(fmt.Sprint("job", i)), text(5000))
	}
	var movers sync.WaitGroup
	for range 4 {
		s := cold.New(hot, b, cold.Options{Chunk: 1000})
		movers.Go(func() {
			if _, err := s.Tidy(t.Context(), 100); err != nil {
				t.Error(err)
			}
		})
	}
	movers.Wait()
	s := cold.New(hot, b, cold.Options{})
	for i := range 20 {
		if got := read(t, s, ref(fmt.Sprint("job", i))); got != string(text(5000)) {
			t.Errorf("log %d has %d bytes", i, len(got))
		}
	}
}

// TestLines: the index is the same hot and cold, and leads to the line.
func TestLines(t *testing.T) {
	data := text(500_000)
	s := cold.New(logs.NewMemory(1<<20), memory(t), cold.Options{Chunk: 10_000})
	logstest.Written(t, s, ref("a"), data)
	before, err := s.Lines(t.Context(), ref("a"))
	if err != nil {
		t.Fatal(err)
	}
	moved(t, s, 1)
	after, err := s.Lines(t.Context(), ref("a"))
	if err != nil || before.Count != after.Count || !reflect.DeepEqual(before.Offsets, after.Offsets) || after.Count != int64(bytes.Count(data, []byte("\n"))+1) {
		t.Errorf("%d and %d lines, %v", before.Count, after.Count, err)
	}
	for _, line := range []int64{1, 1000, 1001, 5000, after.Count} {
		known, offset := after.Before(line)
		if want := fmt.Sprintf("line %d ", known); !bytes.HasPrefix(data[offset:], []byte(want)) || known > line || line-known >= logs.Every {
			t.Errorf("line %d: %d at %d", line, known, offset)
		}
	}
}

// TestFoldersStayBelow holds that names which people give, of jobs, stay below the folder.
func TestFoldersStayBelow(t *testing.T) {
	b, dir := folder(t)
	s := cold.New(logs.NewMemory(1<<20), b, cold.Options{})
	for _, job := range []string{"..", "../../x", "/etc/x", "a\x00b", "é", url.PathEscape("../")} {
		logstest.Written(t, s, ref(job), []byte("x"))
	}
	moved(t, s, 6)
	outside := 0
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(path, filepath.Join(dir, "logs", string(run))) {
			outside++
		}
		return err
	})
	if err != nil || outside > 0 {
		t.Errorf("%d files elsewhere, %v", outside, err)
	}
}

func TestOpen(t *testing.T) {
	for where, ok := range map[string]bool{
		t.TempDir() + "/a/b": true, "file://" + t.TempDir(): true, "mem://": true,
		"file://host/x": false, "logs": false, "ftp://x/y": false, "": false, ":": false,
		"mem://key:h4x0r@x": true, "ftp://key:h4x0r@x": false, // a test's own takes anything
	} {
		b, err := cold.Open(t.Context(), where)
		if (err == nil) != ok {
			t.Errorf("%q: %v", where, err)
		}
		if b != nil {
			b.Close()
		}
	}
}
