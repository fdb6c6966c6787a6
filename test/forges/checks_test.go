package forges

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
	"github.com/relevo-ci/relevo/shared/forge/steady"
	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/provider"
)

// appRig is an installation that is a GitHub App.
type appRig struct {
	*rig
	holds chan struct{} // a worker ends for each that is sent, all when it is closed
	// answer, where set, answers what changes a check run in GitHub's place; it
	// tells whether it did.
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]

	mu    sync.Mutex
	known []execution.Secrets // what the workers were told
}

// points is what the steps of the job "points" print, as the agent reads it.
var points = []events.Annotation{
	{Level: "error", Message: "undefined: x", File: "cmd/main.go", Line: 7, Column: 3},
	{Level: "warning", Message: "slow", Title: "lint", File: "b.go", Line: 2, EndLine: 4},
	{Level: "notice", Message: "nothing in particular"},
}

func newAppRig(t *testing.T) *appRig {
	t.Helper()
	r := &appRig{
		rig:   &rig{t: t, kind: forge.GitHub, server: forgetest.New(t, forge.GitHub), log: &journal{}, runs: map[events.RunID]events.RunRequested{}},
		holds: make(chan struct{}),
	}
	r.work = r.repository(shop)
	r.server.Install()
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		changes := strings.Contains(q.URL.Path, "/check-runs") && q.Method != http.MethodGet
		if f := r.answer.Load(); f != nil && changes && (*f)(w, q) {
			return
		}
		r.server.ServeHTTP(w, q)
	}))
	t.Cleanup(gate.Close)
	r.server.URL = gate.URL // of git, too: the credential is for the host that has the repository
	settings := r.server.Settings(secret)
	settings.Client = &http.Client{Timeout: 2 * time.Second}
	f, err := forge.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	policy := pipeline.DefaultPolicy()
	policy.Lease, policy.InfraRetries = time.Hour, 0
	provided := fake.New()
	provided.Launched = func(l execution.Launch) { go r.play(l) }
	r.start(inprocess.Options{
		Store: memory.New(time.Now, "test"), Fresh: true, Policy: policy, Providers: map[string]provider.Provider{"fake": provided},
		Forges: []forge.Forge{steady.New(f, steady.Settings{Rest: time.Second, Pause: time.Millisecond})},
	})
	return r
}

