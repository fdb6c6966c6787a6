package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/relevo-ci/relevo/events"
)

// TestScripts runs the scripts of testdata. Each is a feature: pipelines, how
// relevo is called on them, and what is seen of that.
//
// Besides what testscript offers they know:
//
//	exits STATUS PROGRAM ARGS…       run a program and want its exit status
//	events FILE N TYPE [KEY=VALUE…]  want N events of a type (without dev.relevo.
//	                                 and .v1) whose payload has these values;
//	                                 every line must keep its schema
func TestScripts(t *testing.T) {
	t.Parallel()
	// A short one, for the addresses of sockets.
	work, err := os.MkdirTemp("", "rs-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata", WorkdirRoot: work, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			temp := filepath.Join(env.WorkDir, ".t")
			env.Setenv("TMPDIR", temp)
			env.Setenv("SAMPLES", filepath.Dir(sample(t, "diamond.yaml")))
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return os.Mkdir(temp, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "events": wantEvents},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func wantEvents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: events FILE N TYPE [KEY=VALUE…]")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	typ := events.Type("dev.relevo." + args[2] + ".v1")
	if _, ok := events.Find(typ); !ok {
		ts.Fatalf("no event type %s", typ)
	}
	tr, err := readTrace(ts.MkAbs(args[0]))
	ts.Check(err)
	got := 0
	for _, e := range tr.of(typ) {
		if !slices.ContainsFunc(args[3:], func(kv string) bool { return !has(e, kv) }) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d events %s, want %d; there are:\n%s", got, strings.Join(args[2:], " "), want, list(tr.of(typ)))
	}
}

// has tells whether an event's payload has a value, as in job=a or
// step.outcome=failure.
func has(e events.Envelope, kv string) bool {
	path, want, _ := strings.Cut(kv, "=")
	var value any
	if json.Unmarshal(e.Data, &value) != nil {
		return false
	}
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := value.(map[string]any)
		if !ok {
			return false
		}
		value = fields[name]
	}
	return fmt.Sprint(value) == want
}

func list(tr trace) string {
	var b strings.Builder
	for _, e := range tr {
		fmt.Fprintf(&b, "%s\n", e.Data)
	}
	return b.String()
}
