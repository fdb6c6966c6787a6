package events

// StepStarted says that a step of an attempt began.
type StepStarted struct {
	AttemptRef
	// Step is the step's id, or its index where it has none.
	Step string `json:"step"`
	// Name is shown to people.
	Name string `json:"name"`
}

// StepCompleted says that a step succeeded.
type StepCompleted struct {
	AttemptRef
	// Step and how it went.
	Step StepResult `json:"step"`
}

// StepFailed says that a step failed, timed out or was cancelled.
type StepFailed struct {
	AttemptRef
	// Step and how it went.
	Step StepResult `json:"step"`
}

// StepSkipped says that a step's condition was false.
type StepSkipped struct {
	AttemptRef
	// Step and how it went.
	Step StepResult `json:"step"`
}

// JobEnded is the worker's (or, when it was lost, the clock's) word on how an
// attempt went. The pipeline decides what follows.
type JobEnded struct {
	AttemptRef
	// Verdict is succeeded, failed, infra, timeout or cancelled.
	Verdict Verdict `json:"verdict"`
	// Reason says why it did not succeed.
	Reason string `json:"reason,omitempty"`
	// Outputs as the pipeline names them.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Steps in order.
	Steps []StepResult `json:"steps,omitempty"`
	// LogBytes is the length of the attempt's log.
	LogBytes int64 `json:"logBytes,omitempty"`
}

// LogAppended says that an attempt's log grew; at most one a second. The bytes
// themselves never ride on events.
type LogAppended struct {
	AttemptRef
	// Offset of the first new byte.
	Offset int64 `json:"offset"`
	// Length of what is new, in bytes.
	Length int64 `json:"length"`
	// Digest is the SHA-256 of what is new, in hexadecimal.
	Digest string `json:"digest"`
}
