package state

import (
	"context"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
)

const newsPrefix = "news"

// newsFor is how long it is remembered what was told of something that is over:
// after it the same would be told again, with the same ids.
const newsFor = time.Hour

// News is something to tell other systems, once.
type News struct {
	// Key tells it apart from the other news of its subject.
	Key   string
	Event events.Envelope
}

// told is what other systems were told of a run, or of something else.
type told struct {
	Keys  []string     `json:"keys"`          // sorted
	Run   events.RunID `json:"run,omitempty"` // of which there may be more to tell
	Since time.Time    `json:"since"`
	Over  bool         `json:"over,omitempty"`
}

func newsPlace(about string) place { return place{frontPartition(about), newsPrefix + "/" + about} }

// Tell lets tell what of all the news of something was not told yet: it goes into
// the outbox, to be published by whoever called or by the clock. Of a run that is
// not over the clock asks again, as events.NewsRequested; a run is empty where
// nothing more comes.
func (s *Front) Tell(ctx context.Context, function string, cause events.Envelope, about string, run events.RunID, over bool, all []News) (Result, error) {
	var fresh []events.Envelope
	return apply(ctx, s, change[told]{
		at: newsPlace(about), function: function, cause: cause,
		decide: func(f found[told], em *events.Emitter) (bool, error) {
			t, was := f.value, f.value.Over
			fresh = nil
			for _, n := range all {
				if i, known := slices.BinarySearch(t.Keys, n.Key); !known {
					t.Keys = slices.Insert(t.Keys, i, n.Key)
					fresh = append(fresh, n.Event)
				}
			}
			if !f.there() {
				t.Since = em.Now
			}
			t.Run, t.Over = run, over
			return len(fresh) > 0 || over != was || !f.there(), nil
		},
		beside: func() []events.Envelope { return fresh },
		due: func(t *told, now time.Time) time.Time {
			if t.Over {
				return now.Add(newsFor)
			}
			return now.Add(trigger.Nudge(s.nudge(), now.Sub(t.Since)))
		},
	})
}

// ForgetNews drops what was told of something that is not there any more.
func (s *Front) ForgetNews(ctx context.Context, about string) error {
	return s.drop(ctx, newsPlace(about))
}

// fireNews asks what there is to tell of a run that is not over as far as others
// were told, and forgets what is.
func (s *Front) fireNews(ctx context.Context, at place) (Result, []events.Envelope, error) {
	f, err := read[told](ctx, s, at)
	if err != nil {
		return Result{}, nil, err
	}
	t := f.value
	if !f.there() || t.Over || t.Run == "" {
		return Result{}, nil, s.drop(ctx, at)
	}
	next := f.moment.Now.Add(trigger.Nudge(s.nudge(), f.moment.Now.Sub(t.Since)))
	_, err = s.commit(ctx, protocol.Commit{
		Partition: at.partition, Checks: []protocol.Doc{f.doc}, Due: []protocol.Due{{Name: at.subject, At: next}},
	})
	if err != nil {
		return Result{}, nil, err
	}
	asking := &events.Emitter{Function: "clock-ticked", Cause: events.Envelope{ID: at.subject}, Now: f.moment.Now, Epoch: f.moment.Epoch}
	return Result{}, []events.Envelope{asking.Emit(events.NewsRequested{RunRef: events.RunRef{Run: t.Run}})}, nil
}
