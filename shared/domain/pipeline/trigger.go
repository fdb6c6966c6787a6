package pipeline

// Trigger is one event of `on`, with its filters. An empty filter lets
// everything through; of a filter and its Ignore twin only one is set.
type Trigger struct {
	Event string `json:"event"`
	// Types are the activities of the event, e.g. opened; empty: the default
	// ones of Actions.
	Types []string `json:"types,omitempty"`
	// The patterns are Actions': * stops at a slash, ** does not, and a later
	// !pattern takes away what an earlier one let in.
	Branches       []string `json:"branches,omitempty"`
	BranchesIgnore []string `json:"branchesIgnore,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	TagsIgnore     []string `json:"tagsIgnore,omitempty"`
	Paths          []string `json:"paths,omitempty"`
	PathsIgnore    []string `json:"pathsIgnore,omitempty"`
	// Cron are the times of schedule: five fields, in UTC.
	Cron []string `json:"cron,omitempty"`
	// Inputs are those of workflow_dispatch.
	Inputs []Input `json:"inputs,omitempty"`
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
