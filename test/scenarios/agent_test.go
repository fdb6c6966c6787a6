package scenarios_test

import (
	"context"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
)

// agent is what runs in a worker. It says what a test makes it say.
type agent struct {
	r     *rig
	l     execution.Launch
	nonce string
	wrote int64     // bytes of log
	told  time.Time // when it reported last
	beats bool      // by itself, as time goes by
}

// say sends one report and lets what it leads to happen.
func (a *agent) say(kind, log string, end *execution.Ending) execution.Reply {
	a.r.Helper()
	r := execution.Report{AttemptRef: a.l.AttemptRef, Worker: a.l.Worker, Nonce: a.nonce, Kind: kind, End: end}
	if log != "" {
		r.Logs = []execution.Chunk{{Offset: a.wrote, Data: []byte(log)}}
		a.wrote += int64(len(log))
	}
	return a.send(r)
}

func (a *agent) send(r execution.Report) execution.Reply {
	a.r.Helper()
	reply, err := a.r.deps.Reports.Report(a.r.Context(), r)
	if err != nil {
		a.r.Errorf("report of %s: %v", a.l.AttemptRef.Subject(), err)
	}
	a.told = a.r.now
	a.r.drain()
	return reply
}

func (a *agent) hello(log string) execution.Reply {
	a.r.Helper()
	return a.say(execution.Hello, log, nil)
}

// end hands in how the attempt went.
func (a *agent) end(v events.Verdict, reason string) execution.Reply {
	a.r.Helper()
	a.beats = false
	return a.say(execution.End, "", &execution.Ending{Verdict: v, Reason: reason, LogBytes: a.wrote})
}

// stale is the fake provider, whose List may be made to answer from a cache.
type stale struct {
	*fake.Provider
	cached bool // List tells of no worker
}

// List gives the workers, or none of them.
func (s *stale) List(ctx context.Context) ([]provider.Status, error) {
	if s.cached {
		return nil, nil
	}
	return s.Provider.List(ctx)
}

// live tells whether the provider has a worker.
func (r *rig) live(a *agent) bool {
	r.Helper()
	list, err := r.provider.Provider.List(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return slices.ContainsFunc(list, func(s provider.Status) bool {
		return s.Placement.Worker == a.l.Worker && s.Fence == a.l.Fence
	})
}

// tally is what was asked of the store.
type tally struct {
	loads, lists, heads, commits int // calls
	read, written                int // documents
}

// meter counts what is asked of a store, and may end the process at a commit.
type meter struct {
	protocol.Store
	tally
	before, after func(c protocol.Commit)
}

// Load counts the documents that are there.
func (m *meter) Load(ctx context.Context, p protocol.Partition, ids ...protocol.DocID) ([]protocol.Doc, protocol.Moment, error) {
	docs, moment, err := m.Store.Load(ctx, p, ids...)
	m.loads++
	for _, d := range docs {
		if d.Version > 0 {
			m.read++
		}
	}
	return docs, moment, err
}

// List counts what is listed.
func (m *meter) List(ctx context.Context, p protocol.Partition, kind string) ([]protocol.Doc, error) {
	docs, err := m.Store.List(ctx, p, kind)
	m.lists++
	m.read += len(docs)
	return docs, err
}

// Head counts the members read.
func (m *meter) Head(ctx context.Context, p protocol.Partition, n int) ([]string, int, error) {
	members, length, err := m.Store.Head(ctx, p, n)
	m.heads++
	m.read += len(members)
	return members, length, err
}

// Commit counts the documents written.
func (m *meter) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	if m.before != nil {
		m.before(c)
	}
	r, err := m.Store.Commit(ctx, c)
	m.commits++
	m.written += len(c.Puts)
	if err == nil && m.after != nil {
		m.after(c)
	}
	return r, err
}
