package main

// atomicity are the bugs about commits: one partition, all or nothing, once.
func atomicity() []Bug {
	return []Bug{
		bug("inbox-not-remembered", "the store forgets which causes it has answered",
			Edit{memoryCommit, "	if c.Inbox != \"\" {\n		p.inbox[c.Inbox] = ", "	if c.Inbox != \"\" {\n		_ = "}),
		bug("inbox-not-answered", "the store commits a cause again",
			Edit{memoryCommit, "if first, ok := p.inbox[c.Inbox]; ok {", "if first, ok := p.inbox[c.Inbox]; ok && c.Inbox == \"\" {"}),
		bug("offer-named-by-cause", "an offer event is named by what caused it, not by the offer",
			Edit{routeFile, "	e.ID = events.DeriveID(\"offer.created\", string(events.OfferFor(r.JobRef, r.Attempt)))\n", ""}),
		bug("emitted-not-committed", "events are emitted without being in the commit",
			Edit{stateRuns, "Emitted: em.Emitted(), Absorbed: l.run.Absorbed()}", "Absorbed: l.run.Absorbed()}"}),
		bug("absorbed-not-committed", "what a commit took in is not in the ledger",
			Edit{memoryCommit, "if len(c.Absorbed)+len(c.Emitted) > 0 {", "if len(c.Emitted) > 0 {"}),
		bug("puts-unchecked", "a put does not mind that its document was changed",
			Edit{memoryCommit, "got+1 != d.Version {", "got > d.Version+1000 {"}),
		bug("checks-unchecked", "a commit does not mind that what it was decided on was changed",
			Edit{memoryCommit, "got != d.Version {", "got > d.Version+1000 {"}),
		bug("conflict-written", "a commit is written although a check failed",
			Edit{memoryCommit, "	if err := p.check(c); err != nil {\n		return protocol.Receipt{}, err\n	}\n	return p.write(c, struck, now), nil", "	err = p.check(c)\n	return p.write(c, struck, now), err"}),
		bug("beat-unchecked", "a due entry is moved on what was read long ago",
			Edit{stateRuns, "			c.Checks = []protocol.Doc{l.doc}\n", ""}),
		bug("pool-root-not-written", "a pool's root does not guard what was read after it",
			Edit{statePools, "	err := put(rootDoc, k.pool.Root, false)\n", "	var err error\n	_ = rootDoc\n"}),
		bug("queue-not-committed", "an offer is stored and not queued",
			Edit{statePools, "			c.Queue = append(c.Queue, protocol.QueueOp{Member: string(id), Score: score(*o)})\n", "			_ = score(*o)\n"}),
		bug("queue-not-left", "an offer that was placed stays queued",
			Edit{statePools, "			c.Queue = append(c.Queue, protocol.QueueOp{Member: string(id), Remove: true})\n", "			_ = id\n"}),
		bug("sequence-does-not-rise", "the sequence of events does not rise with the version",
			Edit{emitterFile, "m.Version*sequencesPerVersion + uint64(len(m.made))", "sequencesPerVersion + uint64(len(m.made))"}),
		bug("group-version-fixed", "a group is written over whatever is there",
			Edit{stateGroups, "Puts:     []protocol.Doc{{ID: groupDoc, Version: doc.Version + 1, Body: body}},", "Queue:    []protocol.QueueOp{{Member: string(body)}},"}),
	}
}

