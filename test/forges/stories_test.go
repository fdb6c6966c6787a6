package forges

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// stories are the rest of the table: what people do in turn.
var stories = map[string]func(r *rig){
	"a spoofed author": func(r *rig) { // every commit here says admin
		d := r.deliver(with(r.t, r.server.Pull(shop, "opened", 7, stranger), map[string]any{"pusher": map[string]any{"name": dev.Login}}))
		if run := r.one("the fork's", "untrusted", d); r.requested(run).Trigger.Actor != stranger.Login {
			r.t.Error("the commit names the actor")
		}
	},
	"a changed pipeline": func(r *rig) {
		head := r.commit(r.forked, "feature", "more", ".relevo/own.yaml", "on: pull_request\njobs: {a: {steps: [{run: stolen}]}}\n")
		r.moved(7, head)
		r.one("the fork's", "untrusted", r.pull("opened"))
	},
	"the head moves": func(r *rig) {
		run := r.one("the first head", "untrusted", r.pull("opened"))
		r.steal("worse")
		r.one("the second", "untrusted", r.pull("synchronize"))
		r.again(run, "none", "moved on")
		r.one("/retest", "untrusted", r.comment("/retest", dev))
	},
	"approved, then pushed to": func(r *rig) {
		run := r.one("/ok-to-test", "approved", r.comment("/ok-to-test", dev))
		r.steal("worse")
		r.again(run, "approved", "") // nobody has told of the push yet
		r.one("the push", "untrusted", r.pull("synchronize"))
		r.again(run, "none", "moved on")
		r.one("/test", "untrusted", r.comment("/test", dev))
		r.one("/retest", "untrusted", r.comment("/retest", dev))
	},
	"the approval is void": func(r *rig) {
		run := r.one("/ok-to-test", "approved", r.comment("/ok-to-test", dev))
		r.void()
		r.again(run, "none", "nobody approved it")
		r.one("/retest", "untrusted", r.comment("/retest", dev))
	},
	"approved after it ran": func(r *rig) {
		run := r.one("the pull request", "untrusted", r.pull("opened"))
		r.one("/ok-to-test", "approved", r.comment("/ok-to-test", dev))
		r.again(run, "untrusted", "")
		r.one("/retest", "approved", r.comment("/retest", dev))
		r.one("reopened", "approved", r.pull("reopened"))
	},
	"another pull request is approved": func(r *rig) {
		r.one("/ok-to-test", "approved", r.comment("/ok-to-test", dev))
		r.moved(9, r.git(r.forked, "rev-parse", "HEAD"))
		d := r.deliver(r.server.Pull(shop, "opened", 9, stranger))
		run := r.one("the same commit elsewhere", "untrusted", d)
		r.one("/retest there", "untrusted", r.deliver(r.server.Comment(shop, "/retest", 9, dev)))
		r.again(run, "untrusted", "")
	},
	"replayed after the approval": func(r *rig) {
		d := r.pull("opened")
		run := r.one("the pull request", "untrusted", d)
		r.one("/ok-to-test", "approved", r.comment("/ok-to-test", dev))
		before := len(r.started())
		if _, err := r.client.ReplayDelivery(r.t.Context(), d.ID); err != nil {
			r.t.Fatal(err)
		}
		r.eventually("it is worked on", func() bool { return r.done(d.ID).Round == 2 })
		if n := len(r.started()); n != before || !r.requested(run).Trigger.Untrusted {
			r.t.Errorf("the replay started %d runs", n-before)
		}
	},
	"from elsewhere, by nobody": func(r *rig) {
		run := r.one("the pull request", "untrusted", r.pull("opened"))
		q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/v1/pipelines/"+run+"/retry", http.NoBody)
		q.RemoteAddr = "192.0.2.1:1"
		rec := httptest.NewRecorder()
		if r.http.ServeHTTP(rec, q); rec.Code != http.StatusForbidden {
			r.t.Errorf("a stranger to the API is answered %d", rec.Code)
		}
	},
}

func TestTrustAsThingsChange(t *testing.T) {
	t.Parallel()
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, forge.GitHub)
			r.pulls()
			story(r)
			r.clean()
		})
	}
}

// one holds what a delivery came to against a word of the policy, and waits until
// that is over.
func (r *rig) one(what, word string, d client.Delivery) (run string) {
	r.t.Helper()
	if run = string(r.is(what, word, "pull_request", r.startedBy(d)).Run); run != "" {
		r.over(run)
	}
	return run
}

// again has a run run again through the API.
func (r *rig) again(run, word, why string) {
	r.t.Helper()
	got, err := r.client.RetryRun(r.t.Context(), run, "")
	if word == "none" {
		if !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), why) {
			r.t.Errorf("run again: %+v, %v; want that %s", got, err, why)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.is("run again", word, "pull_request", []string{got.Run})
	r.over(got.Run)
}

// void takes the approval back, as a review that is forgotten does.
func (r *rig) void() {
	r.t.Helper()
	err := r.host.Deps.Doors.ChangeReview(r.t.Context(), trigger.PullRef{Forge: r.kind, Repository: shop, Number: 7}, eachTime(func(v *trigger.Review) { v.Approval = nil }))
	if err != nil {
		r.t.Fatal(fmt.Errorf("void the approval: %w", err))
	}
}
