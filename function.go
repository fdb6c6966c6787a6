// Package relevo is what `func build` and `func deploy` make a Knative function
// of: any one of Relevo's, named by FUNCTION, else by K_SERVICE. Deployed under
// another name it serves all that launch no workers, each for its events.
//
// deploy/knative is the way for production: it also serves the HTTP functions
// and bounds requests. This is the easy way in.
package relevo

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/knative"
)

// Function is an instanced function in func's sense: func calls Start once, in
// a goroutine of its own, Handle for each event, and Stop at the end.
type Function struct {
	open    func(context.Context, config.Config) (served, error)
	started atomic.Pointer[served]
}

// served is what Start opened.
type served struct {
	deliver   func(context.Context, events.Envelope) (*events.Envelope, error)
	published func(id string)
	ready     func(context.Context) error
	close     func() error
}

// New makes the function; it can serve once Start has returned.
func New() *Function { return &Function{open: open} }

func open(ctx context.Context, c config.Config) (served, error) {
	s, err := hosted.Open(ctx, c)
	if err != nil {
		return served{}, err
	}
	return served{deliver: s.Deliver, published: s.Published, ready: s.Ready, close: s.Close}, nil
}

var errNotStarted = errors.New("relevo: not started yet")

// Start reads the settings, which func hands over with the environment, and
// connects to Redis. An error ends the process.
func (f *Function) Start(ctx context.Context, settings map[string]string) error {
	c, err := config.Load(func(name string) (string, bool) {
		value, ok := settings[name]
		return value, ok
	})
	if err != nil {
		return err
	}
	s, err := f.open(ctx, c)
	if err != nil {
		return err
	}
	f.started.Store(&s)
	return nil
}

// Handle takes one event and replies with the one that came of it, if any;
// several go to K_SINK. Errors carry the status that a broker reads as meant:
// 503 to come again, 422 not to, 400 for what is no event of Relevo's.
func (f *Function) Handle(ctx context.Context, ev event.Event) (*event.Event, error) {
	s := f.started.Load()
	if s == nil {
		return nil, refuse(http.StatusServiceUnavailable, errNotStarted)
	}
	// func hands over what stood in the headers: brokers deliver in binary mode.
	e, err := knative.FromBinaryEvent(ev)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, err)
	}
	reply, err := s.deliver(ctx, e)
	if err != nil {
		return nil, refuse(knative.Status(err), err)
	}
	if reply == nil {
		return nil, nil
	}
	made, err := knative.ToEvent(knative.Escape(*reply))
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, err)
	}
	s.published(reply.ID)
	return &made, nil
}

func refuse(status int, err error) error { return cehttp.NewResult(status, "%w", err) }

// Ready tells whether events can be handled: Start is done and Redis answers.
func (f *Function) Ready(ctx context.Context) (bool, error) {
	s := f.started.Load()
	if s == nil {
		return false, nil
	}
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// Alive is always true: without Redis a new process would fare no better.
func (f *Function) Alive(context.Context) (bool, error) { return true, nil }

// Stop ends the connection to Redis.
func (f *Function) Stop(context.Context) error {
	if s := f.started.Swap(nil); s != nil {
		return s.close()
	}
	return nil
}
