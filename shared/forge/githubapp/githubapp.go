// Package githubapp is Relevo as a GitHub App: it signs for itself, finds where
// it is installed, and takes tokens that end within the hour, read or write one
// repository, and can do no more than they were asked for. It needs nothing of
// package forge, so that hosts without a forge's client can hand such a token to
// git.
package githubapp

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Settings of an App.
type Settings struct {
	// ID of the App, or its client ID.
	ID string
	// Key is its private key, PEM: PKCS#1 as GitHub makes it, or PKCS#8.
	Key string
	// URL of the API, the only host that is asked: https://api.github.com/, of an
	// Enterprise Server https://host/api/v3/.
	URL string
	// Client to ask with; nil: one that waits 10 s.
	Client *http.Client
}

// Permissions that a token has: read or write by GitHub's name of the area
// (contents, checks, pull_requests …).
type Permissions map[string]string

// User is who git says it is, over HTTP, beside a token.
const User = "x-access-token"

// Checkout is what git needs to read a repository.
var Checkout = Permissions{"contents": "read"}

// Token of an installation, for one repository.
type Token struct {
	Value string
	Until time.Time
}

// ErrAnswer: GitHub answers, and not as it documents.
var ErrAnswer = errors.New("githubapp: the answer is not what GitHub documents")

// Refusal is GitHub's answer that there is no token.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte
}

// Error is the status, and GitHub's words.
func (r *Refusal) Error() string {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(r.Body, &said)
	if said.Message == "" {
		return fmt.Sprintf("GitHub answers %d", r.Status)
	}
	return fmt.Sprintf("GitHub answers %d: %.200s", r.Status, said.Message)
}

const (
	patience = 10 * time.Second
	// left is what a token that is handed out lasts at least: a checkout must not
	// lose it on the way. GitHub's last an hour.
	left = 20 * time.Minute
	// answerMost bounds an answer, in bytes; keptMost what is remembered.
	answerMost = 1 << 20
	keptMost   = 4096
	// settled is for how long it is believed where the App is installed.
	settled = 10 * time.Minute
)

// App takes tokens. Its methods may be called from several goroutines.
type App struct {
	id   string
	key  *rsa.PrivateKey
	base *url.URL
	http *http.Client

	flights singleflight.Group
	off     atomic.Int64 // what GitHub's clock is before this one, in nanoseconds

	mu            sync.Mutex
	tokens        map[string]Token // by repository and permissions
	installations map[string]installation
}

type installation struct {
	id int64
	// repository's own number, where it was asked for by a name that it had.
	repository int64
	until      time.Time
}

// New makes one. It asks nothing yet; the error says nothing of the key.
func New(s Settings) (*App, error) {
	key, err := readKey(s.Key)
	if err != nil {
		return nil, fmt.Errorf("githubapp: read the key: %w", err)
	}
	base, err := url.Parse(s.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("githubapp: the API's address is not http://host or https://host")
	}
	if s.ID == "" {
		return nil, errors.New("githubapp: the App has no ID")
	}
	a := &App{id: s.ID, key: key, base: base, tokens: map[string]Token{}, installations: map[string]installation{}}
	a.http = &http.Client{Timeout: patience}
	if s.Client != nil {
		a.http.Transport = s.Client.Transport
		if s.Client.Timeout > 0 {
			a.http.Timeout = s.Client.Timeout
		}
	}
	a.http.CheckRedirect = a.follow
	return a, nil
}

// follow goes where a renamed repository is, on the same host.
func (a *App) follow(r *http.Request, via []*http.Request) error {
	if len(via) > 3 || r.Method != via[0].Method || r.URL.Host != a.base.Host || r.URL.Scheme != a.base.Scheme {
		return errors.New("GitHub sends elsewhere, and not what was asked for")
	}
	return nil
}

// Token is one for a repository (owner/name) with these permissions, which lasts
// for 20 minutes more at least. It is a *Refusal where GitHub says no; any other
// error may pass. Callers that ask for the same wait for one answer.
func (a *App) Token(ctx context.Context, repository string, p Permissions) (Token, error) {
	owner, name, ok := strings.Cut(repository, "/")
	if !ok || !segment(owner) || !segment(name) {
		return Token{}, fmt.Errorf("githubapp: take a token: %.300q is not owner/name", repository)
	}
	if err := ctx.Err(); err != nil {
		return Token{}, err
	}
	key := keyOf(repository, p)
	if t, ok := a.known(key, time.Now()); ok {
		return t, nil
	}
	flight := a.flights.DoChan(key, func() (any, error) {
		// Whoever asked first may leave; the others wait on.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*a.http.Timeout)
		defer cancel()
		return a.take(ctx, owner, name, p)
	})
	select {
	case <-ctx.Done():
		return Token{}, ctx.Err()
	case res := <-flight:
		if res.Err != nil {
			return Token{}, fmt.Errorf("githubapp: take a token for %s: %w", repository, res.Err)
		}
		t, _ := res.Val.(Token)
		a.keep(key, t)
		return t, nil
	}
}

