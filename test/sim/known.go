package main

// What the functions are known not to hold yet is left out here, each with its
// name, unless the flag strict asks for it. Whoever mends one takes its gate
// away.

// mixes tells that a restart lost the hello of an attempt's worker: another one
// under the same fence may have been let in since, and both write one log (S10).
func (a *auditor) mixes(attempt string) bool {
	return !a.w.faults.Strict && a.unheard[attempt]
}
