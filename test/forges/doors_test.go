package forges

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
)

// TestPushOnEveryForge: the push starts the pipeline of its commit; what becomes
// of it stands on the commit, once each, in order, where the forge has statuses.
func TestPushOnEveryForge(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		forge.GitHub: "relevo/build pending, relevo/build success", forge.GitLab: "relevo/build pending, relevo/build success",
		forge.Gitea: "relevo/build pending, relevo/build success", forge.Bitbucket: "relevo/build inprogress, relevo/build successful",
		forge.Stash: "relevo/build inprogress, relevo/build successful", forge.Gogs: "",
	}
	for kind := range want {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			r.hold = make(chan struct{})
			sha, d := r.pushed()
			got := r.deliver(d)
			if len(got.Outcomes) != 1 || got.Outcomes[0].Result != "started" || got.SHA != sha || got.Source != kind || got.Repository != shop {
				t.Fatalf("it came to %+v", got)
			}
			pending, _, _ := strings.Cut(want[kind], ",")
			r.tells(sha, pending)
			close(r.hold)
			r.tells(sha, want[kind])
			r.eventually("the run succeeds", func() bool {
				run, err := r.client.Run(t.Context(), got.Outcomes[0].Run)
				return err == nil && run.State == "SUCCEEDED" && run.SHA == sha
			})
			if kind == forge.Gogs {
				return
			}
			for _, one := range r.server.Told(shop, sha) {
				if one.Link != "https://ci.example/v1/pipelines/"+got.Outcomes[0].Run {
					t.Errorf("the link is %s", one.Link)
				}
			}
		})
	}
}

// TestRefused: what is no delivery is refused with the right status, leaves
// nothing behind, and what it had of secrets is in no log.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	_, d := r.pushed()
	signed := func(change func(h http.Header)) http.Header {
		h := d.Sign(forge.GitHub, secret, "d")
		change(h)
		return h
	}
	unchanged := func(http.Header) {}
	large := bytes.Repeat([]byte(" "), 30<<20)
	notJSON := forgetest.Delivery{Event: "push", Body: []byte(`{"ref": "canary-body`)}
	for name, c := range map[string]struct {
		kind   string
		header http.Header
		body   io.Reader
		want   int
		says   string
	}{
		"unsigned":      {forge.GitHub, signed(func(h http.Header) { h.Del("X-Hub-Signature-256") }), bytes.NewReader(d.Body), 401, "not signed"},
		"wrongly":       {forge.GitHub, d.Sign(forge.GitHub, "s0mebody-elses", "d"), bytes.NewReader(d.Body), 401, "signature"},
		"sha1 alone":    {forge.GitHub, signed(func(h http.Header) { h.Del("X-Hub-Signature-256"); h.Set("X-Hub-Signature", "sha1=00") }), bytes.NewReader(d.Body), 401, "not signed"},
		"truncated":     {forge.GitHub, signed(unchanged), bytes.NewReader(d.Body[:len(d.Body)-1]), 401, "signature"},
		"broken off":    {forge.GitHub, signed(unchanged), io.MultiReader(bytes.NewReader(d.Body[:100]), broken{}), 400, "broke off"},
		"30 MB":         {forge.GitHub, signed(unchanged), bytes.NewReader(large), 413, "25 MiB"},
		"30 MB in bits": {forge.GitHub, signed(unchanged), io.MultiReader(bytes.NewReader(large)), 413, "25 MiB"},
		"a form":        {forge.GitHub, signed(func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }), bytes.NewReader(d.Body), 415, "choose the content type application/json"},
		"text":          {forge.GitHub, signed(func(h http.Header) { h.Set("Content-Type", "text/plain") }), bytes.NewReader(d.Body), 415, "application/json"},
		"no type":       {forge.GitHub, signed(func(h http.Header) { h.Del("Content-Type") }), bytes.NewReader(d.Body), 415, "application/json"},
		"no JSON":       {forge.GitHub, notJSON.Sign(forge.GitHub, secret, "d"), bytes.NewReader(notJSON.Body), 422, "not what github documents"},
		"no event":      {forge.GitHub, signed(func(h http.Header) { h.Del("X-GitHub-Event") }), bytes.NewReader(d.Body), 422, "not what github documents"},
		"not served":    {forge.GitLab, signed(unchanged), bytes.NewReader(d.Body), 404, "no forge of that name"},
		"no forge":      {"elsewhere/x", signed(unchanged), bytes.NewReader(d.Body), 404, "nothing here"},
	} {
		if rec := r.post(c.kind, c.header, c.body); rec.Code != c.want || !strings.Contains(rec.Body.String(), c.says) {
			t.Errorf("%s: answered %d, want %d and %q: %s", name, rec.Code, c.want, c.says, rec.Body)
		}
	}
	q := httptest.NewRequest(http.MethodGet, "/webhooks/github", http.NoBody)
	rec := httptest.NewRecorder()
	if r.http.ServeHTTP(rec, q); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET is answered %d", rec.Code)
	}
	ping := forgetest.Delivery{Event: "ping", Body: []byte(`{"zen":"x","hook_id":1}`)}
	if rec := r.post(forge.GitHub, ping.Sign(forge.GitHub, secret, "p"), bytes.NewReader(ping.Body)); rec.Code != http.StatusOK {
		t.Errorf("a ping is answered %d: %s", rec.Code, rec.Body)
	}
	list, err := r.client.Deliveries(t.Context(), client.DeliveryFilter{}, 10, "")
	if err != nil || len(list.Deliveries) != 0 {
		t.Errorf("kept %+v, %v", list, err)
	}
	for _, word := range []string{secret, old, "s0mebody-elses", r.server.Token, "canary-body", "sha256="} {
		if strings.Contains(r.log.text(), word) {
			t.Errorf("the log has %q", word)
		}
	}
}

