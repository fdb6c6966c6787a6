package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
)

func TestARepeatedSubmissionIsTheSameRun(t *testing.T) {
	w := newWorld(t)
	const other = `{"source": "jobs:\n  build:\n    steps:\n    - run: echo other\n"}`
	first := w.submit(hello, "Idempotency-Key", "k1")
	if again := w.submit(hello, "Idempotency-Key", "k1"); again != first {
		t.Errorf("run %s, then %s", first, again)
	}
	if second := w.submit(hello, "Idempotency-Key", "k2"); second == first {
		t.Error("another key, the same run")
	}
	if a, b := w.submit(hello), w.submit(hello); a == b {
		t.Error("no key, the same run")
	}
	p := refused(t, w.ask(http.MethodPost, "/v1/pipelines", other, "Idempotency-Key", "k1"), http.StatusUnprocessableEntity)
	if p.Type != client.ProblemKey {
		t.Errorf("problem %+v", p)
	}
	list := decode[client.RunList](t, w.ask(http.MethodGet, "/v1/pipelines", ""), http.StatusOK)
	if len(list.Runs) != 4 {
		t.Errorf("%d runs, want 4", len(list.Runs))
	}
	for _, bad := range []string{"two words", strings.Repeat("k", 256)} {
		refused(t, w.ask(http.MethodPost, "/v1/pipelines", hello, "Idempotency-Key", bad), http.StatusUnprocessableEntity)
	}
}

// A run that moved on meanwhile is still the answer to its request.
func TestARepeatAfterTheRunEnded(t *testing.T) {
	w := newWorld(t)
	w.node("n1", 1)
	const body = `{"run": "echo <&>", "trigger": {"payload": {"z": 1.50, "a": {}}}}`
	ask := func() client.Accepted {
		return decode[client.Accepted](t, w.ask(http.MethodPost, "/v1/jobs", body, "Idempotency-Key", "k"), http.StatusCreated)
	}
	first := ask()
	w.finish(0, "done\n")
	if again := ask(); again.ID != first.ID {
		t.Errorf("%s, then %s", first.ID, again.ID)
	}
	if len(w.launches) != 1 {
		t.Errorf("%d workers for one run", len(w.launches))
	}
}

// Whoever of several is first, all have the same answer.
func TestRepeatsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	var ids sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ids.Store(w.ask(http.MethodPost, "/v1/pipelines", hello, "Idempotency-Key", "k").Body.String(), true)
		})
	}
	wg.Wait()
	answers := 0
	ids.Range(func(any, any) bool { answers++; return true })
	if answers != 1 {
		t.Errorf("%d answers to one request", answers)
	}
}

func TestKeysOfTwoCallersAreApart(t *testing.T) {
	local := newWorld(t).submit(hello, "Idempotency-Key", "k")
	w := newWorld(t, func(w *world) { w.api.Token = "token" })
	if id := w.submit(hello, "Idempotency-Key", "k", "Authorization", "Bearer token"); id == local {
		t.Error("the key of another caller gives the same run")
	}
}
