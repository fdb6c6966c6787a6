package forges

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/protocol"
)

const (
	// deployKey is the secret that pipelines name, and noUntrusted an
	// installation without a pool for strangers' jobs.
	deployKey   = "canary-d3ploy-key"
	noUntrusted = "no untrusted pool"
)

var workerKey = []byte("key of the workers")

// everybody is what was logged by whoever has no logger of a rig's.
var everybody journal

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(&everybody, nil)))
	os.Exit(m.Run())
}

// had is what the worker of a run was given: the pool that its job waited in,
// the secret, and git's credential or why there is none.
type had struct {
	pool        events.PoolID
	secret, git string
	noGit       string
}

// vault is a folder of secrets.
func (r *rig) vault() string {
	r.t.Helper()
	dir := r.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "DEPLOY_KEY"), []byte(deployKey+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return dir
}

// ask is what an agent asks once it was let in, with the token of its attempt.
func (r *rig) ask(l execution.Launch) {
	body, err := json.Marshal(execution.SecretsRequest{AttemptRef: l.AttemptRef, Worker: l.Worker, Nonce: "n"})
	if err != nil {
		r.t.Error(err)
		return
	}
	q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/worker/secrets", bytes.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+l.Token)
	rec := httptest.NewRecorder()
	worker.New(r.host.Deps.Reports, workerKey).HTTP.ServeHTTP(rec, q)
	if rec.Code == http.StatusGone || r.t.Context().Err() != nil {
		return // it was cancelled meanwhile
	}
	var known execution.Secrets
	if err := json.Unmarshal(rec.Body.Bytes(), &known); rec.Code != http.StatusOK || err != nil {
		r.t.Errorf("a worker that asks is answered %d: %s", rec.Code, rec.Body)
		return
	}
	h := had{pool: l.Pool, secret: known.Values["DEPLOY_KEY"], noGit: known.NoGit}
	if known.Git != nil {
		h.git = known.Git.Password
	}
	for name, value := range known.Values {
		if name != "DEPLOY_KEY" {
			r.t.Errorf("it is told %s=%s besides", name, value)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.had[l.Run] = h
}

// given waits until the worker of a run has asked.
func (r *rig) given(run events.RunID) had {
	r.t.Helper()
	var h had
	r.eventually("the worker of "+string(run)+" asks", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		var ok bool
		h, ok = r.had[run]
		return ok
	})
	return h
}

// spy is a store that keeps all that anybody ever wrote into it.
type spy struct {
	protocol.Store
	mu      sync.Mutex
	written strings.Builder
}

func (s *spy) Commit(ctx context.Context, c protocol.Commit) (protocol.Receipt, error) {
	s.mu.Lock()
	fmt.Fprintf(&s.written, "%s %s\n", c.Partition, c.Inbox)
	for _, d := range c.Puts {
		fmt.Fprintf(&s.written, "%s %s\n", d.ID, d.Body)
	}
	for _, d := range c.Due {
		fmt.Fprintln(&s.written, d.Name)
	}
	for _, q := range c.Queue {
		fmt.Fprintln(&s.written, q.Member)
	}
	for _, es := range [][]events.Envelope{c.Absorbed, c.Emitted} {
		for _, e := range es {
			text, err := json.Marshal(e)
			fmt.Fprintf(&s.written, "%s %v\n", text, err)
		}
	}
	s.mu.Unlock()
	return s.Store.Commit(ctx, c)
}

// clean holds that no secret stands in anything that was ever stored, sent or
// logged: no key and no value.
func (r *rig) clean() {
	r.t.Helper()
	r.store.mu.Lock()
	stored := r.store.written.String()
	r.store.mu.Unlock()
	if !strings.Contains(stored, events.DeliveryRef{}.Subject()) {
		r.t.Error("the spy sees nothing")
	}
	for _, word := range []string{deployKey, secret, old, r.server.Token, string(workerKey)} {
		for where, text := range map[string]string{"the store": stored, "the log": r.log.text(), "the process's log": everybody.text()} {
			if at := strings.Index(text, word); at >= 0 {
				r.t.Errorf("%s has a secret: …%s…", where, text[max(0, at-80):at+len(word)])
			}
		}
	}
}

// journal is all that was logged.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}
