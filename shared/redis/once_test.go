package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/redis/server"
)

func TestOnceIsOneOfAllProcesses(t *testing.T) {
	url := start(t, t.TempDir(), server.Options{Fsync: server.FsyncNever}).URL()
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, url)
		wg.Go(func() {
			for range 5 {
				first, err := s.Once(t.Context(), "x", time.Hour)
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were the first", firsts.Load())
	}
	s := open(t, url)
	if first, err := s.Once(t.Context(), "another", time.Millisecond); !first || err != nil {
		t.Error(first, err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		first, err := s.Once(t.Context(), "another", time.Millisecond)
		if first || err != nil || time.Now().After(deadline) {
			if !first {
				t.Errorf("the window does not end: %v", err)
			}
			break
		}
	}
}
