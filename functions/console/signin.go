package console

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"

	"github.com/relevo-ci/relevo/shared/client"
)

// signIn lets the api sign people in and out. What it refuses becomes a page: a
// browser is all that asks here.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	in := &signInAnswer{ResponseWriter: w}
	c.API.ServeHTTP(in, r)
	if in.status == 0 {
		return
	}
	p := &client.Problem{Status: in.status, Title: http.StatusText(in.status)}
	if err := json.Unmarshal(in.body.Bytes(), p); err != nil {
		c.Log.Warn("console: sign in", "error", err)
	}
	w.Header().Del("Content-Length")
	c.write(w, r, c.trouble(r, p))
}

// signInAnswer keeps a problem to itself, and hands on all else.
type signInAnswer struct {
	http.ResponseWriter
	status int // of a problem
	body   bytes.Buffer
}

func (a *signInAnswer) WriteHeader(status int) {
	kind, _, _ := mime.ParseMediaType(a.Header().Get("Content-Type"))
	if status >= http.StatusBadRequest && kind == "application/problem+json" {
		a.status = status
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *signInAnswer) Write(p []byte) (int, error) {
	if a.status != 0 {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p)
}
