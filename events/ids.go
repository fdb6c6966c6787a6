package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// RunID is a ULID: 26 characters of Crockford base 32.
type RunID string

// JobKey names a job within its run: the id of the pipeline file, and for a
// job of a matrix a dot and its index (test.0, test.1 …).
type JobKey string

// PoolID names a pool of nodes, e.g. linux.
type PoolID string

// untrusted is what the names of the pools for strangers' jobs end in.
const untrusted = "-untrusted"

// Untrusted is the pool beside this one that is for strangers' jobs alone.
func (p PoolID) Untrusted() PoolID {
	if p.IsUntrusted() {
		return p
	}
	return p + untrusted
}

// IsUntrusted tells that the pool is for strangers' jobs.
func (p PoolID) IsUntrusted() bool { return strings.HasSuffix(string(p), untrusted) }

// NodeID names a node within its pool: a Docker host, a Kubernetes node pool,
// this machine.
type NodeID string

// OfferID and the ids below are derived from what they stand for, so that a
// repeated event names the same thing.
type (
	OfferID      string
	AssignmentID string
	WorkerID     string
)

// Fence orders the attempts of a run: a later attempt has a higher fence, also
// after a restore of the store, which raises the epoch. Its text form is
// "epoch.counter"; the zero Fence is the empty string.
type Fence struct {
	Epoch   uint32
	Counter uint32
}

// Compare is negative where f is older than g.
func (f Fence) Compare(g Fence) int {
	return cmp.Or(cmp.Compare(f.Epoch, g.Epoch), cmp.Compare(f.Counter, g.Counter))
}

// IsZero tells that no fence was given yet.
func (f Fence) IsZero() bool { return f == Fence{} }

// String is the text form, "1.3".
func (f Fence) String() string {
	if f.IsZero() {
		return ""
	}
	return strconv.FormatUint(uint64(f.Epoch), 10) + "." + strconv.FormatUint(uint64(f.Counter), 10)
}

// ParseFence reads the text form; ErrInvalid otherwise.
func ParseFence(s string) (Fence, error) {
	if s == "" {
		return Fence{}, nil
	}
	e, c, ok := strings.Cut(s, ".")
	epoch, err1 := strconv.ParseUint(e, 10, 32)
	counter, err2 := strconv.ParseUint(c, 10, 32)
	f := Fence{Epoch: uint32(epoch), Counter: uint32(counter)}
	// Only the one form that String writes: ids and paths are made of it.
	if !ok || err1 != nil || err2 != nil || f.String() != s {
		return Fence{}, fmt.Errorf("%w: fence %q is not epoch.counter", ErrInvalid, s)
	}
	return f, nil
}

// MarshalJSON writes the text form.
func (f Fence) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

// UnmarshalJSON reads the text form.
func (f *Fence) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	var err error
	*f, err = ParseFence(s)
	return err
}

// RunRef names a run.
type RunRef struct {
	// Run is the run's id, a ULID.
	Run RunID `json:"run"`
}

// Subject is run/<id>.
func (r RunRef) Subject() string { return "run/" + string(r.Run) }

// RunOf is the run that an event belongs to.
func (r RunRef) RunOf() RunID { return r.Run }

// JobRef names a job of a run.
type JobRef struct {
	// Run is the run's id, a ULID.
	Run RunID `json:"run"`
	// Job is the job's key within the run.
	Job JobKey `json:"job"`
}

// Subject is run/<id>/job/<key>.
func (r JobRef) Subject() string { return "run/" + string(r.Run) + "/job/" + string(r.Job) }

// RunOf is the run that an event belongs to.
func (r JobRef) RunOf() RunID { return r.Run }

// AttemptRef names one attempt of a job, with the fence under which its
// effects count.
type AttemptRef struct {
	JobRef
	// Attempt counts from 1; 0 where the job ended before its first was asked for.
	Attempt int `json:"attempt"`
	// Fence is the attempt's fence, epoch.counter; empty before the job was scheduled.
	Fence Fence `json:"fence,omitzero"`
}

// OfferRef names an offer in a pool.
type OfferRef struct {
	// Pool holds the queue that the offer waits in.
	Pool PoolID `json:"pool"`
	// Offer is derived from the job and attempt that it asks capacity for.
	Offer OfferID `json:"offer"`
}

// Subject is pool/<pool>/offer/<id>.
func (r OfferRef) Subject() string { return "pool/" + string(r.Pool) + "/offer/" + string(r.Offer) }

// AssignmentRef names an assignment of a pool.
type AssignmentRef struct {
	// Pool is the pool whose capacity is held.
	Pool PoolID `json:"pool"`
	// Assignment is derived from the offer.
	Assignment AssignmentID `json:"assignment"`
}

// Subject is pool/<pool>/assignment/<id>.
func (r AssignmentRef) Subject() string {
	return "pool/" + string(r.Pool) + "/assignment/" + string(r.Assignment)
}

// OfferFor derives the id of the offer of one attempt.
func OfferFor(job JobRef, attempt int) OfferID {
	return OfferID(DeriveID("offer", string(job.Run), string(job.Job), strconv.Itoa(attempt)))
}

// AssignmentFor derives the id of the assignment that answers an offer.
func AssignmentFor(offer OfferID) AssignmentID {
	return AssignmentID(DeriveID("assignment", string(offer)))
}

// WorkerFor derives the id of the worker of an assignment.
func WorkerFor(a AssignmentID) WorkerID { return WorkerID(DeriveID("worker", string(a))) }
