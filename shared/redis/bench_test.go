package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// The benchmarks report, beside the time that a call takes, how much processor
// time the server spends on it (cpu-µs/op) and how much of that in the command
// (in-µs/op).

func BenchmarkSet(b *testing.B) {
	bench(b, func(ctx context.Context, c *goredis.Client, _ *redis.Store, i int) error {
		return c.Set(ctx, "k"+strconv.Itoa(i), "0123456789012345678901234567890123456789", 0).Err()
	})
}

func BenchmarkLoad(b *testing.B) {
	bench(b, func(ctx context.Context, _ *goredis.Client, s *redis.Store, _ int) error {
		_, _, err := s.Load(ctx, "p07", "run/1", "job/1")
		return err
	})
}

// BenchmarkCommit writes what a step of a job's way does: an event absorbed,
// two documents of half a kilobyte, two events emitted, a due entry, a strike.
func BenchmarkCommit(b *testing.B) {
	body := []byte(strings.Repeat("x", 500))
	at := time.Now()
	var last protocol.LedgerID
	bench(b, func(ctx context.Context, _ *goredis.Client, s *redis.Store, i int) error {
		id := strconv.Itoa(i)
		c := protocol.Commit{
			Partition: "p07", Inbox: "job-ended/" + id, Epoch: 1,
			Checks:   []protocol.Doc{{ID: "run/1"}},
			Puts:     []protocol.Doc{{ID: protocol.DocID("job/" + id), Version: 1, Body: body}, {ID: protocol.DocID("attempt/" + id), Version: 1, Body: body}},
			Due:      []protocol.Due{{Name: "job/" + id, At: at}},
			Absorbed: []events.Envelope{realistic("a"+id, at)},
			Emitted:  []events.Envelope{realistic("b"+id, at), realistic("c"+id, at)},
		}
		if last != "" {
			c.Struck = []protocol.LedgerID{last}
		}
		r, err := s.Commit(ctx, c)
		last = r.Record
		return err
	})
}

// BenchmarkCommitSmall writes one document and one event.
func BenchmarkCommitSmall(b *testing.B) {
	at := time.Now()
	bench(b, func(ctx context.Context, _ *goredis.Client, s *redis.Store, i int) error {
		id := strconv.Itoa(i)
		_, err := s.Commit(ctx, protocol.Commit{
			Partition: "p07", Inbox: "job-ended/" + id,
			Puts:    []protocol.Doc{{ID: protocol.DocID("job/" + id), Version: 1, Body: []byte("x")}},
			Emitted: []events.Envelope{realistic("b"+id, at)},
		})
		return err
	})
}

func realistic(id string, at time.Time) events.Envelope {
	e, err := events.New(id, "/relevo/job-ended", "cause-of-"+id, at, events.JobEnded{
		AttemptRef: events.AttemptRef{JobRef: events.JobRef{Run: "01JABCDEFGHJKMNPQRSTVWXYZ0", Job: "build"}, Attempt: 1},
	})
	if err != nil {
		panic(err)
	}
	return e
}

func bench(b *testing.B, f func(ctx context.Context, c *goredis.Client, s *redis.Store, i int) error) {
	b.Helper()
	ctx := b.Context()
	srv, err := server.Start(ctx, b.TempDir(), server.Options{Fsync: server.FsyncEverySecond})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Stop(ctx)
	s, err := redis.Open(ctx, srv.URL(), redis.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	o, err := goredis.ParseURL(srv.URL())
	if err != nil {
		b.Fatal(err)
	}
	c := goredis.NewClient(o)
	defer c.Close()
	if err := f(ctx, c, s, -1); err != nil { // loads the script
		b.Fatal(err)
	}
	before := usage(b, c)
	for i := 0; b.Loop(); i++ {
		if err := f(ctx, c, s, i); err != nil {
			b.Fatal(err)
		}
	}
	after := usage(b, c)
	b.ReportMetric((after.cpu-before.cpu)/float64(b.N), "cpu-µs/op")
	b.ReportMetric((after.inside-before.inside)/float64(b.N), "in-µs/op")
}

// spent is in microseconds, since the server's start.
type spent struct{ cpu, inside float64 }

func usage(b *testing.B, c *goredis.Client) spent {
	b.Helper()
	info, err := c.Info(b.Context(), "cpu", "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	var s spent
	for line := range strings.SplitSeq(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "used_cpu_user", "used_cpu_sys":
			var seconds float64
			fmt.Sscan(value, &seconds)
			s.cpu += seconds * 1e6
		case "cmdstat_evalsha", "cmdstat_eval", "cmdstat_set":
			_, rest, _ := strings.Cut(value, "usec=")
			usec, _, _ := strings.Cut(rest, ",")
			var n float64
			fmt.Sscan(usec, &n)
			s.inside += n
		}
	}
	return s
}
