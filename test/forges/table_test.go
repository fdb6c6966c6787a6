package forges

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

// policy is what becomes of each event, by whose code it is about and who acts:
// dev may write to the repository, the stranger may read it.
//
//	none       nothing starts
//	trusted    a run of the repository's own code, with secrets
//	untrusted  a run of the base branch's pipeline, without
//	approved   a run of the fork's own pipeline, with secrets
//
// A run that is run again through the API has what it had.
const policy = `
event                        own/dev    own/stranger  fork/dev   fork/stranger
push                         trusted    trusted       -          -
issues                       trusted    bare          -          -
pull_request                 trusted    trusted       untrusted  untrusted
pull_request_target          none       none          none       none
pull_request_review          trusted    none          untrusted  none
pull_request_review_comment  trusted    none          untrusted  none
issue_comment                trusted    none          untrusted  none
/test                        trusted    none          untrusted  none
/retest                      trusted    none          untrusted  none
/ok-to-test                  trusted    none          approved   none
/cancel                      none       none          none       none
status                       none       none          none       none
`

// cells are what the words of the policy mean: the pool that the job waits in,
// the secret that its worker is given, and whose pipeline it is.
var cells = map[string]struct {
	pool   events.PoolID
	secret string
	script string // by the code; of a push and of an issue it is main's
}{
	"trusted":   {inprocess.Pool, deployKey, ""},
	"bare":      {"local-untrusted", "", ""}, // the repository's code, and a stranger who had it run
	"untrusted": {"local-untrusted", "", "make"},
	"approved":  {inprocess.Pool, deployKey, "stolen"},
}

const secretive = `name: build
on: [push, issues, pull_request, pull_request_review, pull_request_review_comment, issue_comment]
jobs: {fails: {steps: [{uses: actions/checkout@v4}, {run: make, env: {KEY: "${{ secrets.DEPLOY_KEY }}"}}]}}
`

// pulls makes the repository with a pull request of an own branch, #8, and one of
// a stranger's fork, #7.
func (r *rig) pulls() {
	r.t.Helper()
	r.commit(r.work, "main", "begin", ".relevo/build.yaml", secretive)
	r.forked = r.repository(fork)
	r.git(r.forked, "fetch", "-q", r.work, "HEAD")
	r.git(r.forked, "reset", "-q", "--hard", "FETCH_HEAD")
	r.steal("stolen")
	r.git(r.work, "checkout", "-q", "-b", "topic")
	head := r.commit(r.work, "topic", "mine", ".relevo/build.yaml", strings.Replace(secretive, "run: make", "run: mine", 1))
	r.git(r.work, "checkout", "-q", "main")
	r.server.SetPull(shop, trigger.Pull{
		Number: 8, Author: dev, Base: "main", Head: "topic", HeadSHA: head, From: trigger.Repository{Name: shop}, Open: true,
	})
}

// steal has the stranger push to their pull request what reads the secret.
func (r *rig) steal(script string) (head string) {
	r.t.Helper()
	return r.offer(7, strings.Replace(secretive, "run: make", "run: "+script, 1))
}

// happens posts an event about a pull request, or about the repository.
func (r *rig) happens(event string, number int, by trigger.Actor) client.Delivery {
	r.t.Helper()
	switch {
	case strings.HasPrefix(event, "/"):
		return r.deliver(r.server.Comment(shop, event, number, by))
	case event == "issue_comment":
		return r.deliver(r.server.Comment(shop, "thanks", number, by))
	case event == "push":
		return r.deliver(r.server.Push(shop, "refs/heads/main", "", r.git(r.work, "rev-parse", "main"), by))
	}
	d := r.server.Pull(shop, "opened", number, by)
	d.Event = event
	more := map[string]any{}
	switch event {
	case "pull_request_review":
		more["action"], more["review"] = "submitted", map[string]any{"body": "fine", "user": map[string]any{"login": by.Login}}
	case "pull_request_review_comment":
		more["action"], more["comment"] = "created", map[string]any{"body": "here", "user": map[string]any{"login": by.Login}}
	case "issues":
		more["pull_request"], more["issue"] = nil, map[string]any{"number": 1, "title": "help", "user": map[string]any{"login": by.Login}}
	}
	return r.deliver(with(r.t, d, more))
}

