package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/memory"
	"github.com/relevo-ci/relevo/shared/protocol/protocoltest"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// start starts a redis-server that ends with the test.
func start(t *testing.T, dir string, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func embed(t *testing.T) *server.Embedded {
	t.Helper()
	e, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func open(t *testing.T, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), url, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// fixture tries the store at url; time passes there as it does here.
func fixture(t *testing.T, url string) protocoltest.Fixture {
	t.Helper()
	s := open(t, url)
	return protocoltest.Fixture{Store: s, Pass: func(t *testing.T, d time.Duration) {
		t.Helper()
		first := now(t, s)
		for now(t, s).Sub(first) < d {
			// Each round asks the server, which is pause enough.
		}
	}}
}

func now(t *testing.T, s *redis.Store) time.Time {
	t.Helper()
	_, m, err := s.Load(t.Context(), "p00")
	if err != nil {
		t.Fatal(err)
	}
	return m.Now
}

func TestSuite(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{})
	protocoltest.Suite(t, func(t *testing.T) protocoltest.Fixture { return fixture(t, s.URL()) })
}

func TestSuiteEmbedded(t *testing.T) {
	e := embed(t)
	protocoltest.Suite(t, func(t *testing.T) protocoltest.Fixture { return fixture(t, e.URL()) })
}

func inMemory(*testing.T) protocoltest.Fixture {
	return protocoltest.Fixture{Store: memory.New(time.Now, "here")}
}

func TestEquivalence(t *testing.T) {
	s := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever})
	protocoltest.Equivalence(t, inMemory, func(t *testing.T) protocoltest.Fixture { return fixture(t, s.URL()) })
}

func TestEquivalenceEmbedded(t *testing.T) {
	e := embed(t)
	protocoltest.Equivalence(t, inMemory, func(t *testing.T) protocoltest.Fixture { return fixture(t, e.URL()) })
}
