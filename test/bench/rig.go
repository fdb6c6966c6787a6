package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/workers"
)

// bench holds what measures share.
type bench struct {
	pairs  int
	sizes  string // of P13
	dir    string
	binDir string
	closes []func()
}

func (b *bench) close() {
	for i := len(b.closes) - 1; i >= 0; i-- {
		b.closes[i]()
	}
	b.closes = nil
}

func (b *bench) temp() (string, error) {
	if b.dir != "" {
		return b.dir, nil
	}
	dir, err := os.MkdirTemp("", "relevo-bench-")
	if err != nil {
		return "", err
	}
	b.dir = dir
	b.closes = append(b.closes, func() { _ = os.RemoveAll(dir) })
	return dir, nil
}

// binaries builds relevo, its agent and the host, once.
func (b *bench) binaries(ctx context.Context) (string, error) {
	if b.binDir != "" {
		return b.binDir, nil
	}
	dir, err := b.temp()
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{
		"relevo": "./deploy/relevo", "relevo-agent": "./deploy/agent", "relevo-host": "./deploy/host", "empty": "./test/bench/empty",
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	b.binDir = dir
	return dir, nil
}

// redis starts a redis-server of the bench's own.
func (b *bench) redis(ctx context.Context, name string, fsync server.Fsync) (*server.Server, error) {
	dir, err := b.temp()
	if err != nil {
		return nil, err
	}
	srv, err := server.Start(ctx, filepath.Join(dir, name), server.Options{Fsync: fsync})
	if err != nil {
		return nil, err
	}
	b.closes = append(b.closes, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = srv.Stop(ctx)
	})
	return srv, nil
}

// counting counts commits, heartbeats and strikes alone apart.
type counting struct {
	protocol.Store
	commits, beats atomic.Int64
}

func (c *counting) Commit(ctx context.Context, m protocol.Commit) (protocol.Receipt, error) {
	if len(m.Puts)+len(m.Emitted)+len(m.Absorbed) == 0 && len(m.Struck) == 0 {
		c.beats.Add(1)
	} else {
		c.commits.Add(1)
	}
	return c.Store.Commit(ctx, m)
}

// rig is a host whose workers are records that say hello and end at once.
type rig struct {
	host  *inprocess.Host
	store *counting
	mu    sync.Mutex
	ends  map[events.RunID]chan events.Envelope
}

func newRig(ctx context.Context, url string, slots int64) (*rig, func(), error) {
	store, err := redis.Open(ctx, url, redis.Options{})
	if err != nil {
		return nil, nil, err
	}
	r := &rig{store: &counting{Store: store}, ends: map[events.RunID]chan events.Envelope{}}
	p := fake.New()
	p.Launched = func(l execution.Launch) { go r.agent(l) }
	r.host, err = inprocess.Start(ctx, inprocess.Options{
		Store: r.store, Logs: logs.NewMemory(256 << 20), Providers: map[string]provider.Provider{"fake": p},
		Policy: pipeline.DefaultPolicy(), OfferTTL: time.Hour, Workers: workers.Settings{Key: []byte("bench")},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, nil, err
	}
	r.host.Tap(r.see)
	err = r.host.Declare(ctx, events.CapacityUpdated{
		Node: "bench", Provider: "fake", Since: time.Now(), Capacity: events.Resources{CPU: slots * 1000, Slots: slots},
	})
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = r.host.Close(ctx)
		_ = store.Close()
	}
	return r, stop, err
}

// agent is a worker whose steps do nothing.
func (r *rig) agent(l execution.Launch) {
	report := execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: string(l.Worker), Kind: execution.Hello}
	ctx := context.Background()
	if _, err := r.host.Deps.Reports.Report(ctx, report); err != nil {
		return
	}
	report.Kind = execution.End
	report.End = &execution.Ending{Verdict: events.Succeeded}
	_, _ = r.host.Deps.Reports.Report(ctx, report)
}

func (r *rig) see(e events.Envelope) {
	switch e.Type {
	case events.TypeRunCompleted, events.TypeRunFailed, events.TypeRunCancelled:
		r.mu.Lock()
		defer r.mu.Unlock()
		if c, ok := r.ends[events.RunID(e.RunID)]; ok {
			delete(r.ends, events.RunID(e.RunID))
			c <- e
		}
	}
}

// chain is a pipeline of n jobs, one after the other.
func chain(n int) pipeline.Spec {
	s := pipeline.Spec{Name: "bench"}
	for i := range n {
		id := fmt.Sprint("j", i)
		j := pipeline.JobSpec{ID: id, Key: events.JobKey(id), Name: expression.Text(id), Steps: []pipeline.StepSpec{{Run: expression.Text("true")}}}
		if i > 0 {
			j.Needs = []string{fmt.Sprint("j", i-1)}
		}
		s.Jobs = append(s.Jobs, j)
	}
	return s
}

var errNotCompleted = errors.New("a run did not complete")

// play submits runs at once and waits for the end of all.
func (r *rig) play(ctx context.Context, spec pipeline.Spec, runs int) error {
	raw, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	ends := make(chan events.Envelope, runs)
	for range runs {
		id := events.RunID(ulid.Make().String())
		r.mu.Lock()
		r.ends[id] = ends
		r.mu.Unlock()
		if err := r.host.Submit(ctx, events.RunRequested{RunRef: events.RunRef{Run: id}, Pipeline: "bench", Spec: raw}); err != nil {
			return err
		}
	}
	for range runs {
		select {
		case e := <-ends:
			if e.Type != events.TypeRunCompleted {
				return errNotCompleted
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
