package state

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
)

func reportPlace(r events.ReportRef) place {
	return place{repositoryPartition(r.Forge, r.Repository), r.Subject()}
}

func (s *Front) changeReport(ctx context.Context, ref events.ReportRef, function string, cause events.Envelope, once string, decide func(r *trigger.Report, em *events.Emitter) bool) (Result, error) {
	if ref.Forge == "" || ref.Repository == "" || ref.SHA == "" || strings.Contains(ref.Forge+ref.SHA, "/") {
		return Result{}, fn.Faultf(fn.Invalid, "state: %s is no report", ref.Subject())
	}
	return apply(ctx, s, change[trigger.Report]{
		at: reportPlace(ref), function: function, cause: cause, once: once,
		decide: func(f found[trigger.Report], em *events.Emitter) (bool, error) {
			f.value.ReportRef = ref
			return decide(f.value, em), nil
		},
		due: s.reportDue,
	})
}

func (s *Front) reportDue(r *trigger.Report, now time.Time) time.Time { return r.Due(s.nudge(), now) }

// Learn takes in the state of a run for its commit, and asks to tell the forge.
// Older news than what is known change nothing.
func (s *Front) Learn(ctx context.Context, function string, cause events.Envelope, ref events.ReportRef, n trigger.News) (Result, error) {
	return s.changeReport(ctx, ref, function, cause, n.Context, func(r *trigger.Report, em *events.Emitter) bool {
		return r.Learn(em, n)
	})
}

// Telling is what is to be told of a commit, by whoever has the claim.
type Telling struct {
	Claim    string
	Until    time.Time // the claim's end: calls of the forge must end before
	Statuses []trigger.Status
}

// Take claims the telling of a commit for a while. There is nothing to tell
// where it was told, another has the claim, or the forge asked for time; the
// clock comes back to it.
func (s *Front) Take(ctx context.Context, cause events.Envelope, ref events.ReportRef) (Telling, error) {
	var t Telling
	_, err := s.changeReport(ctx, ref, "status-requested", cause, "", func(r *trigger.Report, em *events.Emitter) bool {
		until := em.Now.Add(cmp.Or(s.Lease, time.Minute))
		t = Telling{Claim: events.DeriveID(cause.ID, strconv.FormatUint(em.Version, 10)), Until: until}
		t.Statuses = r.Take(t.Claim, em.Now, until)
		return len(t.Statuses) > 0
	})
	if err != nil {
		return Telling{}, err
	}
	return t, nil
}

// Told notes what came of a telling, and asks for what is left to tell. After is
// how long the forge asked to be left alone, 0 where it did not.
func (s *Front) Told(ctx context.Context, cause events.Envelope, ref events.ReportRef, claim string, tellings []trigger.Telling, after time.Duration) (Result, error) {
	return s.changeReport(ctx, ref, "status-requested", cause, "", func(r *trigger.Report, em *events.Emitter) bool {
		em.Cause = events.Envelope{ID: "told/" + claim, CauseID: cause.ID, Traceparent: cause.Traceparent, Tracestate: cause.Tracestate}
		r.Heard(em, claim, tellings, after)
		return true
	})
}

// Report reads what is known of a commit; an empty one where nothing is.
func (s *Front) Report(ctx context.Context, ref events.ReportRef) (trigger.Report, error) {
	f, err := read[trigger.Report](ctx, s, reportPlace(ref))
	if err != nil {
		return trigger.Report{}, err
	}
	f.value.ReportRef = ref
	return *f.value, nil
}

// fireReport asks again for the telling of what was not told.
func (s *Front) fireReport(ctx context.Context, at place) (Result, []events.Envelope, error) {
	var again []events.Envelope
	var epoch uint32
	_, err := apply(ctx, s, change[trigger.Report]{
		at: at, function: "clock-ticked",
		decide: func(f found[trigger.Report], em *events.Emitter) (bool, error) {
			again, epoch = nil, em.Epoch
			if !f.there() {
				return false, s.clearDue(ctx, at)
			}
			mark := events.DeriveID(at.subject, strconv.FormatUint(f.value.Version, 10), strconv.Itoa(f.value.Tries))
			asking := &events.Emitter{Function: em.Function, Cause: events.Envelope{ID: mark}, Now: em.Now, Epoch: em.Epoch}
			f.value.Fire(asking)
			again = asking.Emitted()
			return true, nil
		},
		due: s.reportDue,
	})
	return Result{}, stamped(again, epoch), err
}

func (s *Front) clearDue(ctx context.Context, at place) error {
	_, err := s.commit(ctx, protocol.Commit{Partition: at.partition, Due: []protocol.Due{{Name: at.subject}}})
	return err
}

func reviewPlace(r trigger.PullRef) place {
	return place{repositoryPartition(r.Forge, r.Repository), r.Subject()}
}

// Review reads what is known of a pull request for approving it.
func (s *Front) Review(ctx context.Context, ref trigger.PullRef) (trigger.Review, error) {
	f, err := read[trigger.Review](ctx, s, reviewPlace(ref))
	if err != nil {
		return trigger.Review{}, err
	}
	f.value.PullRef = ref
	return *f.value, nil
}

// ChangeReview lets decide change the review of a pull request: See, Approve.
// decide tells whether it did.
func (s *Front) ChangeReview(ctx context.Context, ref trigger.PullRef, decide func(r *trigger.Review, now time.Time) bool) error {
	_, err := apply(ctx, s, change[trigger.Review]{
		at: reviewPlace(ref), function: "review",
		decide: func(f found[trigger.Review], em *events.Emitter) (bool, error) {
			f.value.PullRef = ref
			changed := decide(f.value, em.Now)
			f.value.Changed = em.Now
			return changed, nil
		},
	})
	return err
}
