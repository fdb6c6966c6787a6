package deliveryreceived_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

func (r *rig) started(e events.Envelope) string {
	r.t.Helper()
	if _, err := r.f.Handle(r.t.Context(), e); err != nil {
		r.t.Fatal(err)
	}
	var files []string
	for _, o := range r.delivery(e).Outcomes {
		if o.Result == trigger.Started {
			files = append(files, o.File)
		}
	}
	return strings.Join(files, ", ")
}

// TestARepositoryThatIsGone: the pipelines of the others start on the event.
func TestARepositoryThatIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.forge.files = map[string]string{file: "name: c\non: {cloudevent: {type: com.x}}\njobs: {a: {steps: [{run: make}]}}\n"}
	for _, repository := range []string{"o/a", "o/b", "o/c"} {
		if err := r.work.Front.SetSubscriptions(t.Context(), "github", repository, time.Now(), []trigger.Subscription{{File: file, Branch: "main", Type: "com.x"}}); err != nil {
			t.Fatal(err)
		}
	}
	r.forge.lost = map[string]error{"o/a": forge.ErrDenied}
	e := r.receive("cloudevent", `{"type": "com.x", "source": "s"}`)
	if got := r.started(e); got != file+" (github/o/b), "+file+" (github/o/c)" {
		t.Errorf("started %s", got)
	}
	if d := r.delivery(e); d.State != trigger.Done || !strings.Contains(d.Reason, "o/a") {
		t.Errorf("%+v", d)
	}
	r.forge.lost = map[string]error{"o/b": &forge.Later{Err: forge.ErrUnsupported}}
	e = r.receive("cloudevent", `{"type": "com.x", "source": "later"}`)
	out, err := r.f.Handle(t.Context(), e)
	if d := r.delivery(e); err != nil || d.State != trigger.Received || len(out) != 2 {
		t.Errorf("%v, %d events, %+v", err, len(out), d)
	}
}

// TestOneOfSeveralRefs: what a forge says of one ends none of the others.
func TestOneOfSeveralRefs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	also := r.forge.h
	also.Ref, also.SHA = "refs/heads/y", strings.Repeat("2", 40)
	r.forge.h.Also = []trigger.Happening{also}
	for lost, want := range map[string]string{sha: file + " (refs/heads/y)", also.SHA: file} {
		r.forge.lost = map[string]error{lost: forge.ErrDenied}
		if got := r.started(r.receive("github", fmt.Sprintf("{%q: 1}", lost))); got != want {
			t.Errorf("started %s, want %s", got, want)
		}
	}
}
