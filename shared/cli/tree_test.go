package cli

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// sound is what every picture has to be: without faults, the cursor back.
func sound(t *testing.T, v *vt) {
	t.Helper()
	if n := len(v.faults); n > 0 {
		t.Errorf("the terminal complains %d times, first: %s", n, v.faults[0])
	}
	if v.hidden || !v.wrap {
		t.Errorf("the terminal is left with hidden cursor %v, wrapping %v", v.hidden, v.wrap)
	}
}

func TestTreeShowsARun(t *testing.T) {
	for _, size := range []struct{ cols, rows int }{{80, 24}, {200, 24}, {20, 24}, {80, 5}} {
		t.Run(fmt.Sprintf("%dx%d", size.cols, size.rows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				screen := newVT(size.cols, size.rows)
				tree := NewTree(screen, screen.size, release, Options{Colour: true})
				s := newScript(t, tree, release)
				s.sleep = func(d time.Duration) { time.Sleep(d) }
				var film strings.Builder
				playRelease(s, func(name string) {
					time.Sleep(frameTime)
					synctest.Wait()
					fmt.Fprintf(&film, "--- %s\n%s", name, screen.screen())
				})
				tree.Close()
				fmt.Fprintf(&film, "--- the end\n%s", screen.all())
				golden(t, fmt.Sprintf("release.%dx%d", size.cols, size.rows), film.String())
				sound(t, screen)
			})
		})
	}
}

func TestTreeInLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newVT(80, 24)
		tree := NewTree(screen, screen.size, release, Options{ASCII: true})
		s := newScript(t, tree, release)
		s.sleep = func(d time.Duration) { time.Sleep(d) }
		playRelease(s, func(string) {})
		tree.Close()
		golden(t, "release.letters", screen.all())
		sound(t, screen)
		if len(screen.styles) > 0 {
			t.Errorf("styles %v without colour", screen.styles)
		}
	})
}

// However many jobs there are, the picture never outgrows the terminal.
func TestTreeFoldsWhatHasNoRoom(t *testing.T) {
	for _, rows := range []int{40, 12, 5, 2, 1} {
		t.Run(strconv.Itoa(rows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				screen := newVT(60, max(rows, 2))
				plan := wide(40)
				tree := NewTree(screen, func() (int, int) { return 60, rows }, plan, Options{Colour: true})
				s := newScript(t, tree, plan)
				s.sleep = func(d time.Duration) { time.Sleep(d) }
				playWide(s)
				time.Sleep(frameTime)
				synctest.Wait()
				if screen.top > 0 {
					t.Errorf("%d rows scrolled off", screen.top)
				}
				golden(t, fmt.Sprintf("wide.%d", rows), screen.screen())
				tree.Close()
				if rows == 12 {
					golden(t, "wide.end", screen.all())
				}
				sound(t, screen)
			})
		})
	}
}

// The tree is painted at most ten times a second, and not at all while nothing
// changes.
func TestTreePaintsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newVT(80, 24)
		tree := NewTree(screen, screen.size, release, Options{})
		s := newScript(t, tree, release)
		time.Sleep(time.Second)
		synctest.Wait()
		before := screen.writes
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := screen.writes - before; n != 0 {
			t.Errorf("%d paintings of a run that has not begun", n)
		}
		s.now = time.Now()
		s.begin()
		a := s.job("docs", 1).run()
		for range 10000 {
			time.Sleep(time.Millisecond)
			a.log("a line, and one more\n")
		}
		synctest.Wait()
		n := screen.writes - before
		if most := int(10 * time.Second / frameTime); n < most/2 || n > most {
			t.Errorf("%d paintings in 10s, want at most %d", n, most)
		}
		if per := screen.bytes / screen.writes; per > 300 {
			t.Errorf("%d bytes a painting: lines that stay the same are to be left alone", per)
		}
		tree.Close()
	})
}

func TestTreeOutlivesResizing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newVT(100, 20)
		screen.Write([]byte("$ relevo run\r\n"))
		tree := NewTree(screen, screen.size, release, Options{Colour: true})
		s := newScript(t, tree, release)
		s.begin()
		docs := s.job("docs", 1).run().step("0", "Run make docs")
		docs.log("a line of some length, so that it has to be cut somewhere, and then some more\n")
		lint := s.job("lint", 1).run().step("0", "Run make lint")
		lint.log("another that is long enough to be continued in the next row of the terminal\n")
		time.Sleep(frameTime)
		synctest.Wait()
		lint.completed() // its line, and all below, become shorter
		var film strings.Builder
		for _, size := range []struct{ cols, rows int }{{60, 20}, {30, 20}, {31, 12}, {80, 24}, {79, 24}, {25, 24}, {120, 30}} {
			time.Sleep(frameTime)
			synctest.Wait()
			screen.resize(size.cols, size.rows)
			time.Sleep(frameTime)
			synctest.Wait()
			fmt.Fprintf(&film, "--- %dx%d\n%s", size.cols, size.rows, screen.all())
		}
		s.now = time.Now()
		tree.Notice("a notice\nthat stays")
		docs.log("x\n")
		time.Sleep(frameTime)
		synctest.Wait()
		fmt.Fprintf(&film, "--- after a notice\n%s", screen.all())
		golden(t, "resized", film.String())
		tree.Close()
		sound(t, screen)
	})
}

func TestTreeWithoutASize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newVT(80, 24)
		tree := NewTree(screen, func() (int, int) { return 0, 0 }, wide(300), Options{})
		tree.Notice("before\tthe \x1b[2Jfirst picture")
		time.Sleep(frameTime)
		synctest.Wait()
		if got := screen.screen(); !strings.HasPrefix(got, "before the first picture\nwide") {
			t.Errorf("the screen is\n%s", got)
		}
		tree.Close()
		tree.Close()
		tree.Notice("late")
		tree.Event(events.Envelope{})
		tree.Log(events.AttemptRef{}, []byte("late"))
		sound(t, screen)
	})
}

// The events' clock may be another one than the terminal's.
func TestTreeCountsInTheClockOfTheEvents(t *testing.T) {
	for _, skew := range []time.Duration{-26 * time.Hour, 0, 26 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			screen := newVT(80, 24)
			tree := NewTree(screen, screen.size, Plan{Run: testRun, Pipeline: "ci"}, Options{})
			s := newScript(t, tree, Plan{})
			s.now = s.now.Add(skew - 10*time.Minute) // this one comes late
			s.emit(events.RunRequested{RunRef: s.runRef(), Spec: []byte(`{}`)})
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if got := screen.screen(); got != "ci · 3s · waiting to start · "+string(testRun)+"\n" {
				t.Errorf("skewed by %s the screen is %s", skew, got)
			}
			s.now = s.now.Add(10*time.Minute + 3*time.Second)
			s.emit(events.RunStarted{RunRef: s.runRef()})
			s.job("build", 1).run()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := screen.screen(); !strings.HasPrefix(got, "ci · 10m05s · 0/1 done") || !strings.Contains(got, "build        2s") {
				t.Errorf("skewed by %s the screen is %s", skew, got)
			}
			tree.Close()
		})
	}
}
