package forges

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// withPull makes the repository with a pipeline, its fork, and a pull request of a
// stranger's that changes the pipeline.
func (r *rig) withPull() (head string) {
	r.t.Helper()
	r.pushed()
	r.forked = r.repository(fork)
	r.git(r.forked, "fetch", "-q", r.work, "HEAD")
	r.git(r.forked, "reset", "-q", "--hard", "FETCH_HEAD")
	return r.move("stolen")
}

// move has the stranger push to the pull request: their pipeline runs a script of
// theirs.
func (r *rig) move(script string) (head string) {
	r.t.Helper()
	head = r.commit(r.forked, "feature", "improve", ".relevo/build.yaml", strings.Replace(build, "make", script, 1))
	// As on a forge, the repository has the commits of its pull requests.
	r.git(r.work, "fetch", "-q", r.forked, "HEAD")
	r.git(r.work, "push", "-q", "-f", "origin", "FETCH_HEAD:refs/pull/7/head")
	r.server.SetPull(shop, trigger.Pull{
		Number: 7, Title: "improve", Author: stranger, Base: "main", Head: "feature", HeadSHA: head,
		From: trigger.Repository{Name: fork}, Open: true,
	})
	return head
}

func (r *rig) pull(action string) client.Delivery {
	r.t.Helper()
	return r.deliver(r.server.Pull(shop, action, 7, stranger))
}

func (r *rig) comment(text string, by trigger.Actor) client.Delivery {
	r.t.Helper()
	return r.deliver(r.server.Comment(shop, text, 7, by))
}

// run is what one outcome started: its request and the script of its step.
func (r *rig) run(o client.DeliveryOutcome) (events.RunRequested, string) {
	r.t.Helper()
	if o.Result != "started" {
		r.t.Fatalf("it came to %+v", o)
	}
	var req events.RunRequested
	r.eventually("the run is asked for", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		req = r.runs[events.RunID(o.Run)]
		return req.Run != ""
	})
	for _, script := range []string{"make", "mine", "stolen", "worse"} {
		if strings.Contains(string(req.Spec), `"`+script+`"`) {
			return req, script
		}
	}
	r.t.Fatalf("no script of ours in %s", req.Spec)
	return req, ""
}

// ran holds what a delivery came to: one run, of that trust and pipeline.
func (r *rig) ran(what string, d client.Delivery, untrusted bool, script string) events.RunRequested {
	r.t.Helper()
	if len(d.Outcomes) != 1 {
		r.t.Fatalf("%s came to %+v", what, d)
	}
	req, got := r.run(d.Outcomes[0])
	if req.Trigger.Untrusted != untrusted || got != script {
		r.t.Errorf("%s: untrusted %v, runs %q; want %v, %q", what, req.Trigger.Untrusted, got, untrusted, script)
	}
	return req
}

// nothing holds that a delivery started nothing, and why.
func (r *rig) nothing(what string, d client.Delivery, why string) {
	r.t.Helper()
	if len(d.Outcomes) != 0 || !strings.Contains(d.Reason, why) {
		r.t.Errorf("%s came to %+v, want nothing for %q", what, d, why)
	}
}

// approval of the pull request, as it stands.
func (r *rig) approval() *trigger.Approval {
	r.t.Helper()
	review, err := r.host.Deps.Doors.Review(r.t.Context(), trigger.PullRef{Forge: r.kind, Repository: shop, Number: 7})
	if err != nil {
		r.t.Fatal(err)
	}
	return review.Approval
}

// TestForksAreStrangers takes a fork's pull request through the front door: no
// secret and no approval but by who may write, for the head and the files that
// they saw.
func TestForksAreStrangers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{forge.GitHub, forge.GitLab, forge.Gitea} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			first := r.withPull()
			req := r.ran("the pull request", r.pull("opened"), true, "make")
			if req.Trigger.SHA != first || req.Trigger.PullRequest != 7 || req.Trigger.Actor != stranger.Login {
				t.Errorf("the trigger is %+v", req.Trigger)
			}
			for _, command := range []string{"/test", "/retest", "/ok-to-test", "/cancel"} {
				r.nothing("a stranger's "+command, r.comment(command, stranger), "takes the right to write")
			}
			if r.approval() != nil {
				t.Fatal("a stranger approved")
			}
			r.ran("a maintainer's /test", r.comment("/test", dev), true, "make")
			approved := r.ran("a maintainer's /ok-to-test", r.comment("/ok-to-test", dev), false, "stolen")
			if a := r.approval(); a == nil || a.SHA != first || a.By.Login != dev.Login {
				t.Fatalf("the approval is %+v", a)
			}
			r.ran("the approved head, closed and opened", r.pull("reopened"), false, "stolen")

			second := r.move("worse")
			r.ran("another head", r.pull("synchronize"), true, "make")
			if a := r.approval(); a != nil {
				t.Errorf("the approval outlives its head: %+v", a)
			}
			r.eventually("the approved run is over", func() bool {
				run, err := r.client.Run(t.Context(), string(approved.Run))
				return err == nil && run.Final()
			})
			if _, err := r.client.RetryRun(t.Context(), string(approved.Run), ""); !errors.Is(err, client.ErrConflict) {
				t.Errorf("the old head ran again: %v", err)
			}
			again := r.ran("/test after the head moved", r.comment("once more\n/test", dev), true, "make")
			if again.Trigger.SHA != second {
				t.Errorf("/test runs %s, the head is %s", again.Trigger.SHA, second)
			}
		})
	}
}

