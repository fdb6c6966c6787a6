package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// bell wakes who waits for a change that any process may make. It hears of
// changes through one subscription a process, begun when somebody waits for the
// first time. What is told while the connection is away is lost: so all are
// woken when it is back, to look for themselves.
type bell struct {
	options *goredis.Options

	mu      sync.Mutex
	waiting map[string]*waiters
	client  *goredis.Client // nil until somebody waits
	heard   *goredis.PubSub
	closed  bool
}

// waiters wait for the next ring of one name.
type waiters struct {
	rung  chan struct{}
	count int
}

// follow gives a channel that is closed at the next ring of a name (a channel
// of Redis and what was said there), and what to call when done with it. Follow
// before looking, or a change in between goes unheard.
func (b *bell) follow(channel, said string) (rung <-chan struct{}, done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listen()
	name := channel + " " + said
	w := b.waiting[name]
	if w == nil {
		w = &waiters{rung: make(chan struct{})}
		if b.waiting == nil {
			b.waiting = map[string]*waiters{}
		}
		b.waiting[name] = w
	}
	w.count++
	return w.rung, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if w.count--; w.count == 0 && b.waiting[name] == w {
			delete(b.waiting, name)
		}
	}
}

// listen subscribes, once; the caller holds mu. The client is one of its own:
// it belongs to no life of the server, and finds the next one by itself.
func (b *bell) listen() {
	if b.client != nil || b.closed {
		return
	}
	own := *b.options
	b.client = goredis.NewClient(&own)
	b.heard = b.client.Subscribe(context.Background(), logsChanged, feedChanged)
	messages := b.heard.ChannelWithSubscriptions()
	go func() {
		for m := range messages {
			if said, ok := m.(*goredis.Message); ok {
				b.ring(said.Channel + " " + said.Payload)
			} else {
				b.ringAll() // subscribed, for the first time or again
			}
		}
	}()
}

func (b *bell) ring(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.waiting[name]; w != nil {
		close(w.rung)
		delete(b.waiting, name)
	}
}

func (b *bell) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, w := range b.waiting {
		close(w.rung)
		delete(b.waiting, name)
	}
}

// close ends the subscription. Who waits looks once more and hears that the
// store is closed.
func (b *bell) close() error {
	b.mu.Lock()
	client, heard := b.client, b.heard
	b.client, b.heard, b.closed = nil, nil, true
	b.mu.Unlock()
	if client == nil {
		return nil
	}
	err := heard.Close()
	b.ringAll()
	if closed := client.Close(); err == nil {
		err = closed
	}
	return err
}
