package deliveryreceived_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

const (
	sha   = "1111111111111111111111111111111111111111"
	file  = ".relevo/build.yaml"
	built = "name: build\non: [push, pull_request, issue_comment]\njobs: {a: {steps: [{run: make}]}}\n"
)

// source is a forge that has one repository, and says what a test tells it to.
type source struct {
	forge.Forge
	h     trigger.Happening
	files map[string]string
	pull  trigger.Pull
	level trigger.Level
	fail  error            // of whatever it is asked
	lost  map[string]error // of a repository's head, or the files of a commit
	parse error
}

func (s *source) Name() string { return "github" }

func (s *source) Parse(_ http.Header, body []byte) (trigger.Happening, error) {
	h := s.h
	h.Forge, h.Payload = "github", body
	return h, s.parse
}

func (s *source) Files(_ context.Context, _, sha, folder string) ([]string, error) {
	if err := s.lost[sha]; err != nil {
		return nil, err
	}
	var paths []string
	for p := range s.files {
		if strings.HasPrefix(p, folder+"/") {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths, s.fail
}

func (s *source) File(_ context.Context, _, _, path string) ([]byte, error) {
	text, ok := s.files[path]
	if !ok || text == "" {
		return nil, forge.ErrNotFound
	}
	return []byte(text), s.fail
}

func (s *source) Level(context.Context, string, string) (trigger.Level, error) {
	return s.level, s.fail
}
func (s *source) Pull(context.Context, string, int) (trigger.Pull, error) { return s.pull, s.fail }
func (s *source) Head(_ context.Context, repository, _ string) (string, error) {
	return sha, cmp.Or(s.lost[repository], s.fail)
}
func (s *source) Message(context.Context, string, string) (string, error) { return "more", s.fail }

// faulty is a store that fails to commit while it is told to.
type faulty struct {
	protocol.Store
	fail func(c protocol.Commit) error
}

func (f *faulty) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if f.fail != nil {
		if err := f.fail(c); err != nil {
			return protocol.Receipt{}, err
		}
	}
	return f.Store.Commit(ctx, c)
}

type rig struct {
	t     *testing.T
	work  *deliveryreceived.Work
	store *faulty
	forge *source
	f     fn.Function
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, store: &faulty{Store: memory.New(time.Now, "test")}, forge: &source{
		files: map[string]string{file: built}, level: trigger.Write,
		h: trigger.Happening{Event: "push", Repository: trigger.Repository{Name: "o/r", DefaultBranch: "main"}, Actor: trigger.Actor{Login: "dev"}, Ref: "refs/heads/x", SHA: sha, Message: "m"},
	}}
	committer := &state.Committer{Store: r.store}
	r.work = &deliveryreceived.Work{
		Front: &state.Front{Committer: committer}, Runs: &state.Runs{Committer: committer, Policy: pipeline.DefaultPolicy()},
		Forges: []forge.Forge{r.forge}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	r.f = deliveryreceived.New(r.work)
	return r
}

// receive puts a delivery into the ledger, and gives its event.
func (r *rig) receive(from, body string) events.Envelope {
	r.t.Helper()
	got, err := r.work.Front.Receive(r.t.Context(), "webhook", trigger.Arrival{Source: from, Event: "push"}, []byte(body))
	if err != nil || len(got.Emitted) != 1 {
		r.t.Fatalf("%+v, %v", got, err)
	}
	return got.Emitted[0]
}

func (r *rig) delivery(e events.Envelope) trigger.Delivery {
	r.t.Helper()
	ev, err := events.Decode[events.DeliveryReceived](e)
	if err != nil {
		r.t.Fatal(err)
	}
	d, _, err := r.work.Front.Delivery(r.t.Context(), ev.Data.Delivery)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// TestTwice: the same event again does nothing, and a store that fails on the
// way is no end: the event comes again and finds what is there.
func TestTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := r.receive("github", "{}")
	away := errors.New("away")
	for _, last := range []bool{false, true} { // before the run stands, and after
		r.store.fail = func(c protocol.Commit) error {
			front := strings.HasPrefix(string(c.Partition), state.FrontPrefix)
			if !front && !last || front && last && slices.ContainsFunc(c.Puts, func(d protocol.Doc) bool { return strings.Contains(string(d.Body), `"started"`) }) {
				return away
			}
			return nil
		}
		if _, err := r.f.Handle(t.Context(), e); !errors.Is(err, away) {
			t.Errorf("the store's failure is answered %v", err)
		}
	}
	r.store.fail = nil
	out, err := r.f.Handle(t.Context(), e)
	d := r.delivery(e)
	if err != nil || d.State != trigger.Done || len(d.Outcomes) != 1 || d.Outcomes[0].Result != trigger.Started {
		t.Fatalf("%+v, %v", d, err)
	}
	if len(out) == 0 || out[0].Type != events.TypeRunRequested {
		t.Errorf("emitted %+v", out)
	}
	if again, err := r.f.Handle(t.Context(), e); err != nil || len(again) != 0 {
		t.Errorf("once more: %+v, %v", again, err)
	}
}

// TestWhatAForgeDoesNotAnswer is asked again later, or stands in the delivery.
func TestWhatAForgeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	later := &forge.Later{After: time.Hour, Err: errors.New("429")}
	for name, c := range map[string]struct {
		set   func(r *rig)
		state trigger.DeliveryState
		says  string
		wait  time.Duration
	}{
		"later":            {func(r *rig) { r.forge.fail = later }, trigger.Received, "429", 59 * time.Minute},
		"away":             {func(r *rig) { r.forge.fail = &forge.Later{Err: errors.New("502")} }, trigger.Received, "502", time.Second},
		"denied":           {func(r *rig) { r.forge.fail = forge.ErrDenied }, trigger.Done, "the token may not do that", 0},
		"no commit yet":    {func(r *rig) { r.forge.h.SHA, r.forge.fail = "", forge.ErrNotFound }, trigger.Received, "no such thing", time.Second},
		"no body":          {func(r *rig) { r.forge.parse = forge.ErrBody }, trigger.Refused, "cannot be read any more", 0},
		"not served":       {func(r *rig) { r.work.Forges = nil }, trigger.Done, "no forge github is served", 0},
		"no files":         {func(r *rig) { r.forge.files = nil }, trigger.Done, "there is no pipeline file", 0},
		"a file is a link": {func(r *rig) { r.forge.files[file] = "" }, trigger.Done, "there is no pipeline file", 0},
		"too many files": {func(r *rig) {
			for i := range 101 {
				r.forge.files[fmt.Sprintf(".relevo/%d.yaml", i)] = built
			}
		}, trigger.Done, "more than 100 pipeline files", 0},
		"gone": {func(r *rig) { r.forge.h.Deleted = true }, trigger.Done, "the branch x was deleted", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.set(r)
			e := r.receive("github", "{}")
			if _, err := r.f.Handle(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			d := r.delivery(e)
			said := d.Reason
			for _, o := range d.Outcomes {
				said += o.Reason
			}
			if d.State != c.state || !strings.Contains(said, c.says) || c.wait > 0 && time.Until(d.NotBefore) < c.wait {
				t.Errorf("it is %s, not before %v, and says %q", d.State, d.NotBefore, said)
			}
			if early, err := r.f.Handle(t.Context(), e); c.wait > 0 && (err != nil || len(early) > 0 || r.delivery(e).Tries != d.Tries) {
				t.Errorf("it is worked on before its time: %v, %v", early, err)
			}
		})
	}
}

