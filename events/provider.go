package events

// WorkerCreated says that the provider has the worker of an attempt: started,
// or still being prepared.
type WorkerCreated struct {
	// For is the attempt that the worker runs.
	For AttemptRef `json:"for"`
	Placement
	// Preparing says what the start waits for, e.g. the pull of an image; empty
	// once the worker started.
	Preparing string `json:"preparing,omitempty"`
}

// Subject is worker/<id>.
func (e WorkerCreated) Subject() string { return "worker/" + string(e.Worker) }

// RunOf is the run that an event belongs to.
func (e WorkerCreated) RunOf() RunID { return e.For.Run }

// WorkerTerminated says that the worker is gone for good: removed, or never
// made and never to be. Its capacity may be given back.
type WorkerTerminated struct {
	// For is the attempt that the worker runs.
	For AttemptRef `json:"for"`
	Placement
	// Reason in the provider's words: exited 137, evicted, removed …
	Reason string `json:"reason"`
}

// Subject is worker/<id>.
func (e WorkerTerminated) Subject() string { return "worker/" + string(e.Worker) }

// RunOf is the run that an event belongs to.
func (e WorkerTerminated) RunOf() RunID { return e.For.Run }

// WorkerFailed says that the worker could not be made, could not start, or went
// (or is doomed to go) before its attempt was over. What there is of it is still to be removed.
type WorkerFailed struct {
	// For is the attempt that the worker runs.
	For AttemptRef `json:"for"`
	Placement
	// Reason says what went wrong and what to do about it.
	Reason string `json:"reason"`
	// Permanent marks what another attempt cannot mend, e.g. an image that does
	// not exist.
	Permanent bool `json:"permanent,omitempty"`
	// Doomed: the worker still runs, but its platform is about to end it: it was
	// evicted, say. Its agent is told why, and has the last word.
	Doomed bool `json:"doomed,omitempty"`
}

// Subject is worker/<id>.
func (e WorkerFailed) Subject() string { return "worker/" + string(e.Worker) }

// RunOf is the run that an event belongs to.
func (e WorkerFailed) RunOf() RunID { return e.For.Run }