// with changes parts of a delivery's body.
func with(t *testing.T, d forgetest.Delivery, parts map[string]any) forgetest.Delivery {
	t.Helper()
	body := map[string]any{}
	err := json.Unmarshal(d.Body, &body)
	for key, part := range parts {
		if body[key] = part; part == nil {
			delete(body, key)
		}
	}
	if d.Body, err = json.Marshal(body); err != nil {
		t.Fatal(err)
	}
	return d
}

// is holds runs against a word of the policy: none, or one that is it.
func (r *rig) is(what, word, event string, runs []string) events.RunRequested {
	r.t.Helper()
	cell, starts := cells[word]
	if !starts {
		if word != "none" || len(runs) > 0 {
			r.t.Errorf("%s started %v, want %s", what, runs, word)
		}
		return events.RunRequested{}
	}
	if len(runs) != 1 {
		r.t.Fatalf("%s started %v, want %s", what, runs, word)
	}
	req, script := r.run(client.DeliveryOutcome{Result: "started", Run: runs[0]})
	want := cell.script
	if want == "" {
		want = map[bool]string{true: "make", false: "mine"}[event == "push" || event == "issues"]
	}
	got := r.given(req.Run)
	if got.pool != cell.pool || got.secret != cell.secret || script != want || req.Trigger.Untrusted != (cell.secret == "") {
		r.t.Errorf("%s: untrusted %v, in pool %s, with the secret %q, runs %s; want %s", what, req.Trigger.Untrusted, got.pool, got.secret, script, word)
	}
	if req.Trigger.Untrusted && (got.git != "" || got.noGit == "") {
		r.t.Errorf("%s: git is given %q (%s)", what, got.git, got.noGit)
	}
	return req
}

func (r *rig) requested(run string) events.RunRequested {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[events.RunID(run)]
}

func (r *rig) over(run string) {
	r.t.Helper()
	r.eventually("run "+run+" is over", func() bool {
		got, err := r.client.Run(r.t.Context(), run)
		return err == nil && got.Final()
	})
}

// TestTrust posts each event of the policy, signed, and follows what it starts
// to where a worker asks for the secret; then the same once more, run again.
func TestTrust(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(policy), "\n")
	columns := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		for _, code := range []string{"own", "fork"} {
			if code == "fork" && words[3] == "-" {
				continue // it is about no pull request
			}
			t.Run(words[0]+" "+code, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, forge.GitHub)
				r.pulls()
				for _, who := range []trigger.Actor{stranger, dev} { // whom dev lets in is in
					for i, column := range columns {
						if column == code+"/"+who.Login && words[i] != "-" {
							t.Run(who.Login, func(*testing.T) { r.cell(words[0], code, who, words[i]) })
						}
					}
				}
				r.clean()
			})
		}
	}
}

func (r *rig) cell(event, code string, by trigger.Actor, word string) {
	number := map[string]int{"own": 8, "fork": 7}[code]
	if event == "/retest" { // there is something that failed
		for _, run := range r.startedBy(r.happens("pull_request", number, by)) {
			r.over(run)
		}
	}
	d := r.happens(event, number, by)
	req := r.is(event+" of "+by.Login, word, event, r.startedBy(d))
	if word == "none" {
		if d.Reason == "" && len(d.Outcomes) == 0 {
			r.t.Errorf("nobody says why %s of %s starts nothing", event, by.Login)
		}
		return
	}
	if req.Trigger.Actor != by.Login {
		r.t.Errorf("the actor is %s", req.Trigger.Actor)
	}
	r.over(string(req.Run))
	again, err := r.client.RetryRun(r.t.Context(), string(req.Run), "")
	if err != nil {
		r.t.Fatalf("%s of %s, run again: %v", event, by.Login, err)
	}
	r.is(event+" of "+by.Login+", run again", word, event, []string{again.Run})
	r.over(again.Run)
}

