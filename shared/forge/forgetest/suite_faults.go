package forgetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// tryDeliveries holds that what the fake sends is what the forge's client reads:
// the same pull request as the API's.
func tryDeliveries(t *testing.T, w *World) {
	by := trigger.Actor{Login: w.Login("writer"), Name: "writer"}
	parse := func(d Delivery) trigger.Happening {
		t.Helper()
		header := d.Sign(w.Kind, "secret", "an-id")
		check(t, w.Forge.Verify(header, d.Body))
		h, err := w.Forge.Parse(header, d.Body)
		check(t, err)
		if h.Delivery != "an-id" || h.Repository.Name != Repo || h.Actor.Login != by.Login {
			t.Errorf("%+v", h)
		}
		return h
	}
	for _, c := range []struct{ ref, before, after string }{
		{"refs/heads/main", w.Commits["second"], w.Commits["third"]}, {"refs/tags/light", "", w.Commits["third"]}, {"refs/heads/gone", w.Commits["side"], ""},
	} {
		h := parse(w.Push(Repo, c.ref, c.before, c.after, by))
		if h.Event != "push" || h.Ref != c.ref || h.Before != c.before || h.SHA != c.after || h.Deleted != (c.after == "") {
			t.Errorf("%+v", h)
		}
		if c.after != "" && !strings.HasPrefix(h.Message, "third commit") {
			t.Errorf("message %q", h.Message)
		}
	}
	for _, action := range []string{"opened", "synchronize", "closed"} {
		h := parse(w.Pull(Repo, action, 5, by))
		if h.Event != "pull_request" || h.Action != action || !h.Fork() || h.Ref != "refs/pull/5/merge" || !strings.HasPrefix(w.Commits["pull"], h.SHA) {
			t.Errorf("%s: %+v", action, h)
		}
	}
	h := parse(w.Comment(Repo, "/test", 5, by))
	if h.Event != "issue_comment" || h.Action != "created" || h.Comment.Body != "/test" || h.Comment.Issue != 5 || !h.Comment.OnPull || !h.Fork() {
		t.Errorf("%+v", h)
	}
}

// tryNames: no name leads out of its place in an address.
func tryNames(t *testing.T, w *World) {
	ctx, sha := t.Context(), w.Commits["third"]
	before := len(w.Asked())
	for _, name := range []string{"", "octo", "octo/..", "../octo/hello", "octo/hello?x=", "octo/hello#", "octo/he llo", "octo/%2e%2e", "/octo/hello", "octo//hello", "octo/hello\n"} {
		_, err := w.Forge.File(ctx, name, sha, "README.md")
		notFound(t, name, err)
		notFound(t, name, w.Forge.Tell(ctx, name, sha, trigger.Status{Context: "c", State: trigger.Failed}))
	}
	for _, bad := range []string{"", "main", "HEAD", "-x", "..", sha + "?x=", "0000000000000000000000000000000000000000", "ABCDEF1234", "../" + sha} {
		_, err := w.Forge.File(ctx, Repo, bad, "README.md")
		notFound(t, "commit "+bad, err)
		_, err = w.Forge.Files(ctx, Repo, bad, ".relevo")
		notFound(t, "commit "+bad, err)
		_, _, err = w.Forge.Changed(ctx, Repo, sha, bad, 0)
		notFound(t, "commit "+bad, err)
	}
	for _, path := range []string{"", "..", "../x", "/etc/passwd", "a/../../b", "a//b", "a\x00b", "./a"} {
		_, err := w.Forge.File(ctx, Repo, sha, path)
		notFound(t, "path "+path, err)
	}
	if asked := w.Asked()[before:]; len(asked) > 0 {
		t.Errorf("the forge was asked %q", asked)
	}
}