// timers are the bugs about due entries: what waits is looked at again.
func timers() []Bug {
	return []Bug{
		bug("due-not-committed", "due entries are not written with their transition",
			Edit{stateRuns, "		c.Due = dues(l.run.Dues(l.moment.Now))\n", ""}),
		bug("due-missing-run", "a run has no due entry",
			Edit{dueFile, "		due[run] = now.Add(r.wait(r.Requested, now))\n", "		_ = run\n"}),
		bug("due-missing-pending", "a PENDING job has no due entry",
			Edit{dueFile, "return now.Add(r.wait(j.AskedAt, now))", "return zeroTime"}),
		bug("due-missing-scheduled", "a SCHEDULED job has no due entry",
			Edit{dueFile, "return earlier(a.StartBy, now.Add(r.wait(a.Scheduled, now)))", "_ = a\n		return zeroTime"}),
		bug("due-missing-running", "a RUNNING job has no due entry",
			Edit{dueFile, "return earlier(j.live().Deadline.Add(deadlineGrace), now.Add(r.policy.Lease))", "return zeroTime"}),
		bug("due-at-deadline", "a RUNNING job is due at its deadline, not at the end of its lease",
			Edit{dueFile, "return earlier(j.live().Deadline.Add(deadlineGrace), now.Add(r.policy.Lease))", "return j.live().Deadline"}),
		bug("due-missing-backoff", "a job that waits for its retry has no due entry",
			Edit{dueFile, "			return j.NotBefore\n", "			return zeroTime\n"}),
		bug("due-missing-held", "a held assignment has no due entry",
			Edit{poolFile, "			due[name] = p.NudgeAt(*h, now)\n", "			_ = now\n"}),
		bug("due-missing-offer", "an offer does not expire",
			Edit{poolFile, "			due[name] = o.Expires\n", "			_ = o.Expires\n"}),
		bug("due-missing-group", "a group that is held has no due entry",
			Edit{stateGroups, "			c.Due[0].At = moment.Now.Add(s.Nudge)\n", "			_ = s.Nudge\n"}),
		bug("due-left-behind", "a run that is done keeps its due entry",
			Edit{dueFile, "	case r.State.Final():\n		due[run] = zeroTime\n", "	case r.State.Final():\n		due[run] = now.Add(time.Hour)\n"}),
		bug("pending-not-asked-again", "a PENDING job that is due is not asked for again",
			Edit{dueFile, "		return []events.Envelope{r.askedAgain(j)}\n", "		_ = r.askedAgain(j)\n		return nil\n"}),
		bug("run-not-asked-again", "a run that is due is not asked for again",
			Edit{dueFile, "	case RunRequested:\n		return r.Again()\n", "	case RunRequested:\n"}),
		bug("backoff-never-over", "a retry that is due is not asked for",
			Edit{dueFile, "				r.requestAgain(em, j)\n", "				_ = em\n"}),
		bug("held-not-told-again", "an assignment that is due is not told again",
			Edit{statePools, "return Result{}, stamped([]events.Envelope{pool.Again(h)}, moment.Epoch), err", "return Result{}, nil, err"}),
		bug("again-through-broker", "what is told again goes by the broker that lost it",
			Edit{clockFile, "errs = append(errs, c.Direct(ctx, e))", "errs = append(errs, c.Publish(ctx, []events.Envelope{e}))"}),
	}
}

// outbox are the bugs about what is published.
func outbox() []Bug {
	return []Bug{
		bug("outbox-never-sent", "what a crash left unpublished is never published",
			Edit{clockFile, "	if !c.passed(&c.outboxAt, m.Now, outboxEvery) {\n", "	if !c.passed(&c.outboxAt, m.Now, outboxEvery) || len(ps) > 0 {\n"}),
		bug("struck-unsent", "the clock strikes records without sending them",
			Edit{clockFile, "		if err := send(ctx, e); err != nil {\n			return err\n		}\n", "		_ = send\n"}),
		bug("struck-early", "a record is struck when its first event is published",
			Edit{stateFile, "if o.left--; o.left > 0 {", "if o.left--; o.left < 0 {"}),
		bug("struck-by-commit", "a record is struck as soon as it is committed",
			Edit{stateFile, "	for _, e := range r.Emitted {\n		c.open[e.ID] = o\n	}\n", "	_ = o\n	if c.struck == nil {\n		c.struck = map[protocol.Partition][]protocol.LedgerID{}\n	}\n	c.struck[p] = append(c.struck[p], r.Record)\n"}),
	}
}
