package webhook

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	// mostBody bounds a delivery in bytes, as the forges do.
	mostBody = 25 << 20
	// mostAtOnce bounds the bodies that are in memory at a time, in bytes.
	mostAtOnce = 2*mostBody + 4<<20
	// bodyTime is how long a sender may take for a body, and roomTime how long it
	// waits for room.
	bodyTime = 30 * time.Second
	roomTime = 5 * time.Second

	// Of an address, so many deliveries a minute may be refused, burst at once. Then
	// only what is short is looked at, in bytes: others may come from there too, whose
	// deliveries are signed, for a proxy that is not known stands for all behind it.
	refusedPerMinute = 60
	refusedBurst     = 60
	mostOfTired      = 1 << 20
	// mostSenders bounds the addresses that are remembered.
	mostSenders = 4096
)

// senders remember who sends what is refused: unsigned, wrongly signed,
// malformed. What was taken costs a sender nothing.
type senders struct {
	now func() time.Time

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

// tired tells that so much of a sender was refused lately that the next is hardly
// looked at, and when it is again.
func (s *senders) tired(sender string) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.all[sender]
	if l == nil {
		return 0, false
	}
	now := s.now()
	if l.TokensAt(now) >= 1 {
		return 0, false
	}
	return time.Minute / refusedPerMinute, true
}

// refused counts one more.
func (s *senders) refused(sender string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*rate.Limiter{}
	}
	l := s.all[sender]
	if l == nil {
		if len(s.all) >= mostSenders { // somebody makes them up
			clear(s.all)
		}
		l = rate.NewLimiter(rate.Every(time.Minute/refusedPerMinute), refusedBurst)
		s.all[sender] = l
	}
	l.AllowN(s.now(), 1)
}

// room is for the bodies that are being looked at.
type room struct{ bytes *semaphore.Weighted }

// take waits for room for a body of so many bytes, -1 where nobody says.
func (m room) take(ctx context.Context, size int64) (leave func(), ok bool) {
	if size < 0 {
		size = mostBody
	}
	ctx, cancel := context.WithTimeout(ctx, roomTime)
	defer cancel()
	size++ // none is free
	if m.bytes.Acquire(ctx, size) != nil {
		return nil, false
	}
	return func() { m.bytes.Release(size) }, true
}
