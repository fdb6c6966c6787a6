package access

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter bounds how often each caller may ask, by a token bucket each. It is of
// one process: with n of them a caller may ask n times as often.
type Limiter struct {
	// Rate is how many a second; 0: as many as they like. Burst is how many at once.
	Rate  float64
	Burst int
	// Now is the time; nil: time.Now.
	Now func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// mostBuckets are kept; when there are more, those that are full again go.
const mostBuckets = 10_000

// Wait takes a token of a caller's bucket. Where there is none it tells after
// what time there will be one.
func (l *Limiter) Wait(caller string) time.Duration {
	if l == nil || l.Rate <= 0 {
		return 0
	}
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	at := now()
	b := l.bucket(caller, at)
	r := b.ReserveN(at, 1)
	d := r.DelayFrom(at)
	if d > 0 {
		r.CancelAt(at)
	}
	return d
}

func (l *Limiter) bucket(caller string, at time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.buckets[caller]; ok {
		return b
	}
	if len(l.buckets) >= mostBuckets {
		l.sweep(at)
	}
	if l.buckets == nil {
		l.buckets = map[string]*rate.Limiter{}
	}
	b := rate.NewLimiter(rate.Limit(l.Rate), max(1, l.Burst))
	l.buckets[caller] = b
	return b
}

// sweep drops buckets that are full, which says the same as none; where all are
// in use, half of them.
func (l *Limiter) sweep(at time.Time) {
	for name, b := range l.buckets {
		if b.TokensAt(at) >= float64(b.Burst()) {
			delete(l.buckets, name)
		}
	}
	for name := range l.buckets {
		if len(l.buckets) < mostBuckets/2 {
			return
		}
		delete(l.buckets, name)
	}
}

// Kept is how many callers it remembers.
func (l *Limiter) Kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
