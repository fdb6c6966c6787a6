package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
)

//go:embed templates/*.html
var templates embed.FS

// view is one page before it is written.
type view struct {
	Page   string // the template, without .html
	Title  string
	Tab    string // of the navigation
	Live   string // query of the stream that the page follows; empty: none
	Status int    // 0: 200
	Data   any

	Theme string // dark, light, or empty for what the system says
	Path  string // of the page, for coming back to it
	Now   time.Time
	Me    *client.Me // who looks at it; nil: not known
}

// pageFunc gathers what a page shows.
type pageFunc func(*http.Request) (view, error)

var errNowhere = &client.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "There is no page here."}

// parsePages makes a template of each page: the layout, the pieces, and its own.
func (c *Console) parsePages() map[string]*template.Template {
	base := template.Must(template.New("layout").Funcs(c.funcs()).ParseFS(templates, "templates/_*.html"))
	names, err := fs.Glob(templates, "templates/[a-z]*.html")
	if err != nil {
		panic(err) // the pattern is ours
	}
	pages := map[string]*template.Template{}
	for _, n := range names {
		pages[strings.TrimSuffix(path.Base(n), ".html")] = template.Must(template.Must(base.Clone()).ParseFS(templates, n))
	}
	return pages
}

// page writes what show gathered: all of it, or for htmx the part that lives.
func (c *Console) page(show pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := show(r)
		if err != nil {
			v = c.trouble(r, err)
		}
		c.write(w, r, v)
	})
}

func (c *Console) write(w http.ResponseWriter, r *http.Request, v view) {
	v.Now, v.Path = c.Now(), r.URL.RequestURI()
	if cookie, err := r.Cookie(themeCookie); err == nil && (cookie.Value == "dark" || cookie.Value == "light") {
		v.Theme = cookie.Value
	}
	if v.Page != "fault" {
		if me, err := c.api.Me(r.Context()); err == nil {
			v.Me = &me
		}
	}
	part := "layout"
	if r.Header.Get("HX-Request") != "" && v.Status == 0 {
		part = "live"
		if t := r.Header.Get("HX-Target"); t == "dialog" {
			part = "dialog"
		}
	}
	var b bytes.Buffer
	t := c.pages[v.Page]
	if err := t.ExecuteTemplate(&b, part, v); err != nil {
		c.Log.Error("console: render", "page", v.Page, "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "HX-Request")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
	}
	_, _ = b.WriteTo(w)
}

// fault is what the page of an error tells.
type fault struct {
	Status  int
	Title   string
	Detail  string
	Advice  string
	Details []client.Detail
	Login   bool
	Again   bool // asking again may help
}

// trouble makes a page of an error, that says what to do.
func (c *Console) trouble(r *http.Request, err error) view {
	f := fault{Status: http.StatusBadGateway, Title: "Something went wrong", Advice: "Try again. If it keeps happening, look into the server's log.", Again: r.Method == http.MethodGet}
	var p *client.Problem
	switch {
	case errors.As(err, &p):
		f.Status, f.Title, f.Detail, f.Details = p.Status, p.Title, p.Detail, p.Errors
		f.Login = p.Status == http.StatusUnauthorized && !strings.Contains(p.Detail, byLink)
		f.Advice = advice(p)
		f.Again = r.Method == http.MethodGet && errors.Is(p, client.ErrUnavailable)
		if title := faultTitles[p.Status]; title != "" {
			f.Title = title
		}
	case errors.Is(err, context.Canceled):
		f.Status = 499
	default:
		c.Log.Warn("console: page", "path", r.URL.Path, "error", err)
	}
	return view{Page: "fault", Title: f.Title, Status: f.Status, Data: f}
}

// advice says what somebody can do about a problem.
func advice(p *client.Problem) string {
	switch {
	case strings.Contains(p.Detail, byLink):
		return "Such a link lets this browser in; it works once."
	case p.Status == http.StatusUnauthorized:
		return "Sign in, and you come back to this page."
	case errors.Is(p, client.ErrDenied):
		return "Ask an admin of the project for a role that allows it. On a server without sign-in, open the console on the machine that it runs on."
	case errors.Is(p, client.ErrNotFound):
		return "It may have been removed (what is over is kept for a limited time), or belong to a project that you cannot see."
	case errors.Is(p, client.ErrConflict):
		return "Its state has changed in the meantime. Go back and look again."
	case errors.Is(p, client.ErrUnavailable):
		return "The server is busy or starting, or this part is not set up. Try again in a moment."
	}
	return "Go back and try again."
}

// byLink stands in what the api says where people are let in by a link alone.
const byLink = "relevo login"

// faultTitles are what the statuses mean to people.
var faultTitles = map[int]string{
	http.StatusUnauthorized: "Sign in to continue", http.StatusForbidden: "You do not have access", http.StatusNotFound: "Not found",
	http.StatusConflict: "This is no longer possible", http.StatusTooManyRequests: "Too many requests",
	http.StatusBadGateway: "Something went wrong", http.StatusServiceUnavailable: "Temporarily unavailable",
}

const themeCookie = "theme"

// setTheme keeps the choice of dark or light where pages are made, so that no
// page shows first in the wrong one.
func (c *Console) setTheme(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	cookie := &http.Cookie{Name: themeCookie, Path: "/", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode, HttpOnly: true, Secure: r.TLS != nil}
	switch v := r.PostFormValue("theme"); v {
	case "dark", "light":
		cookie.Value = v
	default:
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, inside(r.PostFormValue("back")), http.StatusSeeOther)
}

// inside keeps a way back within this console.
func inside(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}