// play is a worker, whose steps point at something where its job says so.
func (r *appRig) play(l execution.Launch) {
	ctx := r.t.Context()
	say := func(kind string, end *execution.Ending) {
		for ctx.Err() == nil {
			_, err := r.host.Deps.Reports.Report(ctx, execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n", Kind: kind, End: end})
			if err == nil || !fn.KindOf(err).Retry() {
				return
			}
		}
	}
	say(execution.Hello, nil)
	told, err := r.host.Deps.Reports.Tell(ctx, execution.SecretsRequest{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n"})
	if err != nil && ctx.Err() == nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.known = append(r.known, told)
	r.mu.Unlock()
	select {
	case <-r.holds:
	case <-ctx.Done():
		return
	}
	end := &execution.Ending{Verdict: events.Succeeded}
	switch l.Job.ID {
	case "points":
		step := events.StepResult{ID: "0", Name: "lint", Conclusion: "failure", Outcome: "failure", Exit: 1, Annotations: points}
		end = &execution.Ending{Verdict: events.Failed, Reason: "so it is", Steps: []events.StepResult{step}}
	case "breaks":
		end = &execution.Ending{Verdict: events.Infra, Reason: "so it is"}
	}
	say(execution.End, end)
}

// pushes pushes a pipeline, and gives its commit.
func (r *appRig) pushes(text string) (sha string) {
	r.t.Helper()
	sha = r.commit(r.work, "main", "change", ".relevo/build.yaml", text)
	r.deliver(r.server.Push(shop, "refs/heads/main", "", sha, dev))
	return sha
}

func (r *appRig) checks(sha string) []forgetest.Check { return r.server.Checks(shop, sha) }

// becomes waits until the one check run of a commit was told so, state by state.
func (r *appRig) becomes(sha, want string) forgetest.Check {
	r.t.Helper()
	var got forgetest.Check
	r.eventually("the check run becomes "+want, func() bool {
		all := r.checks(sha)
		if len(all) > 1 {
			r.t.Fatalf("%d check runs: %+v", len(all), all)
		}
		if len(all) == 1 {
			got = all[0]
		}
		return len(strings.Join(got.Heard, " ")) >= len(want)
	})
	if told := strings.Join(got.Heard, " "); told != want {
		r.t.Errorf("the check run was told %s, want %s", told, want)
	}
	return got
}

const (
	pointing = "name: build\non: [push, pull_request]\njobs: {points: {steps: [{run: make}]}}\n"
	// one at a time
	waiting = "name: build\non: push\nconcurrency: one\njobs: {points: {steps: [{run: make}]}}\n"
)

// lost has the forge do what it is told, and its answer get lost, for a number of
// changes.
func (r *appRig) lost(times int32) {
	var left atomic.Int32
	left.Store(times)
	f := func(w http.ResponseWriter, q *http.Request) bool {
		if left.Add(-1) < 0 {
			return false
		}
		r.server.ServeHTTP(httptest.NewRecorder(), q)
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	r.answer.Store(&f)
}

// TestCheckRun: a push has one check run, which waits, runs and ends, each told
// once and in order, though answers are lost; it shows what the steps pointed at.
func TestCheckRun(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int32{"calm": 0, "lost answers": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newAppRig(t)
			r.room(inprocess.Pool, inprocess.Pool.Untrusted())
			first := r.pushes(waiting)
			r.eventually("the first run has its turn", func() bool { all := r.checks(first); return len(all) == 1 && all[0].Status == "in_progress" })
			r.lost(times)
			sha := r.pushes(waiting)
			r.becomes(sha, "queued")
			r.lost(times)
			r.holds <- struct{}{}
			r.becomes(sha, "queued in_progress")
			r.lost(times)
			close(r.holds)
			got := r.becomes(sha, "queued in_progress failure")
			want := []forgetest.Annotation{
				{Path: "cmd/main.go", StartLine: 7, EndLine: 7, StartColumn: 3, EndColumn: 3, Level: "failure", Message: "undefined: x"},
				{Path: "b.go", StartLine: 2, EndLine: 4, Level: "warning", Title: "lint", Message: "slow"},
			}
			run := events.RunID(got.ExternalID)
			if !reflect.DeepEqual(got.Annotations, want) || got.Text != "    notice: nothing in particular\n" || got.Name != "relevo/build" ||
				got.Link != "https://ci.example/v1/pipelines/"+string(run) {
				t.Errorf("it is %+v", got)
			}
			job, err := r.client.Run(t.Context(), string(run))
			if err != nil || !reflect.DeepEqual(job.Jobs[0].Steps[0].Annotations, points) {
				t.Errorf("the API says %+v, %v", job, err)
			}
			e, err := r.client.Explain(t.Context(), string(run))
			if err != nil || !reflect.DeepEqual(e.Jobs[0].Annotations, points) {
				t.Errorf("it is explained as %+v, %v", e, err)
			}
			if strings.Contains(r.log.text(), "PRIVATE KEY") || strings.Contains(r.log.text(), "ghs_") {
				t.Error("the log has a secret")
			}
		})
	}
}

// TestCheckRunOfABreakdown: it neither blames the author nor lets the commit pass.
func TestCheckRunOfABreakdown(t *testing.T) {
	t.Parallel()
	r := newAppRig(t)
	r.room(inprocess.Pool, inprocess.Pool.Untrusted())
	close(r.holds)
	sha := r.pushes("name: build\non: push\njobs: {breaks: {steps: [{run: make}]}}\n")
	r.eventually("it ends", func() bool { all := r.checks(sha); return len(all) == 1 && all[0].Status == "completed" })
	if got := r.checks(sha)[0]; got.Conclusion != "cancelled" || !strings.Contains(got.Summary, "not the author's") {
		t.Errorf("it is %+v", got)
	}
}

// TestCheckRunOfAMistake points at the place in the pipeline's file.
func TestCheckRunOfAMistake(t *testing.T) {
	t.Parallel()
	r := newAppRig(t)
	sha := r.pushes("name: build\non: push\njobs: {a: {step: []}}\n")
	r.eventually("it is told", func() bool { return len(r.checks(sha)) == 1 })
	got := r.checks(sha)[0]
	if got.Conclusion != "failure" || len(got.Annotations) == 0 {
		t.Fatalf("it is %+v", got)
	}
	if a := got.Annotations[0]; a.Path != ".relevo/build.yaml" || a.StartLine != 3 || a.StartColumn == 0 || !strings.Contains(a.Message, "step") {
		t.Errorf("it points at %+v", a)
	}
}

// TestAskedForAgain: who may write has a check run, or all of a commit, run again;
// nobody else does.
func TestAskedForAgain(t *testing.T) {
	t.Parallel()
	r := newAppRig(t)
	r.room(inprocess.Pool, inprocess.Pool.Untrusted())
	close(r.holds)
	sha := r.pushes(pointing)
	r.eventually("the first run ends", func() bool { all := r.checks(sha); return len(all) == 1 && all[0].Conclusion == "failure" })
	first := r.started()[0].Run
	if d := r.deliver(r.server.Rerequest(shop, sha, "relevo/build", stranger)); len(d.Outcomes) != 0 || !strings.Contains(d.Reason, "stranger may not run it again") {
		t.Errorf("a stranger's came to %+v", d)
	}
	if d := r.deliver(r.server.Rerequest(shop, sha, "relevo/other", dev)); len(d.Outcomes) != 0 || !strings.Contains(d.Reason, "nothing") {
		t.Errorf("another check came to %+v", d)
	}
	for i, name := range []string{"relevo/build", ""} {
		d := r.deliver(r.server.Rerequest(shop, sha, name, dev))
		if len(d.Outcomes) != 1 || d.Outcomes[0].Result != "started" || d.Outcomes[0].Run == string(first) {
			t.Fatalf("it came to %+v", d)
		}
		r.eventually("the new run has a check run, which ends", func() bool {
			all := r.checks(sha)
			return len(all) == i+2 && all[i+1].ExternalID == d.Outcomes[0].Run && all[i+1].Conclusion == "failure"
		})
	}
	for _, req := range r.started() {
		if req.Run != first && (req.Trigger.Actor != dev.Login || req.RetryOf == "" || req.Trigger.SHA != sha) {
			t.Errorf("%+v", req)
		}
	}
}

// TestForksOfPrivateRepositoriesCheckOut: a stranger's run has a credential that
// reads the one repository, and no secret.
func TestForksOfPrivateRepositoriesCheckOut(t *testing.T) {
	t.Parallel()
	r := newAppRig(t)
	r.room(inprocess.Pool, inprocess.Pool.Untrusted())
	close(r.holds)
	r.commit(r.work, "main", "change", ".relevo/build.yaml", "name: build\non: pull_request\njobs: {a: {steps: [{uses: actions/checkout@v4}, {run: make}]}}\n")
	r.forked = r.repository(fork)
	r.git(r.forked, "fetch", "-q", r.work, "HEAD")
	r.git(r.forked, "reset", "-q", "--hard", "FETCH_HEAD")
	head := r.move("stolen")
	d := r.deliver(r.server.Pull(shop, "opened", 7, stranger))
	if len(d.Outcomes) != 1 || d.Outcomes[0].Result != "started" || !r.started()[0].Trigger.Untrusted {
		t.Fatalf("it came to %+v", d)
	}
	r.eventually("it succeeds", func() bool { all := r.checks(head); return len(all) == 1 && all[0].Conclusion == "success" })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) != 1 || r.known[0].Git == nil || len(r.known[0].Values) != 0 {
		t.Fatalf("the worker knows %+v", r.known)
	}
	issued := r.server.Issued()
	found := false
	for _, i := range issued {
		found = found || reflect.DeepEqual(i.Permissions, map[string]string{"contents": "read"}) && reflect.DeepEqual(i.Repositories, []string{shop})
	}
	if git := r.known[0].Git; !strings.HasPrefix(git.Password, "ghs_") || !found {
		t.Errorf("%s has a token of %+v", git.User, issued)
	}
}
