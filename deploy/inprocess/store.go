package inprocess

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// Store is an open store and how to close what belongs to it.
type Store struct {
	*redis.Store
	// Kind says what it is, for people.
	Kind string
	// Fresh tells that it began with this process, and is gone with it.
	Fresh bool
	stop  func()
}

// OpenStore connects to the Redis at url; without one it starts a redis-server
// in dir, or adopts the one that runs there; without a dir it embeds one that
// forgets everything with this process.
func OpenStore(ctx context.Context, url, dir string) (*Store, error) {
	s := &Store{Kind: "Redis", stop: func() {}}
	switch {
	case url != "":
	case dir != "":
		srv, err := server.Start(ctx, filepath.Join(dir, "redis"), server.Options{})
		if err != nil {
			return nil, err
		}
		url, s.Kind = srv.URL(), "redis-server of its own"
		if srv.Adopted() {
			s.Kind += " (adopted)"
		}
		s.stop = func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = srv.Stop(ctx)
		}
	default:
		e, err := server.StartEmbedded()
		if err != nil {
			return nil, err
		}
		url, s.Kind, s.Fresh, s.stop = e.URL(), "in-memory Redis", true, e.Close
	}
	store, err := redis.Open(ctx, url, redis.Options{})
	if err != nil {
		s.stop()
		return nil, err
	}
	s.Store = store
	return s, nil
}

// Close closes the connection and stops the server that OpenStore started.
func (s *Store) Close() {
	_ = s.Store.Close()
	s.stop()
}

// Key reads the key that signs the attempts' tokens, or makes one: workers
// that outlive this process must still be believed by the next.
func Key(dir string) ([]byte, error) {
	path := filepath.Join(dir, "key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("inprocess: read key: %w", err)
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("inprocess: make key: %w", err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("inprocess: keep key: %w", err)
	}
	return key, nil
}