// TestTrustAsThingsChange is the rest of the table: what people do in turn.
func TestTrustAsThingsChange(t *testing.T) {
	t.Parallel()
	one := func(r *rig, what, word string, d client.Delivery) string {
		r.t.Helper()
		run := string(r.is(what, word, "pull_request", r.startedBy(d)).Run)
		if run != "" {
			r.over(run)
		}
		return run
	}
	again := func(r *rig, run, word, why string) {
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
	for name, story := range map[string]func(r *rig){
		"a spoofed author": func(r *rig) { // every commit here says admin
			d := r.deliver(with(r.t, r.server.Pull(shop, "opened", 7, stranger), map[string]any{"pusher": map[string]any{"name": dev.Login}}))
			if run := one(r, "the fork's", "untrusted", d); r.requested(run).Trigger.Actor != stranger.Login {
				r.t.Error("the commit names the actor")
			}
		},
		"a changed pipeline": func(r *rig) {
			head := r.commit(r.forked, "feature", "more", ".relevo/own.yaml", "on: pull_request\njobs: {a: {steps: [{run: stolen}]}}\n")
			r.moved(7, head)
			one(r, "the fork's", "untrusted", r.pull("opened"))
		},
		"the head moves": func(r *rig) {
			run := one(r, "the first head", "untrusted", r.pull("opened"))
			r.steal("worse")
			one(r, "the second", "untrusted", r.pull("synchronize"))
			again(r, run, "none", "moved on")
			one(r, "/retest", "untrusted", r.comment("/retest", dev))
		},
		"approved, then pushed to": func(r *rig) {
			run := one(r, "/ok-to-test", "approved", r.comment("/ok-to-test", dev))
			r.steal("worse")
			again(r, run, "approved", "") // nobody has told of the push yet
			one(r, "the push", "untrusted", r.pull("synchronize"))
			again(r, run, "none", "moved on")
			one(r, "/test", "untrusted", r.comment("/test", dev))
			one(r, "/retest", "untrusted", r.comment("/retest", dev))
		},
		"the approval is void": func(r *rig) {
			run := one(r, "/ok-to-test", "approved", r.comment("/ok-to-test", dev))
			r.void()
			again(r, run, "none", "nobody approved it")
			one(r, "/retest", "untrusted", r.comment("/retest", dev))
		},
		"approved after it ran": func(r *rig) {
			run := one(r, "the pull request", "untrusted", r.pull("opened"))
			one(r, "/ok-to-test", "approved", r.comment("/ok-to-test", dev))
			again(r, run, "untrusted", "")
			one(r, "/retest", "approved", r.comment("/retest", dev))
			one(r, "reopened", "approved", r.pull("reopened"))
		},
		"another pull request is approved": func(r *rig) {
			one(r, "/ok-to-test", "approved", r.comment("/ok-to-test", dev))
			r.moved(9, r.git(r.forked, "rev-parse", "HEAD"))
			d := r.deliver(r.server.Pull(shop, "opened", 9, stranger))
			run := one(r, "the same commit elsewhere", "untrusted", d)
			one(r, "/retest there", "untrusted", r.deliver(r.server.Comment(shop, "/retest", 9, dev)))
			again(r, run, "untrusted", "")
		},
		"replayed after the approval": func(r *rig) {
			d := r.pull("opened")
			run := one(r, "the pull request", "untrusted", d)
			one(r, "/ok-to-test", "approved", r.comment("/ok-to-test", dev))
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
			run := one(r, "the pull request", "untrusted", r.pull("opened"))
			q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/v1/pipelines/"+run+"/retry", http.NoBody)
			q.RemoteAddr = "192.0.2.1:1"
			rec := httptest.NewRecorder()
			if r.http.ServeHTTP(rec, q); rec.Code != http.StatusForbidden {
				r.t.Errorf("a stranger to the API is answered %d", rec.Code)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, forge.GitHub)
			r.pulls()
			story(r)
			r.clean()
		})
	}
}

// void takes the approval back, as a review that is forgotten does.
func (r *rig) void() {
	r.t.Helper()
	err := r.host.Deps.Doors.ChangeReview(r.t.Context(), trigger.PullRef{Forge: r.kind, Repository: shop, Number: 7}, eachTime(func(v *trigger.Review) { v.Approval = nil }))
	if err != nil {
		r.t.Fatal(fmt.Errorf("void the approval: %w", err))
	}
}