// tryLater: what may pass says so, with the time that the forge asks for.
func tryLater(t *testing.T, w *World) {
	now := time.Now()
	for what, c := range map[string]struct {
		fault Fault
		least time.Duration
		most  time.Duration
	}{
		"429":                       {Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, 7 * time.Second, 7 * time.Second},
		"429 without a word":        {Fault{Status: 429}, 0, 0},
		"429 and a date":            {Fault{Status: 429, Header: map[string]string{"Retry-After": now.Add(time.Minute).UTC().Format(http.TimeFormat)}}, 30 * time.Second, time.Minute},
		"429 and too long":          {Fault{Status: 429, Header: map[string]string{"Retry-After": "99999999999"}}, 24 * time.Hour, 24 * time.Hour},
		"429 and nonsense":          {Fault{Status: 429, Header: map[string]string{"Retry-After": "-3"}}, 0, 0},
		"403 with no requests left": {Fault{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(now.Unix()+60, 10)}}, 30 * time.Second, time.Minute},
		"403 and a word of limits":  {Fault{Status: 403, Body: `{"message":"You have exceeded a secondary rate limit."}`}, 0, 0},
		"502":                       {Fault{Status: 502, Body: "<html>Bad Gateway</html>"}, 0, 0},
		"503":                       {Fault{Status: 503, Header: map[string]string{"Retry-After": "3"}}, 3 * time.Second, 3 * time.Second},
		"an answer that breaks off": {Fault{Cut: true}, 0, 0},
		"no answer in time":         {Fault{Status: 200, Delay: time.Minute}, 0, 0},
	} {
		t.Run(what, func(t *testing.T) {
			settings := w.Settings("secret")
			settings.Client = &http.Client{Timeout: map[bool]time.Duration{true: 50 * time.Millisecond, false: time.Minute}[c.fault.Delay > 0]}
			f, err := forge.New(settings)
			check(t, err)
			w.Fail(c.fault)
			_, err = f.File(t.Context(), Repo, w.Commits["third"], "README.md")
			var later *forge.Later
			if !errors.Is(err, forge.ErrLater) || !errors.As(err, &later) {
				t.Fatalf("got %v", err)
			}
			if later.After < c.least || later.After > c.most {
				t.Errorf("after %v, want %v to %v", later.After, c.least, c.most)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Forge.File(gone, Repo, w.Commits["third"], "README.md"); !errors.Is(err, context.Canceled) || errors.Is(err, forge.ErrLater) {
		t.Errorf("whoever asked waits no more: %v", err)
	}
	w.Fail(Fault{Status: 502, After: true}) // it is set, and the answer lost
	for try := range 3 {
		err := w.Forge.Tell(t.Context(), Repo, w.Commits["third"], trigger.Status{Context: "c", State: trigger.Pending, Link: "https://relevo.example/"})
		if w.Kind == forge.Gogs {
			return
		}
		if (err == nil) != (try > 0) {
			t.Errorf("try %d: %v", try, err)
		}
	}
}

func tryDenied(t *testing.T, w *World) {
	settings := w.Settings("secret")
	if settings.Token = "another"; settings.AppID != "" {
		settings.AppID = "another"
	}
	f, err := forge.New(settings)
	check(t, err)
	_, err = f.File(t.Context(), Repo, w.Commits["third"], "README.md")
	if !errors.Is(err, forge.ErrDenied) || errors.Is(err, forge.ErrLater) || strings.Contains(err.Error(), "another") {
		t.Errorf("with another token: %v", err)
	}
	w.Fail(Fault{Status: 403, Body: `{"message":"Resource not accessible by integration"}`})
	if _, err = w.Forge.Level(t.Context(), Repo, w.Login("reader")); !errors.Is(err, forge.ErrDenied) || !strings.Contains(err.Error(), "not accessible") {
		t.Errorf("403: %v", err)
	}
}

// tryHostile: no answer makes a client panic, or read without end.
func tryHostile(t *testing.T, w *World) {
	w.warm(t)
	ctx, sha := t.Context(), w.Commits["third"]
	for _, body := range []string{
		"", "null", "[]", "{}", "[null]", `{"values":[null],"children":{"values":[null]}}`, `[{"path":3}]`, "<html>", `"x"`, "[[[[", `{"files":[null],"diffs":[null],"commits":[null]}`,
		`{"head":null,"base":null,"fromRef":null,"source":null,"destination":null}`, `{"commit":null,"target":null,"sha":"--x","id":"x"}`,
		`{"values":[{"permission":"admin","user":{"uuid":"{another}"},"name":"an-owner"}]}`, `[{"username":"owners","login":"owners","state":"active","id":1,"permissions":{"admin":true}}]`,
	} {
		for what, call := range map[string]func() error{
			"files":  func() error { _, err := w.Forge.Files(ctx, Repo, sha, ".relevo"); return err },
			"change": func() error { _, _, err := w.Forge.Changed(ctx, Repo, sha, sha, 0); return err },
			"pull":   func() error { _, err := w.Forge.Pull(ctx, Repo, 5); return err },
			"level": func() error {
				level, err := w.Forge.Level(ctx, Repo, w.Login("owner"))
				if level != trigger.None {
					t.Errorf("%s gives the right %v", body, level)
				}
				return err
			},
			"head": func() error {
				found, err := w.Forge.Head(ctx, Repo, "refs/heads/main")
				if err == nil {
					t.Errorf("%s is the commit %s", body, found)
				}
				return err
			},
			"message": func() error { _, err := w.Forge.Message(ctx, Repo, sha); return err },
			"tell": func() error {
				return w.Forge.Tell(ctx, Repo, sha, trigger.Status{Context: "c", State: trigger.Failed})
			},
		} {
			for range 4 { // some ask more than once
				w.Fail(Fault{Status: 200, Body: body})
			}
			if err := call(); errors.Is(err, forge.ErrLater) || errors.Is(err, forge.ErrDenied) {
				t.Errorf("%s: %s: %v", what, body, err)
			}
			w.mu.Lock()
			w.faults = nil
			w.mu.Unlock()
		}
	}
	w.Fail(Fault{Status: 200, Body: `[{"path":"elsewhere/x.yaml","type":"file","mode":"100644"},{"path":".relevo/../x.yaml","type":"file","mode":"100644"}]`})
	if paths, _ := w.Forge.Files(ctx, Repo, sha, ".relevo"); len(paths) > 0 {
		t.Errorf("files of another folder: %q", paths)
	}
	w.mu.Lock()
	w.faults = nil
	w.mu.Unlock()
	w.Fail(Fault{Status: 200, Body: strings.Repeat("x", 17<<20)})
	if _, err := w.Forge.File(ctx, Repo, sha, "README.md"); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("17 MiB: %v", err)
	}
	w.Fail(Fault{Status: 200, Body: strings.Repeat("x", 2<<20)})
	if content, err := w.Forge.File(ctx, Repo, sha, "README.md"); err == nil || len(content) > 0 {
		t.Errorf("2 MiB: %v", err)
	}
}

// tryUnchanged: what is asked again is not sent again, and is the same.
func tryUnchanged(t *testing.T, w *World) {
	for range 3 {
		content, err := w.Forge.File(t.Context(), Repo, w.Commits["third"], "README.md")
		if err != nil || string(content) != "hello\n" {
			t.Errorf("%q, %v", content, err)
		}
	}
	if content, err := w.Forge.File(t.Context(), Repo, w.Commits["pull"], "README.md"); err != nil || string(content) != "hello, you\n" {
		t.Errorf("at another commit: %q, %v", content, err)
	}
	if got := w.Unchanged(); got != 2 {
		t.Errorf("%d answers of 2 were 304", got)
	}
	w.Grant(Repo, w.Login("writer"), trigger.None)
	if level, err := w.Forge.Level(t.Context(), Repo, w.Login("writer")); err != nil || level != trigger.None {
		t.Errorf("after a right was taken: %v, %v", level, err)
	}
}

// tryRedirects: a forge that sends elsewhere is not followed, and the token
// stays.
func tryRedirects(t *testing.T, w *World) {
	w.warm(t)
	asked := make(chan string, 9)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- fmt.Sprint(r.URL, r.Header)
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		w.Fail(Fault{Status: status, Header: map[string]string{"Location": other.URL + "/internal"}})
		if _, err := w.Forge.File(t.Context(), Repo, w.Commits["third"], "README.md"); err == nil || !strings.Contains(err.Error(), "another host") {
			t.Errorf("%d: %v", status, err)
		}
		w.Fail(Fault{Status: status, Header: map[string]string{"Location": other.URL + "/internal"}})
		if err := w.Forge.Tell(t.Context(), Repo, w.Commits["third"], trigger.Status{Context: "c", State: trigger.Failed}); err == nil {
			t.Errorf("%d: told", status)
		}
		w.mu.Lock()
		w.faults = nil
		w.mu.Unlock()
	}
	select {
	case what := <-asked:
		t.Errorf("the other host was asked %s", what)
	default:
	}
	if w.Forge.Checks() {
		return // its rename has a test of its own
	}
	// A repository that was renamed answers with its new place, on the same host.
	w.Fail(Fault{Status: 301, Header: map[string]string{"Location": w.readme()}})
	if content, err := w.Forge.File(t.Context(), "octo/old-name", w.Commits["third"], "README.md"); err != nil || string(content) != "hello\n" {
		t.Errorf("renamed: %q, %v", content, err)
	}
}

// readme is where the API has the file of that name.
func (w *World) readme() string {
	sha := w.Commits["third"]
	return w.URL + map[string]string{
		forge.GitHub: "/repos/octo/hello/contents/README.md?ref=" + sha, forge.GitLab: "/api/v4/projects/octo%2Fhello/repository/files/README.md/raw?ref=" + sha,
		forge.Gitea: "/api/v1/repos/octo/hello/raw/README.md?ref=" + sha, forge.Gogs: "/api/v1/repos/octo/hello/raw/" + sha + "/README.md",
		forge.Bitbucket: "/2.0/repositories/octo/hello/src/" + sha + "/README.md", forge.Stash: "/rest/api/1.0/projects/octo/repos/hello/raw/README.md?at=" + sha,
	}[w.Kind]
}
