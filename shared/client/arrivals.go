package client

// Receipts are the answer to CloudEvents, in the order in which they were sent.
type Receipts struct {
	Events []Receipt `json:"events"`
}

// Receipt is what became of one CloudEvent.
type Receipt struct {
	ID     string `json:"id" doc:"Of the event."`
	Source string `json:"source"`
	Type   string `json:"type"`
	// Delivery is its id in the ledger of triggers.
	Delivery string `json:"delivery" doc:"Its id in the ledger of triggers."`
	// Duplicate: an event of that source and id came before.
	Duplicate bool `json:"duplicate,omitempty" doc:"An event of that source and id came before, and counted."`
}

// Review is an answer to a job that awaits an approval.
type Review struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Shown with the job."`
}
