package forges

import (
	"encoding/json"
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
	if err := json.Unmarshal(d.Body, &body); err != nil {
		t.Fatal(err)
	}
	for key, part := range parts {
		if body[key] = part; part == nil {
			delete(body, key)
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	d.Body = text
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
