// Package steady keeps whoever asks a forge from asking on and on what does not
// answer: behind a circuit breaker, and never before the time that the forge
// asked for. What is refused here is forge.ErrLater, with the time that it takes:
// it is done later, and nothing waits for it meanwhile.
package steady

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// Settings of a steady forge; the zero values mean the defaults.
type Settings struct {
	// Failures in a row after which the forge is left alone: 5.
	Failures uint
	// Rest is for how long: 15 s.
	Rest time.Duration
	// Pause before the one other try of what only reads: 200 ms. Negative: none.
	Pause time.Duration
}

// New puts a forge behind its own breaker.
func New(f forge.Forge, s Settings) forge.Forge {
	if s.Failures == 0 {
		s.Failures = 5
	}
	if s.Rest == 0 {
		s.Rest = 15 * time.Second
	}
	if s.Pause == 0 {
		s.Pause = 200 * time.Millisecond
	}
	breaker := circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return errors.Is(err, forge.ErrLater) }).
		WithFailureThreshold(s.Failures).WithDelay(s.Rest).WithSuccessThreshold(1).Build()
	g := &guarded{Forge: f, breaker: breaker, writes: failsafe.With[any](breaker)}
	g.reads = g.writes
	if s.Pause > 0 {
		again := retrypolicy.NewBuilder[any]().HandleIf(func(_ any, err error) bool { return passing(err) }).
			WithMaxRetries(1).WithDelay(s.Pause).WithJitterFactor(0.5).ReturnLastFailure().Build()
		g.reads = failsafe.With[any](again, breaker)
	}
	return g
}

// passing tells what may go better at once: the forge did not ask to wait, nor
// is it being left alone.
func passing(err error) bool {
	var later *forge.Later
	return errors.As(err, &later) && later.After == 0
}

// guarded asks a forge through its breaker. What comes in at the door, Verify and
// Parse, asks nothing.
type guarded struct {
	forge.Forge
	breaker       circuitbreaker.CircuitBreaker[any]
	reads, writes failsafe.Executor[any]

	mu    sync.Mutex
	until time.Time // the forge asked not to be asked before
}

// ask does a call, unless the forge is to be left alone.
func ask[T any](ctx context.Context, g *guarded, through failsafe.Executor[any], call func() (T, error)) (T, error) {
	var none T
	if left := g.left(); left > 0 {
		return none, &forge.Later{After: left, Err: errors.New("the forge asked to be left alone")}
	}
	got, err := through.WithContext(ctx).Get(func() (any, error) {
		v, err := call()
		g.note(err)
		return v, err
	})
	if errors.Is(err, circuitbreaker.ErrOpen) {
		return none, &forge.Later{After: max(g.breaker.RemainingDelay(), time.Second), Err: errors.New("the forge did not answer lately")}
	}
	if err != nil {
		return none, err
	}
	v, ok := got.(T)
	if !ok {
		return none, fmt.Errorf("steady: a call gave %T", got)
	}
	return v, nil
}

func (g *guarded) left() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.until)
}

func (g *guarded) note(err error) {
	var later *forge.Later
	if !errors.As(err, &later) || later.After <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(later.After); until.After(g.until) {
		g.until = until
	}
}

// Files implements forge.Forge.
func (g *guarded) Files(ctx context.Context, repository, sha, folder string) ([]string, error) {
	return ask(ctx, g, g.reads, func() ([]string, error) { return g.Forge.Files(ctx, repository, sha, folder) })
}

// File implements forge.Forge.
func (g *guarded) File(ctx context.Context, repository, sha, path string) ([]byte, error) {
	return ask(ctx, g, g.reads, func() ([]byte, error) { return g.Forge.File(ctx, repository, sha, path) })
}

// Changed implements forge.Forge.
func (g *guarded) Changed(ctx context.Context, repository, base, head string, number int) (paths []string, whole bool, err error) {
	type changed struct {
		paths []string
		whole bool
	}
	c, err := ask(ctx, g, g.reads, func() (changed, error) {
		paths, whole, err := g.Forge.Changed(ctx, repository, base, head, number)
		return changed{paths, whole}, err
	})
	return c.paths, c.whole, err
}

// Head implements forge.Forge.
func (g *guarded) Head(ctx context.Context, repository, ref string) (string, error) {
	return ask(ctx, g, g.reads, func() (string, error) { return g.Forge.Head(ctx, repository, ref) })
}

// Message implements forge.Forge.
func (g *guarded) Message(ctx context.Context, repository, sha string) (string, error) {
	return ask(ctx, g, g.reads, func() (string, error) { return g.Forge.Message(ctx, repository, sha) })
}

// Pull implements forge.Forge.
func (g *guarded) Pull(ctx context.Context, repository string, number int) (trigger.Pull, error) {
	return ask(ctx, g, g.reads, func() (trigger.Pull, error) { return g.Forge.Pull(ctx, repository, number) })
}

// Level implements forge.Forge.
func (g *guarded) Level(ctx context.Context, repository, login string) (trigger.Level, error) {
	return ask(ctx, g, g.reads, func() (trigger.Level, error) { return g.Forge.Level(ctx, repository, login) })
}

// Tell implements forge.Forge. It is not tried again here: whoever tells keeps
// the order.
func (g *guarded) Tell(ctx context.Context, repository, sha string, s trigger.Status) error {
	_, err := ask(ctx, g, g.writes, func() (struct{}, error) { return struct{}{}, g.Forge.Tell(ctx, repository, sha, s) })
	return err
}

// Credential implements forge.Forge.
func (g *guarded) Credential(ctx context.Context, repository string) (forge.Credential, error) {
	return ask(ctx, g, g.reads, func() (forge.Credential, error) { return g.Forge.Credential(ctx, repository) })
}
