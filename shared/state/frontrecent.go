package state

import (
	"context"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
)

const (
	// recentFor is how long it is known which events of a type came. A job that
	// waits for one may be registered later than it came: while it is not, for
	// lack of a broker say, no event passes it by.
	recentFor = 30 * time.Minute
	// mostRecent of one type.
	mostRecent = 256
)

const recentPrefix = "recent."

// recent are the deliveries of one type that came lately, the oldest first.
type recent struct {
	Came []came `json:"came"`
}

type came struct {
	Delivery events.DeliveryID `json:"id"`
	At       time.Time         `json:"at"`
}

// recentPlace is in the partition of the type's awaits: what comes is noted
// before the awaits are looked at, an await is added before what came is looked
// at, and so one of them sees the other.
func recentPlace(kind string) place {
	return place{frontPartition(kind), recentPrefix + typeHash(kind) + "/came"}
}

// Arrive notes that an event of a type came, as a delivery that was received at
// that time. Twice it is noted once.
func (s *Front) Arrive(ctx context.Context, function string, cause events.Envelope, kind string, id events.DeliveryID, at time.Time) error {
	_, err := apply(ctx, s, change[recent]{
		at: recentPlace(kind), function: function, cause: cause,
		decide: func(f found[recent], em *events.Emitter) (bool, error) {
			list := f.value.Came
			if slices.ContainsFunc(list, func(c came) bool { return c.Delivery == id }) {
				return false, nil
			}
			list = append(list, came{id, at})
			past := func(c came) bool { return em.Now.Sub(c.At) > recentFor }
			list = slices.DeleteFunc(list, past)
			if more := len(list) - mostRecent; more > 0 {
				list = list[more:]
			}
			f.value.Came = list
			return true, nil
		},
		due: func(_ *recent, now time.Time) time.Time { return now.Add(recentFor) },
	})
	return err
}

// Arrivals are the deliveries of a type that came since, as far as that is
// known still.
func (s *Front) Arrivals(ctx context.Context, kind string, since time.Time) ([]events.DeliveryID, error) {
	f, err := read[recent](ctx, s, recentPlace(kind))
	if err != nil {
		return nil, err
	}
	var ids []events.DeliveryID
	for _, c := range f.value.Came {
		if !c.At.Before(since) {
			ids = append(ids, c.Delivery)
		}
	}
	return ids, nil
}
