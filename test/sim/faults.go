package main

import "math/rand/v2"

// Faults are probabilities, drawn anew for each seed so that some seeds are
// quiet in one respect and stormy in another.
type Faults struct {
	Lose, Duplicate, Reorder, Delay, Drop         float64 // of an event or delivery
	Refused                                       float64 // by the broker
	Crash, CrashInside                            float64 // of a handler's process
	Interleave, Suspend                           float64 // of processes between load and commit
	ReplyLost, CommitReplyLost, StoreDown, Outage float64
	CreateFails, CreateError, CreateSlow          float64 // of the provider
	Preparing, RemoveLate                         float64
	WorkerLost, Twin, Stall, Zombie               float64 // of a worker
	UserFails, Partial                            float64 // of what its agent reports
	Cancel, CancelJob                             float64 // of a run, of a job
	Restart, RestartInside                        float64 // of the store
	NodeLate, NodeGone                            float64
	Deaf                                          bool // the broker loses every event, for ever
	Strict                                        bool // see known.go
	Verbose                                       bool
}

// Draw makes the faults of a seed.
func Draw(seed uint64) Faults {
	r := rand.New(rand.NewPCG(seed, 0xfa017))
	some := func(most float64) float64 {
		if r.IntN(3) == 0 {
			return 0
		}
		return most * r.Float64()
	}
	return Faults{
		Lose: some(0.3), Duplicate: some(0.4), Reorder: some(0.4), Delay: some(0.15), Drop: some(0.2),
		Refused: some(0.1),
		Crash:   some(0.1), CrashInside: some(0.05), Interleave: some(0.2), Suspend: some(0.01),
		ReplyLost: some(0.2), CommitReplyLost: some(0.1), StoreDown: some(0.05), Outage: some(0.4),
		CreateFails: some(0.15), CreateError: some(0.15), CreateSlow: some(0.2), Preparing: some(0.5),
		RemoveLate: some(0.3),
		WorkerLost: some(0.3), Twin: some(0.2), Stall: some(0.1), Zombie: some(0.6),
		UserFails: some(0.4), Partial: some(0.4),
		Cancel: some(0.6), CancelJob: some(0.4),
		Restart: some(0.5), RestartInside: some(0.03),
		NodeLate: some(0.5), NodeGone: some(0.5),
		Deaf: r.IntN(16) == 0,
	}
}
