// Package api is the HTTP function that people, the CLI and other systems
// speak to: it takes pipelines and jobs, shows them with the reason of every
// wait, streams logs and events, and cancels. What it accepts is committed
// before it answers; it never goes round the protocol.
//
// Its OpenAPI document is generated from the handlers: /openapi.json, and
// docs/openapi.yaml in this repository.
package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/semaphore"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/state"
)

//go:generate go run ./generate ../../docs/openapi.yaml

const name = "api"

// API is what the function is made of.
type API struct {
	Runs   *state.Runs
	Pools  *state.Pools
	Groups *state.Groups
	// Doors is the state of the front doors.
	Doors *state.Front
	// Routes name the pool that a job queues in.
	Routes scheduling.Pools
	Logs   logs.Store
	// Feed may be nil: then there is no stream of events.
	Feed feed.Feed
	// Dead keeps what could not be delivered; nil: nobody does.
	Dead *deadletter.Box
	// Views are the read models that lists are made of; nil: there are none.
	Views *state.Views
	// Publish sends events on; what it can't deliver the outbox keeps.
	Publish func(ctx context.Context, es []events.Envelope) error

	// Wake is called for each run that is accepted, and returns at once: what it
	// will need can get ready. May be nil.
	Wake func()

	// Token is what every caller must show as a bearer token. Empty is local
	// mode: callers on this machine alone are served, and web pages of other
	// origins are not.
	Token string
	// Access is how other callers are known, and what each may; nil: there are no
	// others, and those of the token and of this machine may everything.
	Access *Access
	// Telemetry is what is told of runs as traces and numbers.
	Telemetry Telemetry
	// EventSecrets sign the events of senders that have no token; each of them
	// does. None: nobody sends so.
	EventSecrets []string
	// Hosts are names, beside localhost, by which local mode may be addressed.
	Hosts []string
	// Log hears of what callers are not told; nil: slog.Default.
	Log *slog.Logger
	// NewID makes the id of a run that came without an idempotency key; nil: a
	// ULID of now.
	NewID func() events.RunID
	// Streams are the times of streams.
	Streams Streams

	closing  context.Context
	close    context.CancelFunc
	unproven *semaphore.Weighted
	origins  origins
}

// Streams are the times of streams; zero values mean the defaults.
type Streams struct {
	// Beat is how often a stream says that it lives: 15 s.
	Beat time.Duration
	// Life is after how long a stream ends itself, before whatever stands in
	// front cuts it: 240 s. Clients resume.
	Life time.Duration
	// Patience is how long a reader may take for what it was sent: 10 s. A
	// slower one is dropped, and resumes.
	Patience time.Duration
	// Gather is how long a stream that has just told of something waits before it
	// tells more, so that a burst goes out in a few writes: 10 ms. What comes
	// after silence goes out at once.
	Gather time.Duration
}

// Routes are the patterns that a host with other HTTP functions gives to this
// one.
func Routes() []string {
	return []string{"/v1/", "/ui/jobs", "/metrics", "/openapi.json", "/openapi.yaml", "/login", "/login/", "/logout"}
}

// New makes the function. It fills in the defaults of a.
func New(a *API) fn.Function {
	a.Streams.Beat = cmp.Or(a.Streams.Beat, 15*time.Second)
	a.Streams.Life = cmp.Or(a.Streams.Life, 240*time.Second)
	a.Streams.Patience = cmp.Or(a.Streams.Patience, 10*time.Second)
	a.Streams.Gather = cmp.Or(a.Streams.Gather, 10*time.Millisecond)
	if a.Log == nil {
		a.Log = slog.Default()
	}
	if a.NewID == nil {
		a.NewID = newRunID
	}
	a.unproven = semaphore.NewWeighted(mostUnproven)
	if a.closing == nil {
		a.closing, a.close = context.WithCancel(context.Background())
	}
	// Made on the first request: it takes a millisecond, which a process that
	// nobody asks need not spend.
	handler := sync.OnceValue(a.handler)
	return fn.Function{
		Name: name, Context: events.Access,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) }),
		Doc:  "takes pipelines and jobs, shows what becomes of them",
	}
}

func newRunID() events.RunID {
	return events.RunID(ulid.MustNew(ulid.Now(), rand.Reader).String())
}

// Close ends the streams, so that a host can go down without waiting for them
// (http.Server.RegisterOnShutdown). Other requests are served on.
func (a *API) Close() { a.close() }

func (a *API) handler() http.Handler {
	inner := http.NewServeMux()
	a.register(inner)
	inner.HandleFunc("/", nowhere(inner))
	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", a.health)
	a.registerLogin(outer)
	outer.Handle("/", a.guard(tagged(inner)))
	return outer
}

// health tells whether the store answers.
func (a *API) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, _, err := a.Runs.Store.Load(ctx, "p00"); err != nil {
		a.Log.Warn("api: not healthy", "error", err)
		refuse(http.StatusServiceUnavailable, "the store does not answer").write(w)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// publish sends on what was committed. A failure is not the caller's: the
// outbox keeps it, and the clock sends it again.
func (a *API) publish(ctx context.Context, es []events.Envelope) {
	if len(es) == 0 {
		return
	}
	if err := a.Publish(context.WithoutCancel(ctx), es); err != nil {
		a.Log.Warn("api: publish", "event", es[0].ID, "error", err)
	}
}
