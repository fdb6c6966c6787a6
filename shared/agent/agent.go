// Package agent is what runs in every worker: it reads its launch, says hello
// to the control plane, runs the steps of the job and reports what they print
// and how they end. It outlives the control plane: what cannot be delivered is
// spooled and sent again.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/agent/inspect"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/process"
	"github.com/relevo-ci/relevo/shared/agent/report"
	"github.com/relevo-ci/relevo/shared/agent/spool"
	"github.com/relevo-ci/relevo/shared/domain/execution"
)

// How the agent exits. That the job failed is told to the control plane, not
// by the exit code.
const (
	ExitDone        = 0  // the control plane heard how the job went
	ExitUsage       = 2  // the command line or the launch makes no sense
	ExitGone        = 10 // the attempt is over, or another agent's: nothing was run, or all was killed
	ExitUndelivered = 11 // the control plane could not be told
	ExitTrouble     = 12 // the agent could not do its work
	ExitTold        = 13 // told to end from outside: the platform knows why, and tells
)

// PortFile is the file beside the launch that holds the inspection port.
const PortFile = "inspect.port"

// memoryLimit is where the garbage collector gets to work hard, in bytes: the
// agent lives off its job's memory.
const memoryLimit = 48 << 20

// minToken is the shortest token that is masked.
const minToken = 8

// Usage is what the agent can be asked to do.
const Usage = `usage: relevo-agent run LAUNCH [PORT]         run the job of a launch file; PORT is for who looks in
       relevo-agent dial PORT                 connect to a port on loopback, or to that in a file
       relevo-agent install PATH [FROM TO]... copy this program, and files that its user alone may read
       relevo-agent version
`

// Main does what the arguments after the program's name ask for, and returns
// the exit code. Steps inherit environ.
func Main(args, environ []string, version string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 2 && args[0] == "run":
		return run(args[1], "", environ, slog.New(slog.NewTextHandler(stderr, nil)))
	case len(args) == 3 && args[0] == "run":
		return run(args[1], args[2], environ, slog.New(slog.NewTextHandler(stderr, nil)))
	case len(args) >= 2 && len(args)%2 == 0 && args[0] == "install":
		if err := install(args[1], args[2:]); err != nil {
			fmt.Fprintln(stderr, err)
			return ExitTrouble
		}
		return ExitDone
	case len(args) == 2 && args[0] == "dial":
		if err := inspect.Dial(args[1], stdin, stdout); err != nil {
			fmt.Fprintln(stderr, err)
			return ExitTrouble
		}
		return ExitDone
	case len(args) == 1 && args[0] == "version":
		fmt.Fprintln(stdout, version)
		return ExitDone
	}
	fmt.Fprint(stderr, Usage)
	return ExitUsage
}

// attempt is the agent at work.
type attempt struct {
	launch   *execution.Launch
	dir      string // of the launch
	port     string // for who looks in; empty: any
	temp     string
	trouble  error // why there is no temp: to be reported
	log      *slog.Logger
	host     *process.Host
	masks    *mask.Set
	spool    *spool.Spool
	fetch    func(context.Context, *execution.SecretsRequest) (execution.Secrets, error)
	reporter *report.Reporter
	stops    *stops
}

// run runs the job of a launch file. Who looks in does so at port, or at any
// free one where it is empty.
func run(launch, port string, environ []string, logger *slog.Logger) int {
	debug.SetMemoryLimit(memoryLimit)
	stops := newStops()
	listenForSignals(stops)
	a, err := newAttempt(launch, stops, logger)
	if err != nil {
		logger.Error("cannot begin", "error", err)
		if errors.Is(err, ErrLaunch) {
			return ExitUsage
		}
		return ExitTrouble
	}
	a.port = port
	defer func() { _ = os.RemoveAll(a.temp) }() // "" removes nothing
	defer a.spool.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := a.hello(ctx); err != nil {
		return a.exit(err)
	}
	return a.exit(a.work(ctx, environ))
}

