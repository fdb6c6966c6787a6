package knative

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/shared/fn"
)

// Waker gets the Services on the way of a job out of their sleep, all at once,
// so that a run that begins waits for one cold start instead of one for each
// step of its way.
type Waker struct {
	// Functions is the table that tells which are on the way.
	Functions []fn.Function
	// Address is where a function is posted to, by its name: its host is asked
	// for /healthz, which gets it a connection to the store too.
	Address func(function string) string
	// Window is the time in which one call is enough.
	Window time.Duration
	// First tells whether nobody else woke them within a time; nil: nobody did.
	First func(ctx context.Context, window time.Duration) (bool, error)
	// Client is one that gives up on a target in time where nil.
	Client *http.Client
	// Log hears, at level debug, of what did not answer: slog.Default.
	Log *slog.Logger

	mu   sync.Mutex
	next time.Time
}

// wakeTime is how long a Service may take to be there.
const wakeTime = time.Minute

// Wake returns at once. What does not wake is none of the caller's business:
// the events that follow wake it too.
func (w *Waker) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.next) {
		return
	}
	w.next = now.Add(w.Window)
	go w.all()
}

func (w *Waker) all() {
	ctx, cancel := context.WithTimeout(context.Background(), wakeTime)
	defer cancel()
	log := w.Log
	if log == nil {
		log = slog.Default()
	}
	if w.First != nil {
		first, err := w.First(ctx, w.Window)
		if err != nil {
			log.Debug("knative: ask who wakes the functions", "error", err)
		} else if !first {
			return
		}
	}
	var calls sync.WaitGroup
	for _, target := range w.targets() {
		calls.Go(func() {
			if err := w.ask(ctx, target); err != nil {
				log.Debug("knative: wake a function", "address", target, "error", err)
			}
		})
	}
	calls.Wait()
}

// targets are the addresses to ask, each once: functions may share a Service.
func (w *Waker) targets() []string {
	var all []string
	seen := map[string]bool{}
	for _, f := range w.Functions {
		if !f.Way {
			continue
		}
		u, err := url.Parse(w.Address(f.Name))
		if err != nil || u.Host == "" {
			continue
		}
		target := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/healthz"}).String()
		if !seen[target] {
			seen[target] = true
			all = append(all, target)
		}
	}
	return all
}

func (w *Waker) ask(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	client := w.Client
	if client == nil {
		client = plainClient
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
