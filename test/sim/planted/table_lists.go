package main

// lists are the bugs about rows of lists, which must come to say what their
// documents say.
func lists() []Bug {
	return []Bug{
		bug("rows-of-events-alone", "a row whose event was lost stays as it is",
			Edit{roundsFile, "	if c.Views == nil || !c.passed(&c.mendAt,", "	if c.Views != nil || !c.passed(&c.mendAt,"}),
		bug("mended-once", "a run whose rows were right once counts as right",
			Edit{mendFile, "docs[1].Version == 0 || version == known {", "docs[1].Version == 0 || known > 0 {"}),
		bug("jobs-left-behind", "the row of a run that is over hides those of its jobs",
			Edit{viewsFile, "	if job == \"\" || run.State.Final() {", "	if job == \"\" {"}),
	}
}
