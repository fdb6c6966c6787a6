package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
)

// action is something that people may do: asked for by GET, which says what it
// does and asks back, done by POST.
type action struct {
	path   string
	title  string // with the name of what it is about, %s
	about  func(c *Console, ctx context.Context, id string) (name string, err error)
	says   string
	button string
	danger bool
	reason string // the label of a field; empty: none
	do     func(c *Console, ctx context.Context, r *http.Request, id string) (next string, err error)
	back   func(id string) string
}

// question is an action as a page asks it.
type question struct {
	Title, Says, Button, Reason, Action, Back, Hidden string
	Danger                                            bool
}

func backToRun(id string) string { return "/runs/" + runOf(id) }

// runOf is the run of a job's id, or the run itself.
func runOf(id string) string {
	run, _, _ := strings.Cut(id, ".")
	return run
}

var actions = []action{
	{
		path: "/runs/{id}/cancel", title: "Cancel run “%s”?", about: (*Console).nameOfRun, button: "Cancel the run", danger: true, reason: "Reason (shown with the run)",
		says: "Its jobs stop now. Clean-up that they declared still runs.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			_, err := c.api.CancelRun(ctx, id, r.PostFormValue("reason"))
			return "", err
		},
	},
	{
		path: "/jobs/{id}/cancel", title: "Cancel job “%s”?", about: (*Console).nameOfJob, button: "Cancel the job", danger: true, reason: "Reason (shown with the job)",
		says: "It stops now. Jobs that need it are skipped.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			_, err := c.api.CancelJob(ctx, id, r.PostFormValue("reason"))
			return "", err
		},
	},
	{
		path: "/runs/{id}/retry-failed", title: "Re-run failed jobs of “%s”?", about: (*Console).nameOfRun, button: "Re-run failed jobs",
		says: "A new run starts with the jobs that did not succeed, and those that need them. The others are carried over with their outputs. This run stays as it is.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			made, err := c.api.RetryFailed(ctx, id, r.PostFormValue("once"))
			return "/runs/" + made.Run, err
		},
	},
	{
		path: "/runs/{id}/retry", title: "Re-run all jobs of “%s”?", about: (*Console).nameOfRun, button: "Re-run all jobs",
		says: "A new run of the same file, commit and event starts. This one stays as it is.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			made, err := c.api.RetryRun(ctx, id, r.PostFormValue("once"))
			return "/runs/" + made.Run, err
		},
	},
	{
		path: "/jobs/{id}/approve", title: "Approve job “%s”?", about: (*Console).nameOfJob, button: "Approve", reason: "Note (shown with the job)",
		says: "Jobs that need it start at once. This cannot be undone.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			_, err := c.api.Approve(ctx, id, r.PostFormValue("reason"))
			return "", err
		},
	},
	{
		path: "/jobs/{id}/refuse", title: "Reject job “%s”?", about: (*Console).nameOfJob, button: "Reject", danger: true, reason: "Reason (shown with the job)",
		says: "It fails, and jobs that need it are skipped.",
		back: backToRun,
		do: func(c *Console, ctx context.Context, r *http.Request, id string) (string, error) {
			_, err := c.api.Refuse(ctx, id, r.PostFormValue("reason"))
			return "", err
		},
	},
	{
		path: "/triggers/{id}/replay", title: "Replay this delivery?", button: "Replay",
		says: "Runs that it started are not started again; what it could not start may start now.",
		back: func(id string) string { return "/triggers/" + id },
		do: func(c *Console, ctx context.Context, _ *http.Request, id string) (string, error) {
			_, err := c.api.ReplayDelivery(ctx, id)
			return "", err
		},
	},
	{
		path: "/deadletters/{id}/replay", title: "Send this event again?", button: "Send again",
		says: "It is sent to the function that did not take it. Taking it twice does no harm.",
		back: func(string) string { return "/events#deadletters" },
		do: func(c *Console, ctx context.Context, _ *http.Request, id string) (string, error) {
			_, err := c.api.ReplayDeadLetter(ctx, id)
			return "", err
		},
	},
	{
		path: "/deadletters/{id}/discard", title: "Discard this event?", button: "Discard", danger: true,
		says: "It is removed from the dead letters. Nothing else changes.",
		back: func(string) string { return "/events#deadletters" },
		do: func(c *Console, ctx context.Context, _ *http.Request, id string) (string, error) {
			return "", c.api.DiscardDeadLetter(ctx, id)
		},
	},
	{
		path: "/tokens/{id}/revoke", title: "Revoke this token?", button: "Revoke", danger: true,
		says: "Calls with it are refused from now on.",
		back: func(string) string { return "/access#tokens" },
		do: func(c *Console, ctx context.Context, _ *http.Request, id string) (string, error) {
			return "", c.api.RevokeToken(ctx, id)
		},
	},
}

// registerActions adds the pages that ask, and what does it.
func (c *Console) registerActions(mux *http.ServeMux) {
	for _, a := range actions {
		mux.Handle("GET "+a.path, c.page(func(r *http.Request) (view, error) { return c.ask(r, a) }))
		mux.HandleFunc("POST "+a.path, func(w http.ResponseWriter, r *http.Request) { c.act(w, r, a) })
	}
}

// ask makes the page that asks back.
func (c *Console) ask(r *http.Request, a action) (view, error) {
	id := r.PathValue("id")
	title := a.title
	if a.about != nil {
		name, err := a.about(c, r.Context(), id)
		if err != nil {
			return view{}, err
		}
		title = strings.Replace(title, "%s", visible(name), 1)
	}
	return view{Page: "ask", Title: title, Data: question{
		Title: title, Says: a.says, Button: a.button, Reason: a.reason, Danger: a.danger,
		Action: r.URL.Path, Back: a.back(id), Hidden: once(),
	}}, nil
}

func (c *Console) nameOfRun(ctx context.Context, id string) (string, error) {
	run, err := c.api.Run(ctx, id)
	return cmp.Or(run.Pipeline, id), err
}

func (c *Console) nameOfJob(ctx context.Context, id string) (string, error) {
	job, err := c.api.Job(ctx, id)
	return cmp.Or(job.Name, string(job.Key)), err
}

// act does what a form asks for, and leads to where its effect shows.
func (c *Console) act(w http.ResponseWriter, r *http.Request, a action) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	id := r.PathValue("id")
	next, err := a.do(c, c.proven(r), r, id)
	if err != nil {
		c.write(w, r, c.trouble(r, err))
		return
	}
	http.Redirect(w, r, cmp.Or(next, a.back(id)), http.StatusSeeOther)
}

// proven is the context of a request whose form shows what only a page of the
// same session knows; the api looks at it.
func (c *Console) proven(r *http.Request) context.Context {
	if v := r.PostFormValue("forgery"); v != "" {
		r.Header.Set(headerForgery, v)
	}
	return r.Context()
}

// headerForgery carries that proof to the api.
const headerForgery = "X-Relevo-Csrf"

// once is the key of a form: sent twice, it counts once.
func once() string { return rand.Text() }