// broken is a body that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestTiredOfASender: who sends nothing but what is refused is hardly looked at
// after a while, and nobody else pays for it.
func TestTiredOfASender(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	_, d := r.pushed()
	h := d.Sign(forge.GitHub, "wrong", "d")
	codes := map[int]int{}
	for range 100 {
		codes[r.post(forge.GitHub, h, bytes.NewReader(d.Body)).Code]++
	}
	if codes[401] < 50 || codes[429] < 30 || len(codes) != 2 {
		t.Errorf("a hundred unsigned deliveries were answered %v", codes)
	}
	// Whoever signs is heard: it may be another behind the same proxy.
	r.accepted(r.post(forge.GitHub, d.Sign(forge.GitHub, secret, "d"), bytes.NewReader(d.Body)))
}

// TestTwoLiveSecrets: while a secret is being changed, both count.
func TestTwoLiveSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	_, d := r.pushed()
	r.accepted(r.post(forge.GitHub, d.Sign(forge.GitHub, old, "d"), bytes.NewReader(d.Body)))
}

// TestOneRun: a thousand duplicates of a delivery, under ids that anybody could
// give them, and ten thousand replays start one run and tell each state once.
func TestOneRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	r.hold = make(chan struct{})
	sha, d := r.pushed()
	const senders = 8
	var all sync.WaitGroup
	fresh := make([]int, senders)
	for i := range senders {
		all.Go(func() {
			for k := range 1000 / senders {
				if got := r.accepted(r.post(forge.GitHub, d.Sign(forge.GitHub, secret, strconv.Itoa(i*1000+k)), bytes.NewReader(d.Body))); !got.Duplicate {
					fresh[i]++
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range fresh {
		total += n
	}
	list, err := r.client.Deliveries(t.Context(), client.DeliveryFilter{}, 10, "")
	if err != nil || total != 1 || len(list.Deliveries) != 1 {
		t.Fatalf("%d of them are fresh, %d kept: %v", total, len(list.Deliveries), err)
	}
	id := r.done(list.Deliveries[0].ID).ID
	for i := range senders {
		all.Go(func() {
			for range 10_000 / senders {
				if _, err := r.client.ReplayDelivery(t.Context(), id); err != nil {
					t.Errorf("replay of %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	last := r.done(id)
	if last.Round < 2 || last.Repeats != 999 {
		t.Errorf("it had %d rounds, and came %d times again", last.Round, last.Repeats)
	}
	r.tells(sha, "relevo/build pending")
	close(r.hold)
	r.tells(sha, "relevo/build pending, relevo/build success")
	if n := len(r.started()); n != 1 {
		t.Errorf("%d runs", n)
	}
	t.Logf("%d rounds", last.Round)
}

// TestTheForgeFails: statuses come late and in order, each once, and nothing
// waits for them.
func TestTheForgeFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"429": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		},
		"502": func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, forge.GitHub)
			r.failing(answer)
			sha, d := r.pushed(".relevo/second.yaml", strings.Replace(build, "build", "second", 1))
			got := r.deliver(d)
			for _, o := range got.Outcomes {
				r.eventually("the run succeeds though nobody hears of it", func() bool {
					run, err := r.client.Run(t.Context(), o.Run)
					return err == nil && run.State == "SUCCEEDED"
				})
			}
			if told := r.told(sha); told != "" || len(got.Outcomes) != 2 {
				t.Errorf("the forge was told %q of %d runs", told, len(got.Outcomes))
			}
			r.failing(nil)
			r.eventually("the forge is told", func() bool { return strings.Count(r.told(sha), "success") == 2 })
			for _, name := range []string{"build", "second"} {
				var states []string
				for _, told := range r.server.Told(shop, sha) {
					if told.Context == "relevo/"+name {
						states = append(states, told.State)
					}
				}
				// What was pending and is over need not be told any more.
				if told := strings.Join(states, " "); told != "success" && told != "pending success" {
					t.Errorf("of %s the forge was told %s", name, told)
				}
			}
			r.pending(answer)
		})
	}
}

// pending holds a job until the forge was told that it runs, which it takes at
// the third try.
func (r *rig) pending(answer func(w http.ResponseWriter, q *http.Request) bool) {
	r.t.Helper()
	var asked atomic.Int32
	r.failing(func(w http.ResponseWriter, q *http.Request) bool { return asked.Add(1) < 3 && answer(w, q) })
	r.hold = make(chan struct{})
	sha, d := r.pushed(".relevo/second.yaml", "on: release\njobs: {a: {steps: [{run: x}]}}\n")
	r.deliver(d)
	r.tells(sha, "relevo/build pending")
	close(r.hold)
	r.tells(sha, "relevo/build pending, relevo/build success")
}

// TestAllThatGitHubDocuments: every example of a delivery is answered with an
// outcome.
func TestAllThatGitHubDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	files, err := filepath.Glob("../../shared/forge/testdata/node_modules/@octokit/webhooks-examples/*/index.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: test/setup installs them (%v)", err)
	}
	count := map[int]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var documented []struct {
			Name     string            `json:"name"`
			Examples []json.RawMessage `json:"examples"`
		}
		if err := json.Unmarshal(text, &documented); err != nil {
			t.Fatal(err)
		}
		for _, e := range documented {
			for _, body := range e.Examples {
				d := forgetest.Delivery{Event: e.Name, Body: body}
				rec := r.post(forge.GitHub, d.Sign(forge.GitHub, secret, "d"), bytes.NewReader(body))
				count[rec.Code]++
				var got client.Received
				if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Outcome == "" || rec.Code >= 300 {
					t.Errorf("%s is answered %d: %s", e.Name, rec.Code, rec.Body)
				}
			}
		}
	}
	if count[http.StatusAccepted] < 700 || strings.Contains(r.log.text(), "panic") {
		t.Errorf("answered %v\n%s", count, r.log.text())
	}
	t.Logf("answered %v", count)
}
