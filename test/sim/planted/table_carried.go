package main

// carrying are the bugs about what is carried over where only what failed is run
// again.
func carrying() []Bug {
	return []Bug{
		bug("carried-failed", "a job that failed is carried over as one that succeeded",
			Edit{carryFile, "if j.State != Succeeded ||", "if !j.State.Final() ||"}),
		bug("carried-unneeded", "a job is carried over though what it needs runs again",
			Edit{carryFile, "bool { return again[id] }", "bool { return again[id] && s.ID == id }"}),
		bug("carried-matrix", "a job is carried over though one of the matrix that it needs runs again",
			Edit{carryFile, "again[s.ID] = true", "again[string(s.Key)] = true"}),
		bug("carried-outputs-lost", "what is carried over has no outputs",
			Edit{carryFile, "Name: j.Name, Outputs: j.Outputs}", "Name: j.Name}"}),
		bug("carried-runs", "what is carried over runs again",
			Edit{carryFile, "	return j.move(Succeeded)\n", "	return nil\n"}),
	}
}
