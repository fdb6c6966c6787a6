package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

// mostQueued is how far back a queue is looked at for a job's place in it.
const mostQueued = 10_000

type explainOutput struct {
	Body client.Explanation
}

func (a *API) explainPipeline(ctx context.Context, in *RunInput) (*explainOutput, error) {
	run, moment, err := a.run(ctx, events.RunID(in.ID))
	if err != nil {
		return nil, err
	}
	x := &explainer{run: run, now: moment.Now, policy: a.Runs.Policy, pools: map[events.PoolID]*poolView{}, groups: map[string]*pipeline.Group{}}
	if err := a.gather(ctx, x); err != nil {
		return nil, a.fault(ctx, "look at what the run waits for", err)
	}
	return &explainOutput{Body: x.explain()}, nil
}

// gather reads the pools and groups that the run's jobs wait for.
func (a *API) gather(ctx context.Context, x *explainer) (err error) {
	x.routes = a.Routes
	names := []string{x.run.Group}
	for _, j := range x.run.Jobs {
		if j.State != pipeline.Pending || j.Awaiting() {
			continue
		}
		names = append(names, j.Request.Group)
		pool := a.Routes.Offer(j.Request).Pool
		if x.pools[pool] == nil {
			if x.pools[pool], err = a.lookPool(ctx, pool, mostQueued); err != nil {
				return err
			}
			a.forecast(ctx, x.pools[pool])
		}
	}
	for _, n := range names {
		if n == "" || x.groups[n] != nil {
			continue
		}
		if x.groups[n], err = a.Groups.Look(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// explain says where the run and each of its jobs stand, and why.
func (x *explainer) explain() client.Explanation {
	out := client.Explanation{Run: string(x.run.ID), State: string(x.run.State), Says: x.says(), Jobs: []client.JobExplanation{}}
	for _, j := range x.run.Jobs {
		e := x.job(j)
		e.ID, e.Key, e.State = jobID(x.run.ID, j.Key), j.Key, stateOf(j)
		e.Before = before(j)
		for _, s := range j.Steps {
			e.Annotations = append(e.Annotations, s.Annotations...)
		}
		if spec := x.run.JobSpec(j.Key); !j.State.Final() && (spec == nil || spec.Await == nil) {
			e.Retries = x.retries(j)
		}
		out.Jobs = append(out.Jobs, e)
	}
	return out
}

// before tells how the attempts went that another one followed.
func before(j *pipeline.Job) []string {
	var out []string
	for _, a := range j.Attempts[:max(0, len(j.Attempts)-1)] {
		out = append(out, fmt.Sprintf("attempt %d %s", a.Number, ended(a.Verdict, a.Reason)))
	}
	return out
}

// says tells of the run as a whole.
func (x *explainer) says() string {
	r := x.run
	switch {
	case r.State == pipeline.RunRequested && r.Group != "" && !r.Acquired:
		return x.waitsForGroup(r.Group, "")
	case r.State == pipeline.RunRequested:
		return "was accepted and is about to start"
	case r.State == pipeline.RunSucceeded:
		return "succeeded"
	case r.State.Final():
		return ended(r.Verdict, r.Reason)
	}
	count := map[string]int{}
	for _, j := range r.Jobs {
		switch {
		case j.State.Final():
			count["done"]++
		case j.State == pipeline.Running:
			count["running"]++
		default:
			count["waiting"]++
		}
	}
	var parts []string
	for _, what := range []string{"done", "running", "waiting"} {
		if n := count[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	return "jobs: " + strings.Join(parts, ", ")
}

// job tells of one job.
func (x *explainer) job(j *pipeline.Job) client.JobExplanation {
	switch j.State {
	case pipeline.Waiting:
		return x.waiting(j)
	case pipeline.Pending:
		return x.pending(j)
	case pipeline.Scheduled, pipeline.Running:
		return x.underWay(j)
	case pipeline.Succeeded:
		if j.Carried != nil {
			return client.JobExplanation{Says: "did not run again: it is " + j.Reason}
		}
		return client.JobExplanation{Says: "succeeded" + tries(j)}
	case pipeline.Skipped:
		return client.JobExplanation{Says: "was skipped: " + j.Reason}
	case pipeline.Terminated:
		return client.JobExplanation{Says: "lost its worker with no retry left: " + j.Reason + tries(j)}
	}
	return client.JobExplanation{Says: ended(j.Verdict, j.Reason) + tries(j)}
}

// ended says whose doing the end was.
func ended(v events.Verdict, reason string) string {
	switch v {
	case events.Failed:
		return "failed: " + reason
	case events.Timeout:
		return "timed out: " + reason
	case events.Infra:
		return "failed because of the platform: " + reason
	case events.Rejected:
		return "was rejected: " + reason
	case events.Cancelled:
		return "was cancelled: " + reason
	}
	return string(v) + ": " + reason
}

func tries(j *pipeline.Job) string {
	if n := len(j.Attempts); n > 1 {
		return fmt.Sprintf(" (attempt %d)", n)
	}
	return ""
}

func (x *explainer) retries(j *pipeline.Job) *client.Retries {
	left := &client.Retries{Infra: max(x.policy.InfraRetries-j.Lost, 0)}
	if s := x.run.JobSpec(j.Key); s != nil && s.Retry != nil {
		left.User = max(s.Retry.Max-j.UserSpent, 0)
	}
	return left
}

// clock shows a time and how far it is from now.
func (x *explainer) clock(at time.Time) string {
	d := at.Sub(x.now).Round(time.Second)
	if d >= time.Hour {
		d = d.Round(time.Minute)
	}
	if d <= 0 {
		return at.Format(time.TimeOnly) + " UTC"
	}
	return at.Format(time.TimeOnly) + " UTC, in " + brief(d)
}

// brief is a length of time without the units that say nothing: 5m, not 5m0s.
func brief(d time.Duration) string {
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}
