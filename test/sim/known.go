package main

// What the functions are known not to hold yet is left out here, each with its
// name, unless the flag strict asks for it. Whoever mends one takes its gate
// away.

// mixes tells that a restart lost a worker's hello and let its twin in: both
// write one log (S10).
func (a *auditor) mixes() bool {
	return !a.w.faults.Strict && !a.rolled.IsZero() && a.w.counts[twins] > 0
}
