package trigger

import (
	"cmp"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Report is what is known of a commit, and what of it the forge was told: of
// each context the newest state, told in order and once.
type Report struct {
	events.ReportRef
	// Version rises with each change of what is known.
	Version  uint64   `json:"version"`
	Contexts []*Known `json:"contexts,omitempty"` // by context
	// Checks: the forge shows runs that wait and those that run apart, as it turned
	// out when it was told last. Others are told of a pending run once.
	Checks bool `json:"checks,omitempty"`
	// Claim is who tells the forge just now.
	Claim *Claim `json:"claim,omitempty"`
	// Tries that failed since one did not, and NotBefore the next.
	Tries     int       `json:"tries,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Failure of the last try.
	Failure string    `json:"failure,omitempty"`
	Changed time.Time `json:"changed"`
	// Asked is when telling was asked for last.
	Asked time.Time `json:"asked,omitzero"`
}

// News is the state of a run, as one of its events tells.
type News struct {
	Status
	// Requested is when the run was asked for: of two runs of one context the
	// later one counts.
	Requested time.Time `json:"requested"`
	// Epoch and Sequence of the event: of one run the later one counts.
	Epoch    uint32 `json:"epoch,omitempty"`
	Sequence uint64 `json:"sequence"`
}

// Known is the newest of a context.
type Known struct {
	News
	// Told is the run and state that the forge has; empty: none, or not known.
	Told *Told `json:"told,omitempty"`
	// Refused is why the forge will never take this state.
	Refused string `json:"refused,omitempty"`
}

// Told is a state that a forge was told.
type Told struct {
	Run     events.RunID `json:"run"`
	State   State        `json:"state"`
	Running bool         `json:"running,omitempty"`
	At      time.Time    `json:"at"`
}

// Claim keeps two from telling a forge at once, the older news last.
type Claim struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// mostContexts bounds a report.
const mostContexts = 256

// Final tells that nothing follows a state of a run.
func (s State) Final() bool { return s != Pending }

// after tells whether n is newer than what is known.
func (n News) after(k News) bool {
	if n.Run != k.Run {
		return cmp.Or(n.Requested.Compare(k.Requested), cmp.Compare(n.Run, k.Run)) > 0
	}
	if n.State.Final() != k.State.Final() {
		return n.State.Final() // a verdict is never taken back by what came before it
	}
	return cmp.Or(cmp.Compare(n.Epoch, k.Epoch), cmp.Compare(n.Sequence, k.Sequence)) > 0
}

// Learn takes in news and asks to tell them. It tells whether they are newer
// than what is known.
func (r *Report) Learn(em *events.Emitter, n News) bool {
	i, known := slices.BinarySearchFunc(r.Contexts, n.Context, func(k *Known, c string) int { return cmp.Compare(k.Context, c) })
	switch {
	case known:
		k := r.Contexts[i]
		if !n.after(k.News) {
			return false
		}
		if n.Run != k.Run || n.State != k.State {
			k.Refused = ""
		}
		k.News = n
	case len(r.Contexts) >= mostContexts:
		return false
	default:
		r.Contexts = slices.Insert(r.Contexts, i, &Known{News: n})
	}
	r.Version++
	r.Changed = em.Now
	r.ask(em)
	return true
}

// ask emits that there is something to tell, where nobody is at it and the
// forge did not ask for time.
func (r *Report) ask(em *events.Emitter) {
	if len(r.untold()) == 0 || r.Claim != nil && em.Now.Before(r.Claim.Until) || em.Now.Before(r.NotBefore) {
		return
	}
	r.Asked = em.Now
	em.Emit(events.StatusRequested{ReportRef: r.ReportRef, Version: r.Version})
}

func (r *Report) untold() []*Known {
	var list []*Known
	for _, k := range r.Contexts {
		if k.Refused == "" && !k.told(r.Checks) {
			list = append(list, k)
		}
	}
	// What was known first is told first.
	slices.SortStableFunc(list, func(a, b *Known) int {
		return cmp.Or(a.Requested.Compare(b.Requested), cmp.Compare(a.Sequence, b.Sequence))
	})
	return list
}

// told tells whether the forge has the newest; checks, that it tells runs that
// wait from those that run.
func (k *Known) told(checks bool) bool {
	return k.Told != nil && k.Told.Run == k.Run && k.Told.State == k.State && (k.Told.Running || !k.Running || !checks)
}

// Take gives what is to be told, and claims the telling until a time; nothing
// where another has the claim, or it is too early.
func (r *Report) Take(id string, now, until time.Time) []Status {
	untold := r.untold()
	if len(untold) == 0 || r.Claim != nil && now.Before(r.Claim.Until) || now.Before(r.NotBefore) {
		return nil
	}
	r.Claim = &Claim{ID: id, Until: until}
	list := make([]Status, len(untold))
	for i, k := range untold {
		list[i] = k.Status
	}
	return list
}

// Telling is what came of telling one status.
type Telling struct {
	Status Status
	// Failure is empty where the forge took it. Never: it will not take it later
	// either.
	Failure string
	Never   bool
	// Checks: the forge shows runs that wait and those that run apart.
	Checks bool
}

// Heard notes what came of the tellings of a claim. After is how long the forge
// asked to be left alone; of a failure it is at least a growing while.
func (r *Report) Heard(em *events.Emitter, claim string, tellings []Telling, after time.Duration) {
	failure := ""
	for _, t := range tellings {
		if t.Failure != "" && !t.Never {
			failure = t.Failure
		}
		r.heard(t, em.Now)
	}
	if r.Claim != nil && r.Claim.ID == claim {
		r.Claim = nil
	}
	if failure == "" {
		r.Tries, r.NotBefore, r.Failure = 0, time.Time{}, ""
	} else {
		r.Tries++
		r.Failure = bounded(failure, mostReason)
		r.NotBefore = em.Now.Add(max(after, backoff(r.Tries)))
	}
	r.ask(em)
}

func (r *Report) heard(t Telling, now time.Time) {
	i, known := slices.BinarySearchFunc(r.Contexts, t.Status.Context, func(k *Known, c string) int { return cmp.Compare(k.Context, c) })
	if !known {
		return
	}
	k := r.Contexts[i]
	same := k.Run == t.Status.Run && k.State == t.Status.State
	switch {
	case t.Failure != "" && t.Never && same:
		k.Refused = bounded(t.Failure, mostReason)
	case t.Failure != "":
	default:
		// Of one whose claim was over it may be older than what another told: then
		// the newest is told once more.
		k.Told = &Told{Run: t.Status.Run, State: t.Status.State, Running: t.Status.Running, At: now}
		r.Checks = t.Checks
	}
}

// backoff is how long to wait after so many tries that failed.
func backoff(tries int) time.Duration {
	return min(5*time.Second<<min(tries-1, 10), 10*time.Minute)
}

// Due is when a report must be looked at; zero where all is told.
func (r *Report) Due(nudge time.Duration, now time.Time) time.Time {
	switch {
	case len(r.untold()) == 0:
		return time.Time{}
	case r.Claim != nil && now.Before(r.Claim.Until):
		return r.Claim.Until
	case now.Before(r.NotBefore):
		return r.NotBefore
	}
	return now.Add(min(max(nudge, now.Sub(r.Asked)/4), 10*time.Minute))
}

// Fire asks again, since time has passed.
func (r *Report) Fire(em *events.Emitter) {
	if r.Claim != nil && !em.Now.Before(r.Claim.Until) {
		r.Claim = nil // whoever had it is gone
	}
	r.ask(em)
}

// mostDescription is what the narrowest forge shows: GitHub's 140 characters.
const mostDescription = 140

// EndOf is how a run's end is told: whose fault it was decides the state, and
// what is not the author's is never put as if it were.
func EndOf(v events.Verdict, reason string) (State, string) {
	say := func(text string) string {
		if reason != "" {
			text += ": " + reason
		}
		return bounded(text, mostDescription)
	}
	switch v {
	case events.Succeeded:
		return Succeeded, say("succeeded")
	case events.Failed:
		return Failed, say("failed")
	case events.Timeout:
		return Failed, say("ran out of time")
	case events.Cancelled:
		return Cancelled, say("cancelled")
	case events.Rejected:
		return Errored, say("could not be run")
	}
	return Errored, say("the CI system broke down, not the commit")
}
