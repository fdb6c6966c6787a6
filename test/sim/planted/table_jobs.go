package main

// transitions are the bugs about what follows from what: late words, cancels,
// needs, matrices.
func transitions() []Bug {
	return []Bug{
		bug("late-end-counts", "the word of an attempt that is over ends the one under way",
			Edit{decideFile, "	if !r.Holds(d.AttemptRef) {\n		return false\n	}\n	r.record(em.Cause)\n	j := r.Job(d.Job)\n", "	j := r.Job(d.Job)\n	if j == nil || j.live() == nil {\n		return false\n	}\n	r.record(em.Cause)\n"}),
		bug("late-loss-counts", "the loss of an old worker ends the attempt under way",
			Edit{decideFile, "	if !r.Holds(ref) {\n		return false\n	}\n	r.record(em.Cause)\n", "	if j := r.Job(ref.Job); j == nil || j.live() == nil {\n		return false\n	}\n	r.record(em.Cause)\n"}),
		bug("late-worker-counts", "the word that an old worker is prepared counts for the new one",
			Edit{decideFile, "	if !r.Holds(d.For) {\n		return false\n	}\n	a :=", "	if j := r.Job(d.For.Job); j == nil || j.live() == nil {\n		return false\n	}\n	a :="}),
		bug("cancel-spares-running", "a cancel leaves running jobs to end as they will",
			Edit{decideFile, "	for _, j := range r.Jobs {\n		r.cancelJob(em, j, d.Reason)\n	}\n", "	for _, j := range r.Jobs {\n		if j.State != Running {\n			r.cancelJob(em, j, d.Reason)\n		}\n	}\n"}),
		bug("cancel-of-job-ignored", "the cancel of one job does nothing once it was asked for",
			Edit{decideFile, "if j == nil || j.State.Final() {\n			return false\n		}\n		r.cancelJob(", "if j == nil || j.State != Waiting {\n			return false\n		}\n		r.cancelJob("}),
		bug("hello-before-created", "a hello that comes before worker.created is refused",
			Edit{statesFile, "	{AttemptCreated, AttemptRunning, \"a hello before worker.created implies it\"},\n", ""}),
		bug("accept-any-state", "a job that is done takes an assignment",
			Edit{decideFile, "if j.State != Pending || j.Attempt != d.For.Attempt || !j.NotBefore.IsZero() {", "if j.Attempt != d.For.Attempt {"}),
		bug("join-lost", "what waits for the last need is not asked for when it ends",
			Edit{decideFile, "	r.advance(em)\n}\n\n// Cancel", "	r.finish(em)\n}\n\n// Cancel"}),
		bug("needs-without-matrix", "a need that is a matrix is not waited for",
			Edit{advanceFile, "slices.Contains(s.Needs, need.ID) && !r.Job", "slices.Contains(s.Needs, string(need.Key)) && !r.Job"}),
		bug("skip-lost", "a job runs though what it needs failed",
			Edit{advanceFile, "	case !ok:\n", "	case !ok && s.If != nil:\n"}),
		bug("fail-fast-lost", "a fail-fast matrix goes on after a failure",
			Edit{decideFile, "if failed && s.Strategy != nil && s.Strategy.FailFast {", "if failed && s.Strategy != nil && s.Strategy.FailFast && s.Strategy.Total == 0 {"}),
		bug("max-parallel-lost", "a matrix runs all of its jobs at once",
			Edit{advanceFile, "return live >= s.Strategy.MaxParallel", "return live > s.Strategy.Total"}),
		bug("run-ends-early", "a run ends while jobs wait for capacity",
			Edit{advanceFile, "		if !j.State.Final() {\n			return\n		}\n", "		if j.State == Running {\n			return\n		}\n"}),
		bug("failure-forgotten", "a run with a lost job counts as succeeded",
			Edit{advanceFile, "failed := (j.State == Failed || j.State == Terminated) && !r.tolerated(j)\n		if failed && (worst", "failed := j.State == Failed && !r.tolerated(j)\n		if failed && (worst"}),
	}
}

// budgets are the bugs about retries.
func budgets() []Bug {
	return []Bug{
		bug("infra-spends-user", "a lost worker spends the author's retries",
			Edit{applyFile, "if d.Budget == budgetInfra {", "if d.Budget == \"\" {"}),
		bug("infra-unbounded", "a job that loses its workers is tried for ever",
			Edit{decideFile, "if !permanent && j.Lost < r.policy.InfraRetries {", "if !permanent {"}),
		bug("infra-not-retried", "a lost worker fails the job at once",
			Edit{decideFile, "if !permanent && j.Lost < r.policy.InfraRetries {", "if !permanent && j.Lost < r.policy.InfraRetries && j.Attempt == 0 {"}),
		bug("user-unbounded", "a failing job is tried beyond its budget",
			Edit{decideFile, "if wanted && j.UserSpent < retry.Max {", "if wanted {"}),
		bug("user-budget-shared", "the author's budget is held against lost workers",
			Edit{decideFile, "if wanted && j.UserSpent < retry.Max {", "if wanted && j.UserSpent+j.Lost < retry.Max {"}),
		bug("retry-on-ignored", "a verdict that the author does not retry is retried",
			Edit{decideFile, "len(retry.On) == 0 || slices.Contains(", "len(retry.On) >= 0 || slices.Contains("}),
		bug("no-backoff", "a retry does not wait for its back-off",
			Edit{decideFile, "	if wait == 0 {\n", "	if wait >= 0 {\n"}),
	}
}

