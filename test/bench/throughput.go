package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/state"
)

// pipelines is P3: absolute times, with the fsync measured beside them.
func pipelines(ctx context.Context, b *bench) error {
	for _, fsync := range []server.Fsync{server.FsyncEverySecond, server.FsyncAlways} {
		srv, err := b.redis(ctx, "p3-"+string(fsync), fsync)
		if err != nil {
			return err
		}
		r, stop, err := newRig(ctx, srv.URL(), 64)
		if err != nil {
			return err
		}
		var three, forty []float64
		for i := range b.pairs + 1 {
			t, err := took(func() error { return r.play(ctx, chain(3), 1) })
			if err != nil {
				stop()
				return err
			}
			u, err := took(func() error { return r.play(ctx, chain(1), 40) })
			if err != nil {
				stop()
				return err
			}
			if i > 0 { // the first warms up
				three, forty = append(three, t), append(forty, u)
			}
		}
		const many = 600
		t, err := took(func() error { return r.play(ctx, chain(1), many) })
		stop()
		if err != nil {
			return err
		}
		fmt.Printf("    appendfsync %-8s 3 jobs in a row %s\n", fsync, spread(three, "s"))
		fmt.Printf("    %-20s 40 runs at once %s\n", "", spread(forty, "s"))
		fmt.Printf("    %-20s %.0f runs a minute (%d at once)\n", "", many/t*60, many)
	}
	fmt.Println("    reference, measured elsewhere: Tekton 0.22 s and 5.3 s, Argo 3.06 s and 4.4 s, both tuned")
	return nil
}

func took(f func() error) (float64, error) {
	began := time.Now()
	err := f()
	return time.Since(began).Seconds(), err
}

// lifeCycles is P7.
func lifeCycles(ctx context.Context, b *bench) error {
	srv, err := b.redis(ctx, "p7", server.FsyncEverySecond)
	if err != nil {
		return err
	}
	r, stop, err := newRig(ctx, srv.URL(), 256)
	if err != nil {
		return err
	}
	defer stop()
	const jobs = 200
	ours := func(ctx context.Context) (float64, error) {
		t, err := took(func() error { return r.play(ctx, chain(1), jobs) })
		return jobs / t, err
	}
	q, err := newQueue(srv.URL())
	if err != nil {
		return err
	}
	defer q.close()
	theirs := func(ctx context.Context) (float64, error) {
		t, err := took(func() error { return q.play(ctx, jobs) })
		return jobs / t, err
	}
	return b.compare(ctx, "a second", "job life cycles (whole runs)", "asynq tasks", ours, theirs)
}

// queue is asynq with a task that does nothing.
type queue struct {
	client *asynq.Client
	server *asynq.Server
	done   chan struct{}
}

func newQueue(url string) (*queue, error) {
	opts, err := goredis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o := asynq.RedisClientOpt{Network: opts.Network, Addr: opts.Addr, Password: opts.Password, DB: 1}
	q := &queue{client: asynq.NewClient(o), done: make(chan struct{}, 1024)}
	q.server = asynq.NewServer(o, asynq.Config{Concurrency: 4 * runtime.NumCPU(), LogLevel: asynq.ErrorLevel})
	return q, q.server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		q.done <- struct{}{}
		return nil
	}))
}