// TestTheAuthorIsWhoTheForgeSays: a commit's author and committer are whoever
// its maker wrote; the pusher is the actor.
func TestTheAuthorIsWhoTheForgeSays(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	_, d := r.pushed() // the commit says admin
	req, _ := r.run(r.deliver(d).Outcomes[0])
	if req.Trigger.Actor != dev.Login {
		t.Errorf("the actor is %s", req.Trigger.Actor)
	}
}

// TestCommandsAreObeyed: who may write has what failed run again, and ends what
// runs.
func TestCommandsAreObeyed(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	r.pushed(".relevo/bad.yaml", "name: bad\non: pull_request\njobs: {fails: {steps: [{run: make}]}}\n")
	head := r.commit(r.work, "feature", "more")
	r.server.SetPull(shop, trigger.Pull{Number: 7, Author: dev, Base: "main", Head: "feature", HeadSHA: head, From: trigger.Repository{Name: shop}, Open: true})
	if d := r.pull("opened"); len(d.Outcomes) != 2 {
		t.Fatalf("it came to %+v", d)
	}
	r.eventually("both are told", func() bool {
		return strings.Contains(r.told(head), "relevo/bad (pull_request) failure") && strings.Contains(r.told(head), "relevo/build (pull_request) success")
	})
	if d := r.comment("/retest", dev); len(d.Outcomes) != 1 || d.Outcomes[0].File != ".relevo/bad.yaml" || d.Outcomes[0].Result != "started" {
		t.Errorf("/retest came to %+v", d)
	}
	r.eventually("it failed again", func() bool { return strings.Count(r.told(head), "failure") == 2 })
	r.hold = make(chan struct{})
	named := r.comment("/test build", dev)
	var run string
	for _, o := range named.Outcomes {
		if (o.Result == "started") != (o.File == ".relevo/build.yaml") {
			t.Errorf("/test build came to %+v", o)
		}
		run += o.Run
	}
	r.eventually("it runs", func() bool {
		got, err := r.client.Run(t.Context(), run)
		return err == nil && got.State == "RUNNING"
	})
	r.eventually("that is told", func() bool { return strings.HasSuffix(r.told(head), "pending") })
	r.nothing("/cancel", r.comment("/cancel", dev), "cancelled 1 runs of pull request 7")
	r.eventually("it is cancelled", func() bool {
		got, err := r.client.Run(t.Context(), run)
		return err == nil && got.State == "CANCELLED" && strings.Contains(got.Reason, dev.Login)
	})
}

// TestOutcomes: for every file there is a reason.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	sha, d := r.pushed(
		".relevo/elsewhere.yml", "on: {push: {branches: [release]}}\njobs: {a: {steps: [{run: x}]}}\n",
		".relevo/docs.yaml", "on: {push: {paths: ['docs/**']}}\njobs: {a: {steps: [{run: x}]}}\n",
		".relevo/wrong.yaml", "on: push\njobs: {a: {step: []}}\n",
		".relevo/readme.md", "no pipeline",
		".github/workflows/ci.yaml", "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: x}]}}\n",
		".relevo/nightly.yaml", "on: {schedule: [{cron: '0 3 * * *'}]}\njobs: {a: {steps: [{run: x}]}}\n",
		".relevo/infra.yaml", "name: infra\non: push\njobs: {breaks: {steps: [{run: x}]}}\n",
	)
	got := r.deliver(d)
	want := map[string]string{
		".relevo/build.yaml": "started on push", ".relevo/elsewhere.yml": "skipped matches none of branches: release",
		".relevo/wrong.yaml": "refused .relevo/wrong.yaml:2:", ".relevo/nightly.yaml": "skipped not for push",
		".relevo/infra.yaml": "started on push", ".github/workflows/ci.yaml": "started on push", ".relevo/docs.yaml": "started on push",
	}
	for _, o := range got.Outcomes {
		result, part, _ := strings.Cut(want[o.File], " ")
		if o.Result != result || !strings.Contains(o.Reason, part) {
			t.Errorf("%s is %s: %s, want %s", o.File, o.Result, o.Reason, want[o.File])
		}
		delete(want, o.File)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
	r.eventually("what broke down is told", func() bool { return strings.Contains(r.told(sha), "relevo/infra error") })
	for _, told := range r.server.Told(shop, sha) {
		if told.Context == "relevo/infra" && told.State == "error" && !strings.Contains(told.Description, "not the commit") {
			t.Errorf("the author is blamed: %s", told.Description)
		}
	}
	schedule, err := r.host.Deps.Doors.Schedule(t.Context(), forge.GitHub, shop)
	if err != nil || len(schedule.Timers) != 1 || schedule.Timers[0].Cron != "0 3 * * *" || schedule.Timers[0].Branch != "main" || schedule.Timers[0].Next.IsZero() {
		t.Errorf("the schedule is %+v, %v", schedule, err)
	}
	docs := r.commit(r.work, "main", "[skip ci] words")
	if d := r.deliver(r.server.Push(shop, "refs/heads/main", sha, docs, dev)); len(r.startedBy(d)) != 0 {
		t.Errorf("[skip ci] started %+v", d.Outcomes)
	}
	var kept map[string]any
	raw, err := json.Marshal(got)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil || strings.Contains(string(raw), "sha256=") {
		t.Errorf("the delivery shows %s, %v", raw, err)
	}
}

func (r *rig) startedBy(d client.Delivery) (runs []string) {
	for _, o := range d.Outcomes {
		if o.Run != "" {
			runs = append(runs, o.Run)
		}
	}
	return runs
}