// groups are the bugs about concurrency groups.
func groups() []Bug {
	return []Bug{
		bug("group-two-holders", "who may cancel the holder takes the group beside it",
			Edit{groupFile, "	case g.Holder == nil:\n		g.Name", "	case g.Holder == nil || cancelInProgress:\n		g.Name"}),
		bug("group-left-by-any", "whoever leaves a group frees it",
			Edit{groupFile, "	case g.Holder.is(ref):\n		g.Holder, g.Waiter", "	case g.Holder != nil:\n		g.Holder, g.Waiter"}),
		bug("group-holder-asks-twice", "a holder that asks again waits for itself",
			Edit{groupFile, "	case g.Holder.is(ref):\n		changed", "	case g.Holder.is(ref) && em == nil:\n		changed"}),
		bug("group-passed-by-run", "a run starts before its group lets it in",
			Edit{advanceFile, "if r.State != RunRequested || (r.Group != \"\" && !r.Acquired) {", "if r.State != RunRequested {"}),
		bug("group-passed-by-job", "a job is offered before its group lets it in",
			Edit{jobAsked, "if e.Data.Group == \"\" {", "if e.Data.Attempt > 0 {"}),
		bug("group-freed-by-retry", "a job gives its group back between its attempts",
			Edit{decideFile, "	d.AttemptRef, d.Placement = r.current(j)\n	r.emit(em, d)\n	if wait", "	d.AttemptRef, d.Placement = r.current(j)\n	r.emit(em, d)\n	r.release(em, j.Key)\n	if wait"}),
	}
}

// capacity are the bugs about pools.
func capacity() []Bug {
	return []Bug{
		bug("held-not-counted", "the planner ignores what is held",
			Edit{planFile, "			free[h.Node] = sub(f, h.Resources)\n", "			_ = f\n"}),
		bug("plan-not-counted", "the planner ignores what the same plan gave away",
			Edit{planFile, "		free[best.Node] = sub(free[best.Node], o.Requirements.Resources)\n", ""}),
		bug("gone-node-used", "the planner uses a node that was withdrawn",
			Edit{planFile, "	if n.Gone {\n", "	if n.Gone && n.Node == \"\" {\n"}),
		bug("labels-ignored", "the planner ignores labels",
			Edit{planFile, "if !slices.Contains(n.Labels, l) {", "if l == \"\" {"}),
		bug("refused-before-nodes", "offers that come before the first node are refused",
			Edit{poolFile, "if !p.Policy.Fixed || len(p.Nodes) == 0 {", "if !p.Policy.Fixed {"}),
		bug("released-by-time", "capacity comes back by time alone",
			Edit{statePools, "return s.fireAssignment(ctx, p, id, subject, events.AssignmentID(name))", `res, err := s.Change(ctx, "clock-ticked", events.Envelope{ID: events.DeriveID(subject, "time"), Source: "/relevo/clock-ticked"}, id, nil, false,
		func(p *scheduling.Pool, em *events.Emitter) error {
			p.Release(em, events.AssignmentID(name))
			return nil
		})
	return res, nil, err`}),
		bug("refusal-keeps-capacity", "a refused assignment keeps its capacity",
			Edit{refusedFile, "				p.Release(em, e.Data.Assignment)\n", "				_ = p\n"}),
		bug("worker-keeps-capacity", "a worker that is gone keeps its capacity",
			Edit{releaseFile, "				p.Release(em, e.Data.Assignment)\n", "				_ = p\n"}),
		bug("release-does-not-plan", "capacity that came back waits for the next offer",
			Edit{poolFile, "Node: h.Node, Resources: h.Resources})\n	p.Plan(em)\n", "Node: h.Node, Resources: h.Resources})\n"}),
		bug("node-does-not-plan", "a node that joined waits for the next offer",
			Edit{poolFile, "	p.applyAt(em.Now, e, d)\n	p.Plan(em)\n	return true\n}\n\n// Snapshot", "	p.applyAt(em.Now, e, d)\n	return true\n}\n\n// Snapshot"}),
	}
}
