package main

import "github.com/relevo-ci/relevo/events"

// What the functions are known not to hold yet is left out here, each with its
// name, unless the flag strict asks for it. Whoever mends one takes its gate
// away.

// outlives tells that an event on its way outlives a restart of the store that
// lost the commit behind it. Such events release capacity that is in use, accept
// assignments that nobody holds, refuse what was launched, and leave runs that
// wait for ever (S3, L1).
func (w *World) outlives(life int) bool { return w.faults.Strict || life == w.life }

// inHand tells that a process has events in hand that would outlive a restart:
// what it handles while others act, or what its clock tells again.
func (w *World) inHand() bool {
	return !w.faults.Strict && (w.nested || w.checks.ticking != nil)
}

// stray tells that an event frees the capacity of a worker whose attempt a
// restart lost. Its assignment may be held for the attempt that follows, which
// would run without capacity, or not be asked for again (S3, L1).
func (w *World) stray(function string, e events.Envelope) bool {
	if w.faults.Strict || function != "worker-terminated-scheduler" {
		return false
	}
	d := decode[events.WorkerTerminated](w.checks, e)
	r := w.checks.runs[d.For.Run]
	return r != nil && r.attempt(d.For) == nil
}

// strictly tells whether S3 is held in the world also after a restart of the
// store that lost writes: the books of the run and of the pool may differ then
// on whether a worker is there.
func (a *auditor) strictly() bool { return a.rolled.IsZero() || a.w.faults.Strict }

// mixes tells that a restart lost a worker's hello and let its twin in: both
// write one log (S10).
func (a *auditor) mixes() bool {
	return !a.w.faults.Strict && !a.rolled.IsZero() && a.w.counts[twins] > 0
}
