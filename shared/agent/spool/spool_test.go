package spool

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// letter is the byte at an offset of the logs in these tests.
func letter(offset int64) byte { return byte(offset*7 + offset>>8*13) }

func text(offset int64, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = letter(offset + int64(i))
	}
	return p
}

// drain reads and acknowledges everything, and checks it.
func drain(t *testing.T, s *Spool, upTo int64) {
	t.Helper()
	buf := make([]byte, 100_003)
	for {
		base, _ := s.Bounds()
		if base >= upTo {
			return
		}
		n := s.ReadAt(buf, base)
		if n == 0 || !bytes.Equal(buf[:n], text(base, n)) {
			t.Fatalf("%d bytes at %d are not what was appended", n, base)
		}
		s.Acknowledge(base + int64(n))
	}
}

func TestMemoryThenFileThenMemory(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, 16<<20)
	defer s.Close()
	var end int64
	add := func(n int) {
		t.Helper()
		if err := s.Append(text(end, n)); err != nil {
			t.Fatal(err)
		}
		end += int64(n)
	}
	add(1000)
	if s.file != nil {
		t.Error("a small log needs no file")
	}
	for range 5 { // round the rings several times
		add(15 << 20)
		if s.file == nil {
			t.Fatal("15 MiB are all in memory")
		}
		drain(t, s, end-500_000)
		add(7 << 20)
		drain(t, s, end)
	}
	info, err := s.file.Stat()
	if err != nil || info.Size() != 0 {
		t.Errorf("the empty spool's file has %d bytes, %v", info.Size(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) > 0 {
		t.Errorf("left in the folder: %q", names)
	}
	add(1000)
	if s.split != end {
		t.Error("memory is not used again")
	}
	drain(t, s, end)
}

func TestRandomUse(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, limit := range []int64{1, 10_000, memoryMax, memoryMax + 1, 2*memoryMax + 12_345} {
		s := New(t.TempDir(), limit)
		var end int64
		for range 60 {
			base, _ := s.Bounds()
			n := random.Int64N(limit-(end-base)) + 1
			if n = min(n, limit-(end-base)); n > 0 {
				if err := s.Append(text(end, int(n))); err != nil {
					t.Fatal(err)
				}
				end += n
			}
			drain(t, s, base+random.Int64N(end-base)+1)
			if base, _ := s.Bounds(); end-base == limit {
				drain(t, s, base+1)
			}
		}
		drain(t, s, end)
		s.Close()
	}
}

func TestFullSpoolWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(t.TempDir(), 100)
		done := make(chan error, 1)
		go func() { done <- s.Append(text(0, 250)) }()
		for _, upTo := range []int64{100, 200} {
			synctest.Wait()
			select {
			case <-done:
				t.Fatal("append returned though the spool was full")
			default:
			}
			if _, end := s.Bounds(); end != upTo {
				t.Fatalf("%d bytes taken, want %d", end, upTo)
			}
			drain(t, s, upTo)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		drain(t, s, 250)
	})
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(t.TempDir(), 10)
		done := make(chan error, 1)
		go func() { done <- s.Append(make([]byte, 11)) }()
		synctest.Wait()
		s.Close()
		s.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	})
}

func TestWithoutDiskMemoryMustDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(filepath.Join(t.TempDir(), "missing"), 3*memoryMax)
		done := make(chan error, 1)
		go func() { done <- s.Append(text(0, 2*memoryMax)) }()
		synctest.Wait()
		if _, end := s.Bounds(); end != memoryMax || !errors.Is(s.Trouble(), os.ErrNotExist) {
			t.Fatalf("%d bytes taken, trouble %v", end, s.Trouble())
		}
		drain(t, s, memoryMax)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		drain(t, s, 2*memoryMax)
	})
}

func TestWhatIsGoneIsRemarked(t *testing.T) {
	s := New(t.TempDir(), 1000)
	if err := s.Append(text(0, 200)); err != nil {
		t.Fatal(err)
	}
	s.Acknowledge(150)
	buf := make([]byte, 300)
	n := s.ReadAt(buf, 50)
	if n != 150 || !bytes.Equal(buf[100:n], text(150, 50)) {
		t.Fatalf("%d bytes: %q", n, buf[:n])
	}
	if want := "\n(this part of the log was lost) "; string(buf[:len(want)]) != want || buf[99] != '\n' {
		t.Errorf("the hole reads %q", buf[:100])
	}
	if n := s.ReadAt(buf, 200); n != 0 {
		t.Errorf("%d bytes beyond the end", n)
	}
	s.Acknowledge(9999) // more than there is
	if base, end := s.Bounds(); base != 200 || end != 200 {
		t.Errorf("bounds %d, %d", base, end)
	}
}
