package knative

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"golang.org/x/sync/errgroup"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Sender posts events in binary mode: to K_SINK, or straight to a function's
// address. The zero value is ready for use.
type Sender struct {
	// Client is one that trusts the system's roots where nil.
	Client *http.Client
	// Overrides are extensions set on every event (K_CE_OVERRIDES).
	Overrides map[string]string
	// Tries is how often an event is sent before Send gives up: 4. Whoever called
	// tries again in turn, so that they are few.
	Tries int
	// Backoff is the pause after the first failure: 100 ms. It doubles with each
	// further one; half of it is random.
	Backoff time.Duration
	// Answer is how long a try waits for an answer. 0: as long as the client.
	Answer time.Duration
	// Rest is how long nothing is sent any more after the last try had no answer:
	// events fail at once, rather than hold up whoever emits them. 0: never.
	Rest time.Duration

	mu        sync.Mutex
	restUntil time.Time
}

// errResting: the target did not answer a moment ago.
var errResting = errors.New("it did not answer a moment ago")

func (s *Sender) resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.restUntil)
}

func (s *Sender) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restUntil = time.Now().Add(s.Rest)
}

// plainClient keeps as many connections to the broker as there are deliveries
// at a time, and gives up on a target that does not answer.
var plainClient = newClient(nil)

func newClient(roots *x509.CertPool) *http.Client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// TrustingClient makes a client that trusts the certificates given, in PEM
// (K_CA_CERTS), besides the system's.
func TrustingClient(pem string) (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("knative: K_CA_CERTS holds no certificate")
	}
	return newClient(roots), nil
}

// Send posts e to target and returns when it was taken. fn.Transient when there
// was no answer, or one that asks for another try, to the last; fn.Invalid when
// target refused the event for good. A second Send is a second delivery.
func (s *Sender) Send(ctx context.Context, target string, e events.Envelope) error {
	_, err := s.Ask(ctx, target, e)
	return err
}

// atOnce bounds how many events of one delivery are under way at a time.
const atOnce = 8

// SendAll sends each of es, some of them at a time, and tells sent of each that
// was taken, by id. One that was not keeps none of the others back.
func (s *Sender) SendAll(ctx context.Context, target string, es []events.Envelope, sent func(id string)) error {
	errs := make([]error, len(es))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, e := range es {
		g.Go(func() error {
			if errs[i] = s.Send(ctx, target, e); errs[i] == nil {
				sent(e.ID)
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are all of them in errs
	return errors.Join(errs...)
}

// Ask is Send that gives back the event that target replied with, nil where it
// sent none.
func (s *Sender) Ask(ctx context.Context, target string, e events.Envelope) (*events.Envelope, error) {
	if s.resting() {
		return nil, fmt.Errorf("knative: send %s to %s: %w", e.ID, target, errResting)
	}
	tries := cmp.Or(s.Tries, 4)
	for try := 1; ; try++ {
		reply, err := s.post(ctx, target, e)
		if err == nil || try >= tries || !fn.KindOf(err).Retry() {
			var answered *fn.Fault
			if err != nil && !errors.As(err, &answered) && ctx.Err() == nil {
				s.rest()
			}
			return reply, err
		}
		full := cmp.Or(s.Backoff, 100*time.Millisecond) << (try - 1)
		pause := time.NewTimer(full/2 + rand.N(full/2+1))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("knative: send %s to %s: %w (%w)", e.ID, target, ctx.Err(), err)
		}
	}
}

// answerLimit is the most that is read of an answer.
const answerLimit = 1 << 20

func (s *Sender) post(ctx context.Context, target string, e events.Envelope) (*events.Envelope, error) {
	if s.Answer > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Answer)
		defer cancel()
	}
	request, err := s.request(ctx, target, e)
	if err != nil {
		return nil, fn.Faultf(fn.Invalid, "knative: send %s to %s: %w", e.ID, target, err)
	}
	return s.exchange(request, e.ID)
}

// replied reads the event of an answer. Whatever else it holds is none of ours:
// a sink may say "ok".
func replied(header http.Header, body []byte) (*events.Envelope, error) {
	if header.Get("Ce-Specversion") == "" && !strings.HasPrefix(header.Get("Content-Type"), "application/cloudevents") {
		return nil, nil
	}
	reply, err := decodeMessage(header, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("knative: read the reply: %w", err)
	}
	return &reply, nil
}

// tryAgain is Knative's own rule: a 404 comes from a pod that is about to be
// ready.
func tryAgain(code int) bool {
	switch code {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return code >= 500
}

func (s *Sender) request(ctx context.Context, target string, e events.Envelope) (*http.Request, error) {
	made, err := ToEvent(Escape(e))
	if err != nil {
		return nil, err
	}
	for name, value := range s.Overrides {
		if err := made.Context.SetExtension(strings.ToLower(name), escape(value)); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return nil, err
	}
	return request, cehttp.WriteRequest(ctx, binding.ToMessage(&made), request)
}
