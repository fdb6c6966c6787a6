package main

import (
	"context"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

// heardWithin is how long an event that was acknowledged may take to wake its
// job, faults of every kind included.
const heardWithin = 8 * time.Minute

// gateMoves are the transitions that a job may make which only waits.
var gateMoves = map[pipeline.JobState][]pipeline.JobState{
	pipeline.Waiting: moves[pipeline.Waiting],
	pipeline.Pending: {pipeline.Succeeded, pipeline.Failed, pipeline.Cancelled},
}

// came notes that an event was acknowledged.
func (a *auditor) came(subject string, at time.Time) {
	a.arrived[subject] = append(a.arrived[subject], at)
}

// awaited looks at the beginning of a wait: as that of other jobs, but that it
// is no attempt.
func (a *auditor) awaited(r *watched, e events.Envelope, d events.AwaitRequested) {
	spec := r.shadow.JobSpec(d.Job)
	if spec.Await == nil {
		a.fail("S5: %s of %s awaits something though it has steps", d.Job, r.id)
		return
	}
	if !strings.HasPrefix(r.shadow.Job(d.Job).Reason, "awaits ") {
		a.fail("S5: %s of %s waits and does not say for what", d.Job, r.id)
	}
	a.moved(r, d.Job, pipeline.Pending)
	a.needsMet(r, spec)
	r.job(d.Job).asked = e.Time
}

// woken holds that what ended a wait well is what the job waited for.
func (a *auditor) woken(r *watched, d events.JobCompleted) {
	spec, j := r.shadow.JobSpec(d.Job), r.shadow.Job(d.Job)
	if len(j.Attempts) > 0 || d.Worker != "" || d.Attempt > 0 {
		a.fail("S2: %s of %s had a worker, and only waits", d.Job, r.id)
	}
	if spec.Await.Approval {
		a.w.count("gate approved")
		if d.Outputs["by"] != "ada" {
			a.fail("S2: %s of %s was approved by %q", d.Job, r.id, d.Outputs["by"])
		}
		return
	}
	a.w.count("gate passed by its event")
	if want := string(r.id) + "/" + spec.ID; d.Outputs["subject"] != want || d.Outputs["type"] != gateEvent {
		a.fail("S2: %s of %s was woken by the event of %q", d.Job, r.id, d.Outputs["subject"])
	}
}

// gateFailed holds that no wait ends by time before its deadline, nor though
// its event came in good time.
func (a *auditor) gateFailed(r *watched, e events.Envelope, d events.JobFailed) {
	j, spec := r.shadow.Job(d.Job), r.shadow.JobSpec(d.Job)
	switch {
	case d.Verdict == events.Failed && spec.Await.Approval && d.Reason == "refused by ada":
		a.w.count("gate refused")
		return
	case d.Verdict != events.Timeout:
		a.fail("S5: %s of %s, which waits, ended as %s: %s", d.Job, r.id, d.Verdict, d.Reason)
		return
	case e.Time.Before(j.Await.Deadline):
		a.fail("S2: the wait of %s of %s timed out before its deadline", d.Job, r.id)
	}
	a.w.count("gate ran into its timeout")
	for _, at := range a.arrived[string(r.id)+"/"+spec.ID] {
		in := !at.Before(r.job(d.Job).asked) && j.Await.Deadline.Sub(at) > heardWithin
		if in && a.rolled.IsZero() && !spec.Await.Approval {
			a.fail("S1: %s of %s timed out, and its event had come %s before", d.Job, r.id, e.Time.Sub(at))
		}
	}
}

// frontDues holds that what stands at the front doors and is not done has a due
// entry, and nothing else has one.
func (a *auditor) frontDues(p protocol.Partition, due []protocol.DueIn) {
	got := map[string]bool{}
	for _, d := range due {
		got[d.Name] = true
	}
	hash := events.DeriveID("type", gateEvent)
	for _, kind := range []string{"await." + hash, "recent." + hash} {
		docs, err := a.w.store.Store.List(context.Background(), p, kind)
		if err != nil {
			a.fail("L1: list: %v", err)
		}
		for _, d := range docs {
			if !got[string(d.ID)] {
				a.fail("L4: %s has no due entry: nothing would remove it", d.ID)
			}
			delete(got, string(d.ID))
		}
	}
	for _, name := range sortedKeys(got) {
		if !strings.HasPrefix(name, "delivery/") {
			a.fail("L4: %s is done and still has a due entry", name)
		}
	}
}

func isFront(p protocol.Partition) bool { return strings.HasPrefix(string(p), state.FrontPrefix) }
