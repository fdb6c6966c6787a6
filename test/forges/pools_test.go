package forges

import (
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// offer has the stranger push a pipeline to their pull request.
func (r *rig) offer(number int, pipeline string) (head string) {
	r.t.Helper()
	head = r.commit(r.forked, "feature", "improve", ".relevo/build.yaml", pipeline)
	r.moved(number, head)
	return head
}

// moved sets the head of a pull request of the fork. As on a forge, the
// repository has its commit.
func (r *rig) moved(number int, head string) {
	r.t.Helper()
	r.git(r.work, "fetch", "-q", r.forked, head)
	r.git(r.work, "push", "-q", "-f", "origin", "FETCH_HEAD:refs/pull/7/head")
	r.server.SetPull(shop, trigger.Pull{
		Number: number, Title: "improve", Author: stranger, Base: "main", Head: "feature", HeadSHA: head,
		From: trigger.Repository{Name: fork}, Open: true,
	})
}

func eachTime(change func(*trigger.Review)) func(*trigger.Review, time.Time) bool {
	return func(v *trigger.Review, _ time.Time) bool {
		change(v)
		return true
	}
}

// TestWithoutAPoolStrangersWait: on an installation that has none the job stays
// queued, and says which setting makes one. Others are not held up, an approved
// head runs, and /cancel ends what waits, of every head.
func TestWithoutAPoolStrangersWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub, noUntrusted)
	r.pulls()
	first := r.startedBy(r.pull("opened"))
	r.steal("worse")
	second := r.startedBy(r.pull("synchronize"))
	if len(first) != 1 || len(second) != 1 {
		t.Fatalf("started %v and %v", first, second)
	}
	own := r.is("the own branch", "trusted", "pull_request", r.startedBy(r.happens("pull_request", 8, dev)))
	for _, run := range append(first, second...) {
		var job client.JobExplanation
		r.eventually("the job queues", func() bool {
			x, err := r.client.Explain(t.Context(), run)
			if err != nil || len(x.Jobs) != 1 {
				t.Fatalf("%+v, %v", x, err)
			}
			job = x.Jobs[0]
			return job.Position > 0
		})
		for _, part := range []string{
			"waits in pool local-untrusted", "no pool for such runs",
			"RELEVO_SCHEDULER_UNTRUSTED_SLOTS", "RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE", "/ok-to-test",
		} {
			if job.State != "PENDING" || !strings.Contains(job.Says, part) {
				t.Errorf("the job is %s and says %q, not %q", job.State, job.Says, part)
			}
		}
	}
	r.over(string(own.Run))
	r.nothing("/cancel", r.comment("/cancel", dev), "cancelled 2 runs of pull request 7")
	for _, run := range append(first, second...) {
		r.eventually("it is cancelled", func() bool {
			got, err := r.client.Run(t.Context(), run)
			return err == nil && got.State == "CANCELLED" && strings.Contains(got.Reason, dev.Login)
		})
	}
	req, script := r.run(client.DeliveryOutcome{Result: "started", Run: r.startedBy(r.comment("/ok-to-test", dev))[0]})
	if got := r.given(req.Run); got.pool != "local" || got.secret != deployKey || script != "worse" {
		t.Errorf("approved, it has %+v and runs %s", got, script)
	}
	r.clean()
}

// TestRetestKnowsOlderHeads: what failed at a head that has moved on since is run
// again at the new one.
func TestRetestKnowsOlderHeads(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	r.pulls()
	for _, run := range r.startedBy(r.happens("pull_request", 8, dev)) {
		r.over(run)
	}
	r.git(r.work, "checkout", "-q", "topic")
	head := r.commit(r.work, "topic", "[skip ci] words")
	r.server.SetPull(shop, trigger.Pull{
		Number: 8, Author: dev, Base: "main", Head: "topic", HeadSHA: head, From: trigger.Repository{Name: shop}, Open: true,
	})
	if d := r.deliver(r.server.Pull(shop, "synchronize", 8, dev)); len(r.startedBy(d)) != 0 {
		t.Fatalf("[skip ci] came to %+v", d)
	}
	req := r.is("/retest", "trusted", "pull_request", r.startedBy(r.happens("/retest", 8, dev)))
	if req.Trigger.SHA != head {
		t.Errorf("it runs %s, the head is %s", req.Trigger.SHA, head)
	}
}

// TestPipelinesOfOneName have a status each.
func TestPipelinesOfOneName(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	sha, d := r.pushed(".relevo/other.yaml", build, ".github/workflows/build.yaml", strings.Replace(build, "{steps", "{runs-on: linux, steps", 1))
	if got := r.deliver(d); len(r.startedBy(got)) != 3 {
		t.Fatalf("it came to %+v", got)
	}
	want := []string{"relevo/build", "relevo/build (.relevo/other.yaml)", "relevo/build (.github/workflows/build.yaml)"}
	r.eventually("each succeeds", func() bool {
		told := r.told(sha)
		for _, context := range want {
			if !strings.Contains(told, context+" success") {
				return false
			}
		}
		return true
	})
}
