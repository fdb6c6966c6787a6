// Package hosted is what runs within a process that Knative or func starts: the
// functions' table over the one Redis, and the HTTP host that serves those of
// it that the process was told to.
package hosted

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/deadletter"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forwarded"
	"github.com/relevo-ci/relevo/shared/knative"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/state"
	"github.com/relevo-ci/relevo/shared/workers"
)

// Service is the functions of one process, ready to serve.
type Service struct {
	*knative.Host
	// Functions are those that it serves.
	Functions []fn.Function

	table     []fn.Function // all of them
	config    config.Config
	store     *redis.Store
	sender    *knative.Sender // to functions, which may have to wake
	sink      *knative.Sender // to the broker
	published func(id string) // strikes an event that has left this process
	strikes   *strikes
	closes    []func() error
	log       *slog.Logger
}

// Options are what a binary has beyond the lean functions.
type Options struct {
	// Providers launch workers; the functions that need one are served only where
	// there is one.
	Providers []provider.Provider
	// Launching opens one more, where a function that needs it is served: the
	// others neither need its rights nor wait for it. It is told the installation
	// that the store is of.
	Launching func(installation string) (provider.Provider, error)
	// Untrusted opens one for the jobs of untrusted runs, likewise; nil: there is
	// none, and such jobs wait.
	Untrusted func(installation string) (provider.Provider, error)
	// Next computes the times of schedules; nil where none are set or fire.
	Next trigger.Next
	// Labels are those of the node that its workers run on.
	Labels []string
	// Front makes front doors of what the other functions are made of, as the
	// root package does with functions/api. The lean host has none: what they link
	// would slow its start.
	Front func(functions.Deps) []fn.Function
	// Cold puts a store where closed logs are moved to in front of one, and says how
	// to close it. The lean host has none: what it links would slow its start.
	Cold func(ctx context.Context, hot logs.Hot) (logs.Store, func() error, error)
	// Routes of the front doors, by name; see knative.Options.
	Routes map[string][]string
}

