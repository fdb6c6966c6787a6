package events

// Carried says where a job ran whose success is carried over into a later run.
type Carried struct {
	// Run that it really ran in: a retry of a retry names the first.
	Run RunID `json:"run"`
	// Attempt of that job that succeeded; absent where it only waited.
	Attempt int `json:"attempt,omitempty"`
}

// CarriedJob is a job that succeeded in an earlier run, and is not run again.
type CarriedJob struct {
	Carried
	// Name that people were shown.
	Name string `json:"name,omitempty"`
	// Outputs that it had.
	Outputs map[string]string `json:"outputs,omitempty"`
}
