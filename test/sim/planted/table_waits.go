package main

const (
	awaitFile    = "shared/domain/pipeline/await.go"
	arrivalsFile = "shared/arrivals/arrivals.go"
	doorsFile    = "shared/state/frontawait.go"
)

// waits are the bugs about jobs that await an event or an approval.
func waits() []Bug {
	return []Bug{
		bug("wakes-any", "an event wakes whoever waits for its type",
			Edit{arrivalsFile, "		if !a.satisfies(job.Where, e) {\n			continue\n		}\n		emitted, woken", "		emitted, woken"}),
		bug("event-before-lost", "an event that comes before its job is registered passes it by",
			Edit{arrivalsFile, "	ids, err := a.Front.Arrivals(ctx, job.Type, j.AskedAt)", "	ids, err := a.Front.Arrivals(ctx, job.Type, j.Await.Deadline)"}),
		bug("event-ends-approval", "an event ends what a person has to approve, and a person what awaits an event",
			Edit{awaitFile, "!j.Awaiting() || j.Await.Approval == (len(d.Event) > 0)", "!j.Awaiting() || j.Await.Approval != (len(d.Event) > 0)"}),
		bug("match-after-cancel", "what comes for a job that is over counts",
			Edit{awaitFile, "if j == nil || !j.Awaiting() ||", "if j == nil || j.Await == nil ||"}),
		bug("wait-without-deadline", "a wait is told again and never ends",
			Edit{awaitFile, "	if em.Now.Before(j.Await.Deadline) {", "	if j.Asked != \"\" {"}),
		bug("wait-over-at-once", "a wait is over when the clock first looks at it",
			Edit{awaitFile, "	if em.Now.Before(j.Await.Deadline) {", "	if em.Now.Before(j.AskedAt) {"}),
		bug("wait-not-told-again", "a wait is not told again: its registration may be lost",
			Edit{awaitFile, "		return []events.Envelope{r.rebuild(j.Asked, \"/relevo/pipeline\", j.AskedAt, *j.Await)}\n", "		return nil\n"}),
		bug("wait-offered", "a job that only waits is offered to a pool too",
			Edit{advanceFile, "		r.await(em, j, s)\n", "		r.await(em, j, s)\n		r.request1(em, j, s)\n"}),
		bug("waits-after-its-end", "a wait stays for ever",
			Edit{doorsFile, "		due: func(a *trigger.Await, _ time.Time) time.Time { return a.Deadline.Add(awaitFor) },\n	})\n	if err == nil && len(again)", "		due: func(*trigger.Await, time.Time) time.Time { return time.Time{} },\n	})\n	if err == nil && len(again)"}),
		bug("wait-without-due", "a wait has no due entry",
			Edit{dueFile, "		if j.Await != nil {\n			return r.awaitDue(j, now)\n		}\n", "		if j.Await != nil {\n			return zeroTime\n		}\n"}),
	}
}
