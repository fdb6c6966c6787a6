package statusrequested_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relevo-ci/relevo/events"
	statusrequested "github.com/relevo-ci/relevo/functions/status-requested"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

var commit = events.ReportRef{Forge: "github", Repository: "o/r", SHA: "1111111111111111111111111111111111111111"}

// source is a forge that is told, and answers by the context.
type source struct {
	forge.Forge
	told []string
	fail map[string]error
	hang bool
}

func (s *source) Name() string { return "github" }
func (s *source) Checks() bool { return false }

func (s *source) Tell(ctx context.Context, _, _ string, status trigger.Status) error {
	s.told = append(s.told, status.Context)
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.fail[status.Context]
}

// faulty is a store that fails to commit while it is told to.
type faulty struct {
	protocol.Store
	fail error
}

func (f *faulty) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if f.fail != nil {
		return protocol.Receipt{}, f.fail
	}
	return f.Store.Commit(ctx, c)
}

type rig struct {
	t     *testing.T
	store *faulty
	front *state.Front
	forge *source
	f     fn.Function
	ask   events.Envelope // for the telling
}

// newRig has a commit of which contexts are known, in that order.
func newRig(t *testing.T, contexts ...string) *rig {
	t.Helper()
	r := &rig{t: t, store: &faulty{Store: memory.New(time.Now, "test")}, forge: &source{fail: map[string]error{}}}
	committer := &state.Committer{Store: r.store}
	r.front = &state.Front{Committer: committer}
	runs := &state.Runs{Committer: committer, Policy: pipeline.DefaultPolicy()}
	r.f = statusrequested.New(r.front, runs, []forge.Forge{r.forge}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	begun := time.Now()
	for i, c := range contexts {
		cause := events.Envelope{ID: c, Time: begun}
		res, err := r.front.Learn(t.Context(), "run-completed", cause, commit, trigger.News{
			Status: trigger.Status{Context: c, State: trigger.Failed, Run: events.RunID(c)}, Requested: begun.Add(time.Duration(i) * time.Second), Sequence: 1,
		})
		if err != nil || len(res.Emitted) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		r.ask = res.Emitted[0]
	}
	return r
}

func (r *rig) handle() error {
	_, err := r.f.Handle(r.t.Context(), r.ask)
	return err
}

func (r *rig) report() trigger.Report {
	r.t.Helper()
	report, err := r.front.Report(r.t.Context(), commit)
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// TestInOrderAndOnce: however often it is asked for.
func TestInOrderAndOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "b", "a", "c")
	for range 3 {
		if err := r.handle(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(r.forge.told, " "); got != "b a c" {
		t.Errorf("it is told %s", got)
	}
}

// TestWhatAForgeAnswers: later means later, in order; never is not asked again
// and holds up none of the others.
func TestWhatAForgeAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail error
		told string // with "a", the second of three, failing
		wait time.Duration
	}{
		"later":       {&forge.Later{After: time.Hour, Err: errors.New("429")}, "b a", 59 * time.Minute},
		"away":        {&forge.Later{Err: errors.New("502")}, "b a", time.Second},
		"denied":      {forge.ErrDenied, "b a c", 0},
		"unsupported": {forge.ErrUnsupported, "b a c", 0},
		"gone":        {forge.ErrNotFound, "b a c", 0},
	} {
		r := newRig(t, "b", "a", "c")
		r.forge.fail["a"] = c.fail
		for range 2 { // the second finds that it is too early, or all told
			if err := r.handle(); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(r.forge.told, " "); got != c.told {
			t.Errorf("%s: it is told %s, want %s", name, got, c.told)
		}
		report := r.report()
		if late := time.Until(report.NotBefore); c.wait > 0 && late < c.wait || c.wait == 0 && late > 0 {
			t.Errorf("%s: the next try is in %v", name, late)
		}
		for _, k := range report.Contexts {
			if told := k.Told != nil; k.Context == "b" && !told || k.Context == "a" && (told || c.wait == 0 && k.Refused == "") {
				t.Errorf("%s: %s is noted as %+v", name, k.Context, k)
			}
		}
	}
}

// TestAForgeThatHangs is left while the claim on the telling still holds, and is
// told later: nothing is given up.
func TestAForgeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.forge.hang = true
		begun := time.Now()
		if err := r.handle(); err != nil {
			t.Fatal(err)
		}
		report := r.report()
		if took := time.Since(begun); took >= time.Minute || len(r.forge.told) != 1 || report.Tries != 1 || report.Contexts[0].Refused != "" {
			t.Errorf("after %v: told %v, %+v", took, r.forge.told, report)
		}
		time.Sleep(time.Minute)
		r.forge.hang = false
		if err := r.handle(); err != nil || len(r.forge.told) != 3 || r.report().Contexts[1].Told == nil {
			t.Errorf("%v: told %v", err, r.forge.told)
		}
	})
}

// TestNoForge: where nobody serves it any more, that is the end of it.
func TestNoForge(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a")
	f := statusrequested.New(r.front, nil, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if _, err := f.Handle(t.Context(), r.ask); err != nil {
		t.Fatal(err)
	}
	if k := r.report().Contexts[0]; !strings.Contains(k.Refused, "no forge github") {
		t.Errorf("it is noted as %+v", k)
	}
}

// TestTheStoreFails before anything is told: then nobody is told, and the event
// comes again.
func TestTheStoreFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a")
	r.store.fail = errors.New("away")
	if err := r.handle(); !errors.Is(err, r.store.fail) || len(r.forge.told) > 0 {
		t.Errorf("answered %v, told %v", err, r.forge.told)
	}
	r.store.fail = nil
	if err := r.handle(); err != nil || len(r.forge.told) != 1 {
		t.Errorf("answered %v, told %v", err, r.forge.told)
	}
}
