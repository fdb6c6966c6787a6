package trigger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// TestReportTellsThatItRuns to a forge that shows it, once, and to no other: that
// would be told twice that a run is pending.
func TestReportTellsThatItRuns(t *testing.T) {
	for checks, want := range map[bool]string{true: "queued running success", false: "queued success"} {
		r := &trigger.Report{}
		var told []string
		tell := func() {
			t.Helper()
			for _, s := range r.Take("c", noon, noon.Add(time.Minute)) {
				word := string(s.State)
				switch {
				case s.Running:
					word = "running"
				case s.State == trigger.Pending:
					word = "queued"
				}
				told = append(told, word)
				r.Heard(emitter("f", noon), "c", []trigger.Telling{{Status: s, Checks: checks}}, 0)
			}
		}
		learn := func(sequence uint64, state trigger.State, running bool) {
			t.Helper()
			n := news("relevo/ci", "R1", 0, sequence, state)
			n.Running = running
			em := emitter("run-completed", noon)
			if !r.Learn(em, n) {
				t.Errorf("%d changes nothing", sequence)
			}
			if asks(em) != (checks || !running) {
				t.Errorf("checks %v, running %v: asks %v", checks, running, asks(em))
			}
		}
		learn(1, trigger.Pending, false)
		tell()
		learn(2, trigger.Pending, true)
		tell()
		tell()
		learn(3, trigger.Succeeded, false)
		tell()
		tell()
		if got := strings.Join(told, " "); got != want || !r.Due(time.Second, noon).IsZero() {
			t.Errorf("checks %v: told %s, want %s", checks, got, want)
		}
	}
}

// TestReportThatBeganAtOnce: what was not told yet is told as it is now.
func TestReportThatBeganAtOnce(t *testing.T) {
	r := &trigger.Report{}
	n := news("relevo/ci", "R1", 0, 1, trigger.Pending)
	r.Learn(emitter("f", noon), n)
	n.Running, n.Sequence = true, 2
	r.Learn(emitter("f", noon), n)
	got := r.Take("c", noon, noon.Add(time.Minute))
	if len(got) != 1 || !got[0].Running {
		t.Fatalf("%+v", got)
	}
	em := emitter("f", noon)
	r.Heard(em, "c", []trigger.Telling{{Status: got[0], Checks: true}}, 0)
	if asks(em) || len(r.Take("d", noon, noon.Add(time.Minute))) != 0 {
		t.Error("it is told again")
	}
}