// Forget drops a token that GitHub does not take any more.
func (a *App) Forget(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.tokens, func(_ string, t Token) bool { return t.Value == value })
}

func segment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.Contains(s, "/")
}

func keyOf(repository string, p Permissions) string {
	key := strings.ToLower(repository)
	for _, area := range slices.Sorted(maps.Keys(p)) {
		key += " " + area + ":" + p[area]
	}
	return key
}

func (a *App) known(key string, now time.Time) (Token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[key]
	return t, ok && t.Until.Sub(now) > left
}

func (a *App) keep(key string, t Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tokens) >= keptMost {
		now := time.Now()
		maps.DeleteFunc(a.tokens, func(_ string, t Token) bool { return t.Until.Sub(now) <= left })
		if len(a.tokens) >= keptMost {
			clear(a.tokens)
		}
	}
	a.tokens[key] = t
}

// take asks GitHub for a token. An installation that is not there any more is
// looked for once again: the App may have been installed anew.
func (a *App) take(ctx context.Context, owner, name string, p Permissions) (Token, error) {
	at, fresh, err := a.installation(ctx, owner, name)
	if err != nil {
		return Token{}, err
	}
	t, err := a.access(ctx, at, name, p)
	var no *Refusal
	if errors.As(err, &no) && no.Status == http.StatusNotFound && !fresh {
		a.mu.Lock()
		delete(a.installations, strings.ToLower(owner+"/"+name))
		a.mu.Unlock()
		if at, _, err = a.installation(ctx, owner, name); err == nil {
			t, err = a.access(ctx, at, name, p)
		}
	}
	return t, err
}

// installation finds where the App is installed; fresh tells that it was asked.
func (a *App) installation(ctx context.Context, owner, name string) (at installation, fresh bool, err error) {
	key, now := strings.ToLower(owner+"/"+name), time.Now()
	a.mu.Lock()
	known := a.installations[key]
	a.mu.Unlock()
	if now.Before(known.until) {
		return known, false, nil
	}
	var found struct {
		ID int64 `json:"id"`
	}
	path, err := a.ask(ctx, http.MethodGet, "repos/"+url.PathEscape(owner)+"/"+url.PathEscape(name)+"/installation", nil, &found)
	if err != nil {
		return at, true, err
	}
	if found.ID <= 0 {
		return at, true, fmt.Errorf("%w: it names no installation", ErrAnswer)
	}
	at = installation{id: found.ID, until: now.Add(settled)}
	if _, rest, renamed := strings.Cut(path, "/repositories/"); renamed {
		number, _, _ := strings.Cut(rest, "/")
		at.repository, _ = strconv.ParseInt(number, 10, 64)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.installations) >= keptMost {
		clear(a.installations)
	}
	a.installations[key] = at
	return at, true, nil
}

func (a *App) access(ctx context.Context, at installation, name string, p Permissions) (Token, error) {
	in := map[string]any{"permissions": p, "repositories": []string{name}}
	if at.repository > 0 {
		delete(in, "repositories")
		in["repository_ids"] = []int64{at.repository}
	}
	var got struct {
		Token string    `json:"token"`
		Until time.Time `json:"expires_at"`
	}
	_, err := a.ask(ctx, http.MethodPost, fmt.Sprintf("app/installations/%d/access_tokens", at.id), in, &got)
	if err == nil && got.Token == "" {
		err = fmt.Errorf("%w: it has no token", ErrAnswer)
	}
	return Token{got.Token, got.Until}, err
}

// ask sends a request that the App signs, and tells the path that answered. Where
// GitHub does not know the App by it, and its clock is another, it is signed by
// that one.
func (a *App) ask(ctx context.Context, method, path string, in, out any) (answered string, err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return "", err
		}
	}
	answered, err = a.send(ctx, method, path, body, out)
	var no *Refusal
	if errors.As(err, &no) && no.Status == http.StatusUnauthorized && a.set(no.Header.Get("Date")) {
		answered, err = a.send(ctx, method, path, body, out)
	}
	return answered, err
}

// set takes over GitHub's clock for what is signed. It tells whether that is far
// from the one that was.
func (a *App) set(date string) bool {
	there, err := http.ParseTime(date)
	if err != nil {
		return false
	}
	off := time.Until(there)
	return (off - time.Duration(a.off.Swap(int64(off)))).Abs() > early/2
}

func (a *App) send(ctx context.Context, method, path string, body []byte, out any) (answered string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.base.String(), "/")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	signed, err := sign(a.key, a.id, time.Now().Add(time.Duration(a.off.Load())))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+signed)
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("User-Agent", "relevo")
	res, err := a.http.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerMost))
	if err != nil {
		return "", err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return "", &Refusal{Status: res.StatusCode, Header: res.Header, Body: answer}
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return res.Request.URL.Path, nil
}
