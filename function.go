// Package relevo is what `func build` and `func deploy` make a Knative function
// of: any one of Relevo's, named by FUNCTION, else by K_SERVICE. Deployed under
// another name it serves all that launch no workers.
//
// It takes HTTP requests and decodes CloudEvents itself: so one image serves
// event functions and HTTP functions, and an event is answered and sent on as
// by deploy/host. That is the way for production: there deploy/knative also
// bounds requests. This is the easy way in.
package relevo

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/front"
	"github.com/relevo-ci/relevo/deploy/hosted"
)

// Function is an instanced function in func's sense: func calls Start once, in
// a goroutine of its own, Handle for each request, and Stop at the end, when no
// request is under way any more.
type Function struct {
	started atomic.Pointer[hosted.Service]
}

// New makes the function; it can serve once Start has returned.
func New() *Function { return &Function{} }

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
	options, err := front.Options(c)
	if err != nil {
		return err
	}
	s, err := hosted.Open(ctx, c, options)
	if err != nil {
		return err
	}
	f.started.Store(s)
	return nil
}

// Handle answers a request as the host of Knative's does: an event by POST /,
// binary or structured, or what the HTTP functions take. Before Start is done
// it is 503, for which a broker comes again.
func (f *Function) Handle(w http.ResponseWriter, r *http.Request) {
	s := f.started.Load()
	if s == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "relevo: not started yet", http.StatusServiceUnavailable)
		return
	}
	s.ServeHTTP(w, r)
}

// Ready tells whether requests can be answered: Start is done and Redis
// answers.
func (f *Function) Ready(ctx context.Context) (bool, error) {
	s := f.started.Load()
	if s == nil {
		return false, nil
	}
	if err := s.Ready(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// Alive is always true: without Redis a new process would fare no better.
func (f *Function) Alive(context.Context) (bool, error) { return true, nil }

// Stop ends the connection to Redis.
func (f *Function) Stop(context.Context) error {
	if s := f.started.Swap(nil); s != nil {
		return s.Close()
	}
	return nil
}