func (q *queue) play(ctx context.Context, n int) error {
	for range n {
		if _, err := q.client.EnqueueContext(ctx, asynq.NewTask("nothing", nil)); err != nil {
			return err
		}
	}
	for range n {
		select {
		case <-q.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (q *queue) close() {
	q.server.Shutdown()
	_ = q.client.Close()
}

// assignments is P4: fenced, capacity-checked, outboxed, by Redis CPU time.
func assignments(ctx context.Context, b *bench) error {
	srv, err := b.redis(ctx, "p4", server.FsyncEverySecond)
	if err != nil {
		return err
	}
	store, err := redis.Open(ctx, srv.URL(), redis.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	opts, err := goredis.ParseURL(srv.URL())
	if err != nil {
		return err
	}
	plain := goredis.NewClient(opts)
	defer func() { _ = plain.Close() }()
	pools := &state.Pools{Committer: &state.Committer{Store: store}, Settings: scheduling.Settings{OfferTTL: time.Hour, Nudge: time.Minute}}
	if err := nodes(ctx, pools, 1000); err != nil {
		return err
	}
	const n = 300
	var serial atomic.Int64
	ours := perCPU(plain, n, func(ctx context.Context) error { return assign(ctx, pools, serial.Add(1)) })
	theirs := perCPU(plain, n, func(ctx context.Context) error {
		return plain.Set(ctx, "bench:"+strconv.FormatInt(serial.Add(1)%1000, 10), strings.Repeat("x", 400), 0).Err()
	})
	fmt.Println("    1,000 nodes; each assignment is a load and a commit: offer queued, planned, capacity held, event in the ledger")
	return b.compare(ctx, "a Redis CPU-second", "assignments", "plain SET of 400 bytes", ours, theirs)
}

func nodes(ctx context.Context, pools *state.Pools, n int) error {
	for i := range n {
		d := events.CapacityUpdated{
			Pool: "bench", Node: events.NodeID("n" + strconv.Itoa(i)), Provider: "fake",
			Capacity: events.Resources{CPU: 4000, Slots: 8}, Since: time.Now(),
		}
		e, err := events.New(events.DeriveID("node", d.Subject()), "/relevo/bench", "", time.Now(), d)
		if err != nil {
			return err
		}
		if _, err := pools.Change(ctx, "capacity-updated", e, "bench", nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
			p.Declare(em, e, d)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// assign is an offer that comes, is queued, planned and placed.
func assign(ctx context.Context, pools *state.Pools, serial int64) error {
	job := events.JobRef{Run: events.RunID(fmt.Sprintf("%026d", serial)), Job: "a"}
	d := events.OfferCreated{
		OfferRef: events.OfferRef{Pool: "bench", Offer: events.OfferFor(job, 1)}, For: events.AttemptRef{JobRef: job, Attempt: 1},
		Name: "a", Requirements: events.Requirements{Resources: events.Resources{CPU: 10}},
	}
	e, err := events.New(events.DeriveID("offer.created", string(d.Offer)), "/relevo/job-requested", "", time.Now(), d)
	if err != nil {
		return err
	}
	_, err = pools.Change(ctx, "offer-created", e, "bench", nil, true, func(p *scheduling.Pool, em *events.Emitter) error {
		p.Enqueue(em, e, d)
		return nil
	})
	return err
}

// perCPU reads how many operations a CPU-second of the Redis server bears.
func perCPU(c *goredis.Client, n int, op func(ctx context.Context) error) once {
	return func(ctx context.Context) (float64, error) {
		before, err := redisCPU(ctx, c)
		if err != nil {
			return 0, err
		}
		for range n {
			if err := op(ctx); err != nil {
				return 0, err
			}
		}
		after, err := redisCPU(ctx, c)
		return float64(n) / (after - before), err
	}
}

func redisCPU(ctx context.Context, c *goredis.Client) (float64, error) {
	info, err := c.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += v
		}
	}
	return sum, nil
}

// commits is P14.
func commits(ctx context.Context, b *bench) error {
	srv, err := b.redis(ctx, "p14", server.FsyncEverySecond)
	if err != nil {
		return err
	}
	for _, n := range []int{1, 3, 10} {
		r, stop, err := newRig(ctx, srv.URL(), 64)
		if err != nil {
			return err
		}
		const runs = 20
		for range runs {
			if err := r.play(ctx, chain(n), 1); err != nil {
				stop()
				return err
			}
		}
		if err := r.host.Bus.Idle(ctx); err != nil {
			stop()
			return err
		}
		got, beats := r.store.commits.Load(), r.store.beats.Load()
		stop()
		fmt.Printf("    runs of %2d jobs: %.2f commits a job (heartbeats apart: %.2f)\n", n, float64(got)/runs/float64(n), float64(beats)/runs/float64(n))
	}
	fmt.Println("    reference, measured elsewhere: Tekton and Argo 8 to 13")
	return nil
}