// TestGone: what the ledger dropped meanwhile is nobody's work any more.
func TestGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e, err := events.New("1", "/relevo/webhook", "", time.Now(), events.DeliveryReceived{DeliveryRef: events.DeliveryRef{Delivery: "gone"}, Source: "github", Event: "push", Round: 1})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := r.f.Handle(t.Context(), e); err != nil || len(out) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestUnreadable: a tick or an event that cannot be read is done, and says so.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"schedule", "cloudevent"} {
		r := newRig(t)
		e := r.receive(from, "no JSON")
		if _, err := r.f.Handle(t.Context(), e); err != nil {
			t.Error(err)
		}
		if d := r.delivery(e); d.State != trigger.Done || !strings.Contains(d.Reason, "cannot be read") {
			t.Errorf("%s: %+v", from, d)
		}
	}
}

// TestCommandsOnWhatIsGone: runs that nothing is known of any more hold no
// command up; and of a closed pull request only /cancel is obeyed.
func TestCommandsOnWhatIsGone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says string
		open bool
		want string
	}{
		"/cancel":           {"/cancel", true, "cancelled 0 runs of pull request 7"},
		"/retest":           {"/retest", true, "nothing of pull request 7 failed"},
		"/cancel, closed":   {"/cancel", false, "cancelled 0 runs"},
		"/test, closed":     {"/test", false, "#7 is closed"},
		"two, one too many": {"/cancel\n/retest", true, "cancelled 0 runs of pull request 7; nothing of pull request 7 failed"},
	} {
		r := newRig(t)
		own := trigger.Repository{Name: "o/r"}
		r.forge.pull = trigger.Pull{Number: 7, Base: "main", Head: "x", HeadSHA: sha, From: own, Open: c.open}
		r.forge.h = trigger.Happening{
			Event: "issue_comment", Action: "created", Repository: own, Actor: trigger.Actor{Login: "dev"},
			Comment: &trigger.Comment{Body: c.says, Issue: 7, OnPull: true}, Pull: &trigger.Pull{Number: 7},
		}
		ref := trigger.PullRef{Forge: "github", Repository: "o/r", Number: 7}
		err := r.work.Front.ChangeReview(t.Context(), ref, func(v *trigger.Review, _ time.Time) bool {
			return v.Ran(trigger.PullRun{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0", File: file, SHA: sha})
		})
		if err != nil {
			t.Fatal(err)
		}
		e := r.receive("github", "{}")
		if _, err := r.f.Handle(t.Context(), e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := r.delivery(e); d.State != trigger.Done || !strings.Contains(d.Reason, c.want) {
			t.Errorf("%s came to %+v", name, d)
		}
	}
}

// TestLongPayload: what is too long for an event goes without its longest parts.
func TestLongPayload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body, err := json.Marshal(map[string]any{"ref": "refs/heads/x", "commits": strings.Repeat("x", 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	e := r.receive("github", string(body))
	out, err := r.f.Handle(t.Context(), e)
	if err != nil || len(out) == 0 {
		t.Fatalf("%v, %v", out, err)
	}
	req, err := events.Decode[events.RunRequested](out[0])
	if err != nil {
		t.Fatal(err)
	}
	if p := string(req.Data.Trigger.Payload); strings.Contains(p, "commits") || !strings.Contains(p, "refs/heads/x") {
		t.Errorf("it carries %.100s", p)
	}
}
