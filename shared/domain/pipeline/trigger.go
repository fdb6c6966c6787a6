package pipeline

// CloudEvent is the trigger's name of runs that a CloudEvent started: their
// payload is that event in its structured form.
const CloudEvent = "cloudevent"

// Trigger is one event of `on`, with its filters. An empty filter lets
// everything through; of a filter and its Ignore twin only one is set.
type Trigger struct {
	Event string `json:"event"`
	// Types are the activities of the event, e.g. opened; empty: the default
	// ones of Actions. Of cloudevent it is the one CloudEvents type.
	Types []string `json:"types,omitempty"`
	// The patterns are Actions': * stops at a slash, ** does not, and a later
	// !pattern takes away what an earlier one let in.
	Branches       []string `json:"branches,omitempty"`
	BranchesIgnore []string `json:"branchesIgnore,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	TagsIgnore     []string `json:"tagsIgnore,omitempty"`
	Paths          []string `json:"paths,omitempty"`
	PathsIgnore    []string `json:"pathsIgnore,omitempty"`
	// Times are those of schedule.
	Times []Time `json:"times,omitempty"`
	// Inputs are those of workflow_dispatch.
	Inputs []Input `json:"inputs,omitempty"`
	// Source that a CloudEvent must have; empty: any.
	Source string `json:"source,omitempty"`
	// Where is what a CloudEvent must satisfy, in CESQL; empty: any.
	Where string `json:"where,omitempty"`
}

// Time is one entry of schedule.
type Time struct {
	Cron string `json:"cron"` // five fields
	// Zone of the IANA's that they are in; empty: UTC.
	Zone string `json:"zone,omitempty"`
	// Missed says what comes of times that nobody was there for: once or skip;
	// empty: once.
	Missed string `json:"missed,omitempty"`
}

// Input is something that whoever starts a run by hand may set.
type Input struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type"` // string, boolean, number, choice
	Required    bool   `json:"required,omitempty"`
	// Default is a string, bool or float64 as Type says; nil without one.
	Default any      `json:"default,omitempty"`
	Options []string `json:"options,omitempty"` // of a choice
}
