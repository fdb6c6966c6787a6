package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// answerMost is how long an answer may be, in bytes. A list of 100 changed
	// files with their patches is the longest that is asked for.
	answerMost = 16 << 20
	// patience with one request, where the settings' client has none of its own.
	patience = 10 * time.Second
	// afterMost is the longest that a forge may ask to wait.
	afterMost = 24 * time.Hour
)

// A gate is what every request to a forge goes through. It asks no host but the
// settings' one, presents the token to it, asks only for what changed (ETag),
// reads the answer to its end within a limit, and makes one kind of error of
// what forges answer.
type gate struct {
	base        *url.URL
	patience    time.Duration
	credentials credentials
	next        http.RoundTripper
	kept        *kept
}

// gated makes a client whose requests all go through a gate.
func gated(c *http.Client, base *url.URL, with credentials) *http.Client {
	g := &gate{base: base, patience: patience, credentials: with, next: http.DefaultTransport, kept: newKept(keptMost)}
	if c != nil && c.Timeout > 0 {
		g.patience = c.Timeout
	}
	if c != nil && c.Transport != nil {
		g.next = c.Transport
	}
	// The gate waits, not the client: that makes errors of its own.
	return &http.Client{Transport: g, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		// A renamed repository answers with its new address, on the same host.
		if len(via) > 3 || r.Method != via[0].Method {
			return errors.New("the forge sends elsewhere, and not what was asked for")
		}
		return nil
	}}
}

// RoundTrip gives an answer only where the forge gave what was asked for (2xx,
// or a redirect), with all of its body.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != g.base.Scheme || r.URL.Host != g.base.Host {
		discard(r)
		return nil, fmt.Errorf("the forge sent to another host, %.200q", r.URL.Host)
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.patience)
	defer cancel()
	caller := r.Context()
	r = r.Clone(ctx)
	r.Header.Set("User-Agent", "relevo")
	key, known := g.kept.conditional(r)
	res, err := g.try(r)
	var no *noTokenError
	switch {
	case errors.As(err, &no) && ctx.Err() == nil:
		return nil, no.error
	case err != nil:
		return nil, late(caller, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerMost+1))
	switch {
	case err != nil:
		return nil, late(caller, err)
	case len(body) > answerMost:
		return nil, fmt.Errorf("the forge's answer is longer than %d MiB", answerMost>>20)
	case res.StatusCode == http.StatusNotModified && known != nil:
		res.StatusCode, res.Status = http.StatusOK, "200 OK"
		res.Header, body = known.header.Clone(), known.body
	case res.StatusCode == http.StatusOK && key != "":
		g.kept.keep(key, res.Header, body)
	case res.StatusCode >= 400:
		return nil, refused(res, body)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	return res, nil
}

// try sends a request with the credential that it needs. One that the forge does
// not take any more is put in a new one's place, once.
func (g *gate) try(r *http.Request) (*http.Response, error) {
	if err := g.credentials.present(r); err != nil {
		discard(r)
		return nil, err
	}
	res, err := g.next.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusUnauthorized || !g.credentials.renew(r) {
		return res, err
	}
	if r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return res, nil
		}
		if r.Body, err = r.GetBody(); err != nil {
			return res, nil //nolint:nilerr // the refusal is what there is to tell
		}
	}
	_ = res.Body.Close()
	if err := g.credentials.present(r); err != nil {
		return nil, err
	}
	return g.next.RoundTrip(r)
}

func discard(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// late tells a forge that does not answer from a caller who waits no more.
func late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Later{Err: err}
}

// An answer is a status that says no.
type answer struct {
	status int
	text   string // the forge's
}

// Error is the status and what the forge said to it.
func (a *answer) Error() string {
	if a.text == "" {
		return fmt.Sprintf("the forge answers %d", a.status)
	}
	return fmt.Sprintf("the forge answers %d: %s", a.status, a.text)
}

// refused makes an error of an answer.
func refused(res *http.Response, body []byte) error {
	a := &answer{res.StatusCode, said(body)}
	limited := res.Header.Get("Retry-After") != "" || res.Header.Get("X-RateLimit-Remaining") == "0" ||
		strings.Contains(strings.ToLower(a.text), "rate limit")
	switch {
	case a.status == http.StatusTooManyRequests, a.status == http.StatusForbidden && limited,
		a.status == http.StatusRequestTimeout, a.status >= 500:
		return &Later{After: wait(res), Err: a}
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden, a.status == http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%w: %w", ErrDenied, a)
	case a.status == http.StatusNotFound, a.status == http.StatusGone,
		a.status == http.StatusUnprocessableEntity && strings.HasPrefix(a.text, "No commit found"): // GitHub's
		return fmt.Errorf("%w: %w", ErrNotFound, a)
	}
	return a
}

// said finds the words for people in an answer, one line of 200 bytes at most.
func said(body []byte) string {
	var forms struct {
		Message json.RawMessage `json:"message"` // GitHub, Gitea; GitLab: a text, or texts by field
		Error   json.RawMessage `json:"error"`   // Bitbucket Cloud: an object with a message
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"` // Bitbucket Data Center
	}
	if json.Unmarshal(body, &forms) != nil && forms.Message == nil {
		return ""
	}
	var text string
	if json.Unmarshal(forms.Message, &text) != nil {
		text = string(forms.Message) + string(forms.Error)
	}
	if len(forms.Errors) > 0 && text == "" {
		text = forms.Errors[0].Message
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// wait is how long the forge asks to: Retry-After in seconds or as a date, else
// the end of its window. Both are taken by the forge's own clock.
func wait(res *http.Response) time.Duration {
	now, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	after := time.Duration(0)
	if text := res.Header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil {
			after = time.Duration(min(seconds, int(afterMost/time.Second))) * time.Second
		} else if t, err := http.ParseTime(text); err == nil {
			after = t.Sub(now)
		}
	} else {
		for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
			if unix, err := strconv.ParseInt(res.Header.Get(name), 10, 64); err == nil {
				after = time.Unix(unix, 0).Sub(now)
				break
			}
		}
	}
	return min(max(after, 0), afterMost)
}
