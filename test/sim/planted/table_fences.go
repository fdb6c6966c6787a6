package main

// fences are the bugs about whose effects count: fences, epochs, nonces.
func fences() []Bug {
	return []Bug{
		bug("fence-not-compared", "Holds compares the attempt's number, not its fence",
			Edit{runFile, "a.Number == ref.Attempt && a.Fence == ref.Fence", "a.Number == ref.Attempt"}),
		bug("holds-any-attempt", "Holds compares neither number nor fence",
			Edit{runFile, "a != nil && a.Number == ref.Attempt && a.Fence == ref.Fence", "a != nil"}),
		bug("fence-not-raised", "a new attempt gets the fence of the last one",
			Edit{decideFile, "Counter: r.Fences.Counter + 1}", "Counter: max(r.Fences.Counter, 1)}"}),
		bug("fence-not-raised-unguarded", "the same, and the run does not mind",
			Edit{decideFile, "Counter: r.Fences.Counter + 1}", "Counter: max(r.Fences.Counter, 1)}"},
			Edit{applyFile, "if d.Fence.Compare(r.Fences) <= 0 {", "if d.Fence.Compare(r.Fences) < 0 {"}),
		bug("epoch-not-in-fence", "Accept ignores the epoch of the store",
			Edit{decideFile, "if epoch <= r.Fences.Epoch {", "if epoch <= r.Fences.Epoch || r.Fences.Counter > 0 {"}),
		bug("epoch-not-raised", "the store does not raise its epoch when it lost writes",
			Edit{memoryRewind, "	s.epoch++\n", ""}),
		bug("epoch-not-sent", "a commit does not carry the epoch it was decided in",
			Edit{stateRuns, "c := protocol.Commit{Partition: p, Epoch: l.moment.Epoch, Emitted:", "c := protocol.Commit{Partition: p, Emitted:"}),
		bug("epoch-not-checked", "the store commits what was decided in an earlier epoch",
			Edit{memoryCommit, "if c.Epoch != 0 && c.Epoch != s.epoch {", "if c.Epoch > s.epoch {"}),
		bug("pool-outlives-epoch", "a pool kept in memory is trusted after a restart of the store",
			Edit{statePools, " || k.epoch != moment.Epoch", ""}),
		bug("terminate-unfenced", "a provider removes a worker of a later fence",
			Edit{fakeFile, "if !ok || w.launch.Fence.Compare(fence) > 0 {", "if !ok {"}),
		bug("create-adopts-stale", "a provider adopts a worker of an older fence",
			Edit{fakeFile, "ok && w.launch.Fence.Compare(l.Fence) >= 0 {", "ok {"}),
		bug("two-workers-let-in", "a second worker of a fence is told that it may run",
			Edit{decideFile, "return a.Nonce == nonce", "return true"}),
		bug("nonce-not-compared", "reports count whoever sends them",
			Edit{decideFile, "return a.State == AttemptRunning && a.Nonce == nonce", "return a.State == AttemptRunning"}),
		bug("stranger-after-the-end", "a worker that never ran may write to an attempt that is over",
			Edit{reportsFile, "a == nil || a.Nonce != nonce {", "a == nil {"}),
	}
}

// workers are the bugs about workers: launches, removals, leases, logs.
func workers() []Bug {
	return []Bug{
		bug("stale-launch-stays", "a worker whose attempt ended while it was made is not removed",
			Edit{workersFile, "if !now.Holds(ref) {", "if now == nil {"}),
		bug("no-sweep", "nobody looks for orphans",
			Edit{clockFile, "if c.Workers == nil || !c.passed(", "if c.Workers != nil || !c.passed("}),
		bug("sweep-takes-live", "the sweep removes workers of live attempts",
			Edit{workersFile, "(run.Holds(s.AttemptRef) || wanted(run, s, moment.Now))", "wanted(run, s, moment.Now)"}),
		bug("gone-not-removed", "worker.terminated is told without removing the worker",
			Edit{workersFile, "if err := p.Terminate(ctx, at.Worker, ref.Fence); err != nil {", "if err := error(nil); p == nil {"}),
		bug("remove-not-told", "the worker of an assignment that is over is not removed again",
			Edit{acceptFile, "more, err = w.Remove(", "_, _ = w.Remove("}),
		bug("beat-does-not-extend", "a beat does not extend the lease",
			Edit{stateRuns, "return []protocol.Due{{Name: ref.JobRef.Subject(), At: r.BeatDue(ref.Job, now)}}", "return nil"}),
		bug("silence-ignored", "a worker that is silent keeps its job for ever",
			Edit{dueFile, "	if !grace {\n		r.lose(", "	if false {\n		r.lose("}),
		bug("start-deadline-ignored", "a worker that never says hello keeps its job for ever",
			Edit{dueFile, "if !em.Now.Before(a.StartBy) && !grace {", "if false {"}),
		bug("timeout-ignored", "a job may run longer than its timeout",
			Edit{dueFile, "if !em.Now.Before(a.Deadline.Add(deadlineGrace)) {", "if false {"}),
		bug("no-grace", "silence counts as proof right after the store was away",
			Edit{clockFile, "return now.Before(c.graceUntil)", "return false"}),
		bug("end-before-log", "an end counts before its log is whole",
			Edit{reportsFile, "if r.End == nil || acknowledged < r.End.LogBytes {", "if r.End == nil {"}),
		bug("logs-mixed", "all attempts of a job write one log",
			Edit{logsMemory, "	run := m.runs[ref.Run]\n", "	ref.Attempt, ref.Fence = 1, events.Fence{}\n	run := m.runs[ref.Run]\n"},
			Edit{logsMemory, "	l := m.runs[ref.Run][ref]\n", "	ref.Attempt, ref.Fence = 1, events.Fence{}\n	l := m.runs[ref.Run][ref]\n"}),
		bug("log-sent-twice", "a chunk that is sent again is appended again",
			Edit{logsFile, "return data[length-offset:], nil", "return data, nil"}),
	}
}
