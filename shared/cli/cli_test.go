package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

func TestDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-time.Second:                            "0ms",
		0:                                       "0ms",
		850 * time.Millisecond:                  "850ms",
		999600 * time.Microsecond:               "1.0s",
		4210 * time.Millisecond:                 "4.2s",
		59949 * time.Millisecond:                "59.9s",
		59950 * time.Millisecond:                "1m00s",
		3*time.Minute + 7*time.Second:           "3m07s",
		59*time.Minute + 59600*time.Millisecond: "1h00m",
		26*time.Hour + 2*time.Minute:            "26h02m",
	} {
		if got := Duration(in); got != want {
			t.Errorf("%d: got %s, want %s", in, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	ref := events.RunRef{Run: testRun}
	for _, c := range []struct {
		data events.Data
		want int
	}{
		{events.RunCompleted{RunRef: ref}, 0},
		{events.RunFailed{RunRef: ref, Verdict: events.Failed}, 1},
		{events.RunFailed{RunRef: ref, Verdict: events.Timeout}, 1},
		{events.RunFailed{RunRef: ref, Verdict: events.Infra}, 3},
		{events.RunFailed{RunRef: ref, Verdict: events.Rejected}, 3},
		{events.RunCancelled{RunRef: ref}, 130},
		{events.RunStarted{RunRef: ref}, 3},
	} {
		e, err := events.New("1", "/relevo/test", "", start, c.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := ExitCode(e); got != c.want {
			t.Errorf("%s %s: got %d, want %d", e.Type, e.Data, got, c.want)
		}
	}
	if got := ExitCode(events.Envelope{Type: events.TypeRunFailed, Data: []byte("null")}); got != 3 {
		t.Errorf("an event that cannot be read: got %d, want 3", got)
	}
}

func ExampleTable() {
	_ = Table(os.Stdout, 40, []string{"POOL", "NODE", "WAITS"}, [][]string{
		{"linux", "n1", "lacks the label \"gpu\", and more that is not to be read"},
		{"日本", "a-node-with-a-long-name", ""},
	})
	// Output:
	// POOL   NODE             WAITS
	// linux  n1               lacks the label…
	// 日本   a-node-with-a-…
}

func ExampleDuration() {
	fmt.Println(Duration(850*time.Millisecond), Duration(4200*time.Millisecond), Duration(187*time.Second))
	// Output: 850ms 4.2s 3m07s
}

func TestTableFitsTheTerminal(t *testing.T) {
	rows := [][]string{{"a\nb", strings.Repeat("wide ", 40), "日本日本日本日本", "x"}, {"\x1b[2Jc"}, {}}
	for cols := 1; cols < 260; cols++ {
		var out bytes.Buffer
		if err := Table(&out, cols, []string{"ONE", "TWO", "THREE", "FOUR", "FIVE"}, rows); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d columns: %d lines", cols, len(lines))
		}
		for _, line := range lines {
			if cells(line) > cols {
				t.Errorf("%d columns: a line takes %d: %q", cols, cells(line), line)
			}
		}
	}
}

func TestScreenOfAFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := ScreenOf(f, Environment{Term: "xterm", Locale: "de_DE.UTF-8"})
	if cols, rows := s.Size(); s.Terminal || s.Colour || s.ASCII || cols != 0 || rows != 0 {
		t.Errorf("a file is %+v of size %d, %d", s, cols, rows)
	}
	if s := ScreenOf(f, Environment{Locale: "C"}); !s.ASCII {
		t.Error("glyphs in the locale C")
	}
}

func TestNewChoosesTheView(t *testing.T) {
	size := func() (int, int) { return 80, 24 }
	for _, c := range []struct {
		screen Screen
		tree   bool
	}{
		{Screen{Terminal: true, Options: Options{Colour: true}, Size: size}, true},
		{Screen{Terminal: true, Size: size}, false},
		{Screen{Options: Options{Colour: true}, Size: size}, false},
	} {
		v := New(&bytes.Buffer{}, c.screen, Plan{})
		if _, ok := v.(*Tree); ok != c.tree {
			t.Errorf("%+v gives a %T", c.screen, v)
		}
		v.Close()
	}
}

func TestPlanOf(t *testing.T) {
	name := expression.Template{Parts: []expression.Part{{Text: "test "}, {Expr: &expression.Node{}}}}
	named := expression.Text("Compile")
	spec := &pipeline.Spec{Name: "ci", Jobs: []pipeline.JobSpec{
		{Key: "build", ID: "build", Name: expression.Text("Build it"), Steps: []pipeline.StepSpec{
			{Name: &named, Run: expression.Text("make")},
			{Run: expression.Text("\n  make test\nmake more")},
		}},
		{Key: "test.0", ID: "test", Name: name, Needs: []string{"build"}},
	}}
	got := PlanOf(testRun, spec)
	if got.Run != testRun || got.Pipeline != "ci" || len(got.Jobs) != 2 {
		t.Fatalf("got %+v", got)
	}
	if j := got.Jobs[0]; j.Key != "build" || j.Name != "Build it" || !slices.Equal(j.Steps, []string{"Compile", "Run make test"}) {
		t.Errorf("got %+v", j)
	}
	if j := got.Jobs[1]; j.Name != "test.0" || !slices.Equal(j.Needs, []string{"build"}) {
		t.Errorf("got %+v", j)
	}
}

func TestSummaryOfElsewhere(t *testing.T) {
	var out bytes.Buffer
	s := Summary{Run: testRun, Verdict: events.Infra, Reason: "lost\x1b[2J", Took: time.Minute, Jobs: []JobSummary{
		{Name: "a long name that has to be cut", Result: "infra", Took: time.Minute, Attempts: 2, Reason: "gone\x07", Failure: &Failure{Step: "make"}},
	}}
	if err := s.Write(&out, 40); err != nil {
		t.Fatal(err)
	}
	want := `JOB              RESULT  TIME   ATTEMPTS
a long name th…  infra   1m00s  2

a long name that has to be cut, step "make": gone

run 01JD3ZT4Q8N6W1YV5K7E9RBXHM failed (infra) after 1m00s: lost
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