// Open connects to Redis and makes the service.
func Open(ctx context.Context, c config.Config, o Options) (*Service, error) {
	if c.Redis.URL == "" {
		return nil, errors.New("hosted: RELEVO_REDIS_URL is not set")
	}
	s := &Service{
		config: c,
		sender: &knative.Sender{Overrides: c.Host.Overrides},
		// A broker that does not answer holds up no agent's report: the outbox keeps
		// what was committed.
		sink: &knative.Sender{Overrides: c.Host.Overrides, Tries: 2, Answer: 5 * time.Second, Rest: 15 * time.Second},
		log:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.Log.Level})),
	}
	slog.SetDefault(s.log) // what functions and libraries say, at that level too
	if c.Host.CACerts != "" {
		var err error
		if s.sender.Client, err = knative.TrustingClient(c.Host.CACerts); err != nil {
			return nil, err
		}
		s.sink.Client = s.sender.Client
	}
	var err error
	if s.store, err = redis.Open(ctx, c.Redis.URL.Reveal(), redis.Options{}); err != nil {
		return nil, err
	}
	if err := s.serve(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// serve makes the table and picks from it.
func (s *Service) serve(ctx context.Context, o Options) error {
	views := &state.Views{Store: s.store, View: s.store.View()}
	committer := &state.Committer{Store: views.Keep()}
	s.strikes = &strikes{Committer: committer, After: strikeAfter, Log: s.log}
	s.published = s.strikes.Published
	deps, err := s.deps(ctx, committer, o)
	if err != nil {
		return err
	}
	deps.Views, deps.Clock.Views, deps.Clock.Forget = views, views, views.Forgetting(deps.Clock.Forget)
	waker := s.waker()
	if waker != nil {
		deps.Wake = waker.Wake
	}
	if o.Front != nil {
		deps.Front = o.Front(deps)
	}
	direct := &knative.Direct{Address: s.address, Sender: s.sender, Published: s.published, Others: s.publish}
	deps.Clock.Direct = direct.Deliver
	if s.config.Host.Functions == "" {
		deps.Clock.Direct = func(ctx context.Context, e events.Envelope) error { return s.publish(ctx, []events.Envelope{e}) }
	}
	direct.Functions = functions.All(deps)
	s.table = direct.Functions
	if waker != nil {
		waker.Functions = s.table
	}
	if s.Functions, err = s.pick(direct.Functions, len(o.Providers) > 0 || o.Launching != nil); err != nil {
		return err
	}
	if err := s.guarded(); err != nil {
		return err
	}
	if err := s.launching(ctx, deps, o); err != nil {
		return err
	}
	s.Host = knative.Handler(s.Functions, knative.Options{
		Limit: s.config.Host.EventBytes, Sink: s.config.Host.Sink, Sender: s.sink,
		Ready: s.Ready, Published: s.published, Log: s.log,
		Routes: o.Routes,
	})
	return nil
}

// pick chooses from the table. Where all are served, those that launch workers
// are left out of a process that cannot; where one of them is asked for, that is
// an error.
func (s *Service) pick(table []fn.Function, launching bool) ([]fn.Function, error) {
	picked, err := knative.Pick(table, s.config.Host.Function, s.config.Host.Service)
	if err != nil || launching {
		return picked, err
	}
	if i := slices.IndexFunc(picked, launches); i >= 0 && len(picked) < len(table) {
		return nil, fmt.Errorf("hosted: %s launches workers, and this host has no provider", picked[i].Name)
	}
	return slices.DeleteFunc(slices.Clone(picked), launches), nil
}

// guarded refuses to serve what would believe anybody: a token signed with an
// empty key proves nothing, and behind Knative's proxy every caller of the api
// seems to be on this machine.
func (s *Service) guarded() error {
	for _, f := range s.Functions {
		switch f.Name {
		case "assignment-created", "worker":
			if s.config.Worker.Key == "" {
				return fmt.Errorf("hosted: %s: RELEVO_WORKER_KEY is not set", f.Name)
			}
		case "api", "console":
			if s.config.API.Token == "" && s.config.OIDC.Issuer == "" {
				return fmt.Errorf("hosted: %s: neither RELEVO_API_TOKEN nor RELEVO_OIDC_ISSUER is set", f.Name)
			}
		}
	}
	return nil
}

// deps are what the functions are made of, but for the clock's way round the
// broker, which needs their table.
func (s *Service) deps(ctx context.Context, committer *state.Committer, o Options) (functions.Deps, error) {
	c, providers := s.config, o.Providers
	policy := pipeline.DefaultPolicy()
	policy.Lease, policy.StartDeadline, policy.InfraRetries = c.Pipeline.Lease, c.Pipeline.StartDeadline, c.Pipeline.InfraRetries
	policy.QueueLimit = c.Scheduler.OfferTTL + time.Minute
	runs := &state.Runs{Committer: committer, Policy: policy}
	pools := &state.Pools{Committer: committer, Settings: scheduling.Settings{OfferTTL: c.Scheduler.OfferTTL, Nudge: policy.Nudge}}
	groups := &state.Groups{Committer: committer, Nudge: policy.Nudge}
	doors := &state.Front{Committer: committer, Next: o.Next}
	launcher := &workers.Workers{Runs: runs, Providers: map[string]provider.Provider{}, Settings: workers.Settings{
		Report: map[string]string{"": c.Worker.URL}, Key: []byte(c.Worker.Key.Reveal()), Heartbeat: c.Pipeline.Heartbeat,
	}}
	for _, p := range providers {
		launcher.Providers[p.Name()] = bulkhead(p)
	}
	if len(providers) > 0 {
		_, moment, err := s.store.Load(ctx, protocol.PartitionOf(""))
		if err != nil {
			return functions.Deps{}, err
		}
		launcher.Settings.Installation = moment.Installation
	}
	kept, err := s.logs(ctx, o)
	if err != nil {
		return functions.Deps{}, err
	}
	launcher.CloseLog = func(ctx context.Context, ref events.AttemptRef) error { return kept.Close(ctx, ref, logs.Present) }
	known, err := known(c)
	if err != nil {
		return functions.Deps{}, err
	}
	return functions.Deps{
		Runs: runs, Pools: pools, Groups: groups, Doors: doors, Workers: launcher,
		Routes: scheduling.Pools{Default: events.PoolID(c.Scheduler.Pool)}, Public: c.Public.URL, CDEvents: bool(c.Events.CDEvents),
		Clock: &clockticked.Clock{
			Runs: runs, Pools: pools, Groups: groups, Front: doors, Workers: launcher, Publish: s.publish, Forget: kept.Remove,
			Access: &state.Access{Committer: committer}, Audit: &state.Audit{Committer: committer, Keep: c.Access.Audit},
			// Below the time-outs of the clock's Service and of those that it asks.
			Beside: clockticked.Beside{Most: 64, Wait: 60 * time.Second, Deadline: 90 * time.Second},
		},
		Reports: &worker.Reports{Runs: runs, Logs: kept, Publish: s.publish, Secrets: known},
		Dead:    &deadletter.Box{Store: s.store, Send: s.sendAgain},
		Feed:    s.store.Feed(redis.FeedBounds{Bytes: c.Redis.FeedBytes}),
		Limits:  s.store.Limits(), Proxies: forwarded.Trusted(c.Access.Proxies),
	}, nil
}

// logs are those of the process, with what they are moved to where there is one.
func (s *Service) logs(ctx context.Context, o Options) (logs.Store, error) {
	hot, err := s.hot()
	if err != nil || o.Cold == nil || s.config.Logs.URL == "" {
		return hot, err
	}
	kept, closes, err := o.Cold(ctx, hot)
	s.closes = append(s.closes, closes)
	return kept, err
}

// hot logs are in Redis, where every process finds them, unless this one has a
// folder for them.
func (s *Service) hot() (logs.Hot, error) {
	if dir := s.config.Data.Dir; dir != "" {
		return logs.NewFiles(filepath.Join(dir, "logs"))
	}
	return s.store.Logs(redis.LogBounds{
		All: s.config.Redis.LogBytes, Each: s.config.Redis.LogBytesEach,
		Advice: "raise RELEVO_REDIS_LOG_BYTES or RELEVO_REDIS_LOG_BYTES_EACH, and Redis's memory with it",
	}), nil
}

// address is where a function is posted to.
func (s *Service) address(function string) string {
	context := ""
	for _, f := range s.table {
		if f.Name == function {
			context = string(f.Context)
		}
	}
	return strings.NewReplacer("{function}", function, "{context}", context).Replace(s.config.Host.Functions)
}

// publish sends events that come from no delivery to the broker. What does not
// get there stays in the outbox.
func (s *Service) publish(ctx context.Context, es []events.Envelope) error {
	if s.config.Host.Sink == "" && len(es) > 0 {
		return fmt.Errorf("hosted: publish %s: K_SINK is not set", es[0].ID)
	}
	return s.sink.SendAll(ctx, s.config.Host.Sink, es, s.published)
}

// Ready tells whether Redis answers.
func (s *Service) Ready(ctx context.Context) error {
	_, _, err := s.store.Load(ctx, protocol.PartitionOf(""))
	return err
}

// Serve answers HTTP until ctx ends and what was under way is finished.
func (s *Service) Serve(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Host.Address())
	if err != nil {
		return fmt.Errorf("hosted: listen: %w", err)
	}
	var names []string
	for _, f := range s.Functions {
		names = append(names, f.Name)
	}
	s.log.Info("serving", "address", l.Addr().String(), "functions", names)
	return knative.Serve(ctx, l, s.Host, s.config.Host.Drain)
}

// Close strikes what is left to strike and ends the connection to Redis.
func (s *Service) Close() error {
	if s.strikes != nil {
		s.strikes.Flush()
	}
	errs := []error{s.store.Close()}
	for _, c := range s.closes {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
