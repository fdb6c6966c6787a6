// Package console is the HTTP function that people look at: pages, rendered
// here, that say what runs, what waits and why, and that follow what happens
// without being loaded again. It knows no store. All that it shows and does it
// asks the api for, in the name of whoever asks it, so that who may see what is
// decided in one place.
package console

import (
	"cmp"
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/fn"
)

const name = "console"

// Console is what the function is made of.
type Console struct {
	// API answers what the console asks: the handler of the function api in the
	// same process.
	API http.Handler
	// Log hears of what people are not told; nil: slog.Default.
	Log *slog.Logger
	// Now is the clock that ages are told by; nil: time.Now.
	Now func() time.Time
	// Life is after how long a stream ends itself, before whatever stands in
	// front cuts it: 230 s, which is less than the api's streams have. Browsers
	// resume.
	Life time.Duration
	// Quiet is how long a stream gathers events before it tells of them: 150 ms.
	Quiet time.Duration

	api     *client.Client
	pages   map[string]*template.Template
	assets  *assets
	indexes indexes
	steps   runSteps
	closing context.Context
	close   context.CancelFunc
}

// Routes are the patterns that a host with other HTTP functions gives to this
// one: of sign-in what browsers ask for, which is the api's where there are no
// pages.
func Routes() []string { return []string{"/", "GET /login", "GET /login/", "POST /logout"} }

// New makes the function. It fills in the defaults of c.
func New(c *Console) fn.Function {
	c.Life = cmp.Or(c.Life, 230*time.Second)
	c.Quiet = cmp.Or(c.Quiet, 150*time.Millisecond)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.closing, c.close = context.WithCancel(context.Background())
	c.api = &client.Client{BaseURL: "http://api", HTTP: &http.Client{Transport: inProcess{c.API}}}
	// Made on the first request: it takes a few milliseconds, which a process that
	// nobody asks need not spend.
	handler := sync.OnceValue(func() http.Handler {
		c.assets = loadAssets()
		c.pages = c.parsePages()
		return c.handler()
	})
	return fn.Function{
		Name: name, Context: events.Access,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) }),
		Doc:  "shows people what runs, what waits and why",
	}
}

// Close ends the streams, so that a host can go down without waiting for them.
func (c *Console) Close() { c.close() }

func (c *Console) handler() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, show pageFunc) { mux.Handle("GET "+path, c.page(show)) }
	mux.Handle("GET /{$}", tidied(c.page(c.showRuns)))
	get("/runs/{run}", c.showRun)
	get("/run", c.showNewRun)
	mux.HandleFunc("POST /run", c.startRun)
	get("/queue", c.showQueue)
	get("/capacity", c.showCapacity)
	get("/jobs/{id}", c.showLog)
	get("/events", c.showEvents)
	get("/triggers", c.showTriggers)
	get("/triggers/{id}", c.showTrigger)
	get("/access", c.showAccess)
	c.registerActions(mux)
	mux.HandleFunc("GET /jobs/{id}/log/info", c.giveInfo)
	mux.HandleFunc("GET /jobs/{id}/log/lines", c.giveLines)
	mux.HandleFunc("GET /jobs/{id}/log/search", c.search)
	mux.HandleFunc("GET /jobs/{id}/log/raw", c.download)
	mux.HandleFunc("GET /live", c.live)
	mux.HandleFunc("GET /relay", c.relay)
	mux.HandleFunc("POST /access/tokens", c.makeToken)
	mux.HandleFunc("POST /access/grants", c.grant)
	mux.HandleFunc("POST /theme", c.setTheme)
	mux.Handle("GET /static/{file}", c.assets)
	// The same origin is the api's too: sign-in, and the links of its document.
	for _, route := range []string{"/login", "/login/", "/logout"} {
		mux.HandleFunc(route, c.signIn)
	}
	for _, route := range []string{"/v1/", "/openapi.json", "/openapi.yaml"} {
		mux.Handle(route, c.API)
	}
	mux.HandleFunc("/", c.nowhere)
	return guarded(mux)
}

// nowhere answers what nothing else does. What is sent where nothing takes it is
// no 404, which would bring an event back.
func (c *Console) nowhere(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "nothing is taken here", http.StatusMethodNotAllowed)
		return
	}
	c.write(w, r, c.trouble(r, errNowhere))
}