func newAttempt(path string, stops *stops, logger *slog.Logger) (*attempt, error) {
	l, err := readLaunch(path)
	if err != nil {
		return nil, err
	}
	client, err := newClient(l)
	if err != nil {
		return nil, err
	}
	temp, trouble := tempFolder(path)
	a := &attempt{
		launch: l, dir: filepath.Dir(path), temp: temp, trouble: trouble, log: logger, host: process.NewHost(),
		masks: &mask.Set{}, spool: spool.New(temp, l.SpoolMax), fetch: client.Secrets, stops: stops,
	}
	// A step can read the launch, and must not print the token. A made-up one
	// of a few letters would be masked all over the log.
	if len(l.Token) >= minToken {
		if err := a.masks.Add(l.Token); err != nil {
			return nil, fmt.Errorf("%w: token: %w", ErrLaunch, err)
		}
	}
	a.reporter = report.New(report.Config{
		Identity: execution.Report{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: nonce()},
		Sender:   client, Spool: a.spool, Heartbeat: l.Heartbeat, OrphanAfter: l.OrphanAfter, Log: logger,
		OnCancel: func(reason string) { a.stops.ask(events.Cancelled, reason) },
	})
	return a, nil
}

// listenForSignals stops the job when the worker is told to end. Nobody
// cancelled it: an eviction and the host's shutdown are not the author's.
func listenForSignals(stops *stops) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	// A terminal that goes away is no reason to end. Not signal.Ignore: what is
	// ignored stays so in the steps, and breaks their pipes.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		for s := range signals {
			stops.ask(events.Infra, fmt.Sprintf("the worker was told to end (%v)", s))
		}
	}()
}

// hello says hello, until it is heard or the worker is told to end: nothing
// was run, so nothing is lost.
func (a *attempt) hello(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-a.stops.asked:
			// The hello on its way may still be answered.
			select {
			case <-time.After(a.launch.Grace):
			case <-ctx.Done():
			}
			cancel()
		case <-ctx.Done():
		}
	}()
	return a.reporter.Hello(ctx)
}

// work runs the job while the reporter tells of it, until all is told.
func (a *attempt) work(ctx context.Context, environ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	told := make(chan error, 1)
	go func() {
		err := a.reporter.Run(ctx)
		if err != nil {
			close(gone)
			a.spool.Close()
		}
		told <- err
	}()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		a.lastWord(a.job(ctx, environ, gone), gone)
	}()
	if a.launch.Linger > 0 {
		go func() {
			select {
			case <-a.stops.asked:
				a.reporter.Hasten()
			case <-ctx.Done():
			}
		}()
	}
	err := <-told
	// All that is left, and what somebody who looks in started at the last
	// moment.
	a.host.KillAll(nil)
	// Without pipes held open by what cannot be killed, at once.
	select {
	case <-finished:
	case <-time.After(a.launch.Grace):
	}
	return err
}

// job makes ready and runs the steps.
func (a *attempt) job(ctx context.Context, environ []string, gone <-chan struct{}) execution.Ending {
	j := &job{
		launch: a.launch, temp: a.temp, inherited: inherited(environ), host: a.host,
		journal: &journal{spool: a.spool, masks: a.masks}, masks: a.masks,
		tell: a.reporter.Step, stops: a.stops, gone: gone,
	}
	err := a.trouble
	if err == nil {
		var known execution.Secrets
		known, err = a.secrets(ctx)
		j.secrets, j.credential, j.noCredential = known.Values, known.Git, known.NoGit
	}
	if err != nil {
		return execution.Ending{Verdict: events.Infra, Reason: err.Error()}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j.renew = func() (execution.Secrets, error) { return a.secrets(ctx) }
	a.inspection(ctx, j)
	return j.run()
}

// inspection lets people look in, where that is possible.
func (a *attempt) inspection(ctx context.Context, j *job) {
	s := &inspect.Server{
		Token: a.launch.Token, Port: a.port, Log: a.spool.ReadAt, Bounds: a.spool.Bounds, Errors: a.log,
		Exec: func(ctx context.Context, script string, out io.Writer) (int, error) {
			return j.exec(script, ctx.Done(), writer(out))
		},
	}
	if err := s.Listen(ctx, filepath.Join(a.dir, PortFile)); err != nil {
		a.log.Warn("nobody can look in", "error", err)
	}
}

// exit turns how the conversation ended into an exit code.
func (a *attempt) exit(err error) int {
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, report.ErrLeft):
		return ExitTold
	}
	a.log.Error("ended without being heard", "error", err)
	if errors.Is(err, report.ErrGone) {
		return ExitGone
	}
	return ExitUndelivered
}
