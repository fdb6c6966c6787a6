package events

// Verdict says how an attempt ended and whose fault it was.
type Verdict string

// The verdicts. Only failed and timeout are the author's doing; infra has a
// retry budget of its own.
const (
	Succeeded Verdict = "succeeded"
	Failed    Verdict = "failed"    // the user's code
	Infra     Verdict = "infra"     // worker lost, image not to be had, eviction, disk full
	Timeout   Verdict = "timeout"   // the job's or a step's deadline
	Cancelled Verdict = "cancelled" // a person or a policy
	Rejected  Verdict = "rejected"  // never ran: no node can ever fit it, or a policy refused it
)

// Resources are amounts: of a node, or asked for by a job.
type Resources struct {
	// CPU in thousandths of a core.
	CPU int64 `json:"cpu"`
	// Memory in bytes.
	Memory int64 `json:"memory"`
	// GPU in devices.
	GPU int64 `json:"gpu,omitempty"`
	// Slots in workers: how many may run side by side.
	Slots int64 `json:"slots,omitempty"`
}

// Requirements say where a job may run.
type Requirements struct {
	// Labels that a node must carry, from runs-on.
	Labels []string `json:"labels,omitempty"`
	// Resources that the worker needs.
	Resources Resources `json:"resources"`
	// Affinity: required node attributes by name, and preferred ones with a weight.
	Affinity *Affinity `json:"affinity,omitempty"`
	// Tolerations are the taints that the job puts up with.
	Tolerations []string `json:"tolerations,omitempty"`
}

// Affinity narrows or prefers nodes by their attributes (region, zone, gpu …).
type Affinity struct {
	// Required attributes: every one must be equal.
	Required map[string]string `json:"required,omitempty"`
	// Preferred attributes: each equal one adds its weight to a node's score.
	Preferred []Preference `json:"preferred,omitempty"`
}

// Preference is one preferred node attribute.
type Preference struct {
	// Key of the attribute.
	Key string `json:"key"`
	// Value that it should have.
	Value string `json:"value"`
	// Weight is 1 to 100.
	Weight int `json:"weight"`
}

// NodeReason says why a node was passed over.
type NodeReason struct {
	// Node that was passed over.
	Node NodeID `json:"node"`
	// Reason says why, with the amounts or labels that were missing.
	Reason string `json:"reason"`
}

// StepResult is how a step of an attempt went.
type StepResult struct {
	// ID is the step's id, or its index where it has none.
	ID string `json:"id"`
	// Name is shown to people.
	Name string `json:"name"`
	// Conclusion is success, failure, skipped, cancelled or timeout, after continue-on-error.
	Conclusion string `json:"conclusion"`
	// Outcome is the same before continue-on-error.
	Outcome string `json:"outcome"`
	// Exit is the process's exit code; -1 where a signal ended it or none ran.
	Exit int `json:"exit"`
	// Millis is how long it took.
	Millis int64 `json:"millis"`
	// Offset is how many milliseconds after the worker began it began.
	Offset int64 `json:"offset,omitempty"`
	// Annotations are what it pointed people at; a bounded number.
	Annotations []Annotation `json:"annotations,omitempty"`
}

// Annotation points people at something, in a file where it names one.
type Annotation struct {
	// Level is error, warning or notice.
	Level string `json:"level"`
	// Message for people; plain text, maybe of several lines.
	Message string `json:"message"`
	// Title is a heading for it.
	Title string `json:"title,omitempty"`
	// File is a path from the root of the repository.
	File string `json:"file,omitempty"`
	// Line of the file, from 1; 0: the whole of it.
	Line int `json:"line,omitempty"`
	// EndLine is the last line that is meant; 0: Line.
	EndLine int `json:"endLine,omitempty"`
	// Column in Line, from 1; 0: all of it.
	Column int `json:"column,omitempty"`
	// EndColumn is the last column that is meant; 0: Column.
	EndColumn int `json:"endColumn,omitempty"`
}
