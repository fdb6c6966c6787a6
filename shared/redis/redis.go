// Package redis is the store in Redis: the truth of every installation that
// outlives a process.
//
// Beside the truth it keeps what all processes of an installation share: the
// logs of attempts, and the feed of those who watch.
//
// A commit is one Lua script on the keys of one partition. Redis must run with
// an append-only file that is fsynced always if no acknowledged commit may ever
// be lost; with less, a restart may lose the last ones, and the epoch tells.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// Options tune a Store; the zero value will do.
type Options struct {
	// PoolSize is the most connections at once; 0: ten per processor.
	PoolSize int
}

// Store is a protocol.Store in Redis. It is safe for use by many goroutines
// and, on one Redis, by many processes.
//
// It repeats nothing by itself: an error that is none of the port's sentinels
// (connection lost, LOADING, READONLY, BUSY, OOM …) goes to the caller, who may
// repeat the call.
type Store struct {
	options  *goredis.Options
	proposal string // of an installation id, should there be none yet
	current  atomic.Pointer[session]
	bell     bell
}

var _ protocol.Store = (*Store)(nil)

// Open connects to the Redis at url (redis://, rediss:// for TLS, or
// unix:///path), joins its present life and gives the store. Close it.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	silence()
	parsed, err := goredis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis: read url: %w", err)
	}
	if o.PoolSize > 0 {
		parsed.PoolSize = o.PoolSize
	}
	// The caller repeats, and knows whether it may.
	parsed.MaxRetries = -1
	parsed.ContextTimeoutEnabled = true
	// Nothing here needs RESP 3; a connection is ready sooner without.
	parsed.Protocol = 2
	parsed.DisableIdentity = true
	parsed.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

	s := &Store{options: parsed, proposal: strings.ToLower(rand.Text()[:13])}
	s.bell.options = parsed
	s.current.Store(newSession(parsed, s.proposal))
	if err := s.with(func(life *session) error { return life.ready(ctx) }); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: connect to %s: %w", parsed.Addr, err), s.Close())
	}
	return s, nil
}

// silence keeps the client from writing to standard error what it returns as an
// error too.
var silence = sync.OnceFunc(func() { goredis.SetLogger(silent{}) })

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Close closes the connections. Calls under way fail.
func (s *Store) Close() error {
	if err := errors.Join(s.bell.close(), s.current.Load().client.Close()); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}

// lives bounds how many lives of the server one call may meet.
const lives = 3

// with runs f in the present session, and again in the next one if it turned
// out, before f sent anything, that the server lives another life by now.
func (s *Store) with(f func(*session) error) error {
	for i := 1; ; i++ {
		life := s.current.Load()
		err := f(life)
		switch {
		case errors.Is(err, errAnotherLife):
			s.leave(life)
			if i < lives {
				continue
			}
		case demoted(err):
			// It may come back with a history that lacks our last writes.
			s.leave(life)
		}
		return err
	}
}

// leave puts a new session in the place of one that is over.
func (s *Store) leave(life *session) {
	if s.current.CompareAndSwap(life, newSession(s.options, s.proposal)) {
		_ = life.client.Close() // whoever still waits there is told by that
	}
}

func demoted(err error) bool {
	return err != nil && goredis.HasErrorPrefix(err, "READONLY")
}
