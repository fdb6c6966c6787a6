package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/forgetest"
	"github.com/relevo-ci/relevo/shared/secrets"
	"github.com/relevo-ci/relevo/shared/workers"
)

var key = []byte("key")

// vault has what runs may know, and counts who asks.
type vault struct {
	asked    []string
	scoped   bool // the credential is for one repository
	err, git error
}

func (v *vault) Values(context.Context, events.Trigger) (map[string]string, error) {
	v.asked = append(v.asked, "values")
	return map[string]string{"DEPLOY_KEY": "hunter2", "OTHER": "hunter3"}, v.err
}

func (v *vault) Credential(_ context.Context, t events.Trigger, scoped bool) (execution.Credential, error) {
	v.asked = append(v.asked, "credential")
	if scoped && !v.scoped {
		return execution.Credential{}, fn.Faultf(fn.Denied, "it is of a fork")
	}
	return execution.Credential{Server: "https://forge", User: "u", Password: "pw of " + t.Repository}, v.git
}

// graph has a job that names the secret DEPLOY_KEY and checks out.
func graph() pipeline.Spec {
	secret := &expression.Node{Op: expression.Prop, Name: "deploy_key", Args: []*expression.Node{{Op: expression.Var, Name: "secrets"}}}
	return pipeline.Spec{Jobs: []pipeline.JobSpec{{ID: "a", Key: "a", Name: expression.Text("a"), Steps: []pipeline.StepSpec{
		{Uses: "checkout", Checkout: &pipeline.Checkout{}},
		{Run: expression.Template{Parts: []expression.Part{{Expr: secret}}}},
	}}}}
}

func (r *rig) ask(s *worker.Reports, q execution.SecretsRequest, token string) (int, execution.Secrets, string) {
	r.t.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		r.t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/worker/secrets", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	worker.New(s, key).HTTP.ServeHTTP(w, req)
	var known execution.Secrets
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &known); err != nil {
			r.t.Fatal(err)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			r.t.Error("the answer may be stored")
		}
	}
	return w.Code, known, w.Body.String()
}

// TestSecretsAreForTheWorkerThatWasLetIn, and for no other: before its hello,
// under another nonce, fence or name, after its end. It may ask again.
func TestSecretsAreForTheWorkerThatWasLetIn(t *testing.T) {
	r := newRigOf(t, events.Trigger{}, graph())
	v := &vault{}
	s := r.process()
	s.Secrets = v
	q := execution.SecretsRequest{AttemptRef: r.ref, Worker: "w", Nonce: "n"}
	token := func(q execution.SecretsRequest) string { return workers.Token(key, q.AttemptRef, q.Worker) }
	refused := func(what string, want int, q execution.SecretsRequest, token string) {
		t.Helper()
		if code, _, body := r.ask(s, q, token); code != want || strings.Contains(body, "hunter") || len(v.asked) > 0 {
			t.Errorf("%s: %d %s, want %d; asked %v", what, code, body, want, v.asked)
		}
	}
	refused("before the hello", http.StatusGone, q, token(q))
	r.report(s, 0, "")
	other := q
	other.Nonce = "m"
	refused("a second worker", http.StatusGone, other, token(other))
	other = q
	other.Worker = "v"
	refused("another worker", http.StatusGone, other, token(other))
	other = q
	other.Fence.Counter++
	refused("another fence", http.StatusGone, other, token(other))
	other = q
	other.Run = "01JABCDEFGHJKMNPQRSTVWXYZ1"
	refused("no such run", http.StatusGone, other, token(other))
	refused("a wrong token", http.StatusUnauthorized, q, token(other))
	for range 2 {
		code, known, body := r.ask(s, q, token(q))
		want := execution.Secrets{Values: map[string]string{"DEPLOY_KEY": "hunter2"}, NoGit: "no forge started it"}
		if code != http.StatusOK || !reflect.DeepEqual(known, want) {
			t.Errorf("%d %s", code, body)
		}
	}
	v.asked = nil
	if _, err := r.runs.Change(t.Context(), "test", events.Envelope{ID: "end"}, run, func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.End(em, events.JobEnded{AttemptRef: r.ref, Verdict: events.Succeeded})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused("after the end", http.StatusGone, q, token(q))
}

// TestWhoMayKnowWhat is the table of runs and of what the vault has.
func TestWhoMayKnowWhat(t *testing.T) {
	of := events.Trigger{Forge: "github", Repository: "o/r", Clone: "https://forge/o/r.git"}
	fork := of
	fork.Untrusted = true
	credential := &execution.Credential{Server: "https://forge", User: "u", Password: "pw of o/r"}
	values := map[string]string{"DEPLOY_KEY": "hunter2"}
	for name, c := range map[string]struct {
		trigger events.Trigger
		vault   *vault
		spoil   func(*pipeline.Spec)
		want    execution.Secrets
		code    int
		asked   string
	}{
		"a trusted run":      {of, &vault{}, nil, execution.Secrets{Values: values, Git: credential}, 200, "values credential"},
		"a fork":             {fork, &vault{}, nil, execution.Secrets{NoGit: "it is of a fork"}, 200, "credential"},
		"a fork, scoped":     {fork, &vault{scoped: true}, nil, execution.Secrets{Git: credential}, 200, "credential"},
		"no vault":           {of, nil, nil, execution.Secrets{NoGit: "this installation has none"}, 200, ""},
		"the vault is shut":  {of, &vault{err: errors.New("no disk")}, nil, execution.Secrets{}, 503, "values"},
		"the forge is away":  {of, &vault{git: errors.New("502")}, nil, execution.Secrets{}, 503, "values credential"},
		"the forge says no":  {of, &vault{git: fn.Faultf(fn.Denied, "no")}, nil, execution.Secrets{Values: values, NoGit: "no"}, 200, "values credential"},
		"no such repository": {of, &vault{git: fn.Faultf(fn.NotFound, "none")}, nil, execution.Secrets{Values: values, NoGit: "none"}, 200, "values credential"},
		"it names no secret": {of, &vault{}, func(s *pipeline.Spec) { s.Jobs[0].Steps[1].Run = expression.Text("x") }, execution.Secrets{Git: credential}, 200, "credential"},
		"it fetches nothing": {of, &vault{}, func(s *pipeline.Spec) { s.Jobs[0].Steps[0].Checkout = nil }, execution.Secrets{Values: values}, 200, "values"},
		"it reads all of them": {of, &vault{}, func(s *pipeline.Spec) {
			s.Env = []pipeline.EnvVar{{Name: "ALL", Value: expression.Template{Parts: []expression.Part{{Expr: &expression.Node{
				Op: expression.Call, Name: "toJSON", Args: []*expression.Node{{Op: expression.Var, Name: "secrets"}},
			}}}}}}
		}, execution.Secrets{Values: map[string]string{"DEPLOY_KEY": "hunter2", "OTHER": "hunter3"}, Git: credential}, 200, "values credential"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := graph()
			if c.spoil != nil {
				c.spoil(&spec)
			}
			r := newRigOf(t, c.trigger, spec)
			s := r.process()
			if c.vault != nil {
				s.Secrets = c.vault
			}
			r.report(s, 0, "")
			q := execution.SecretsRequest{AttemptRef: r.ref, Worker: "w", Nonce: "n"}
			code, known, body := r.ask(s, q, workers.Token(key, r.ref, "w"))
			if code != c.code || !reflect.DeepEqual(known, c.want) {
				t.Errorf("%d %s, want %d %+v", code, body, c.code, c.want)
			}
			if c.vault != nil && strings.Join(c.vault.asked, " ") != c.asked {
				t.Errorf("asked %v, want %s", c.vault.asked, c.asked)
			}
		})
	}
}

// TestCredentialOfAnApp: with a GitHub App a fork's run of a private repository is
// told a credential that reads that one repository.
func TestCredentialOfAnApp(t *testing.T) {
	server := forgetest.New(t, forge.GitHub)
	server.Install()
	server.Add("o/r", t.TempDir())
	hub, err := forge.New(server.Settings())
	if err != nil {
		t.Fatal(err)
	}
	source := secrets.Source{Forge: func(ctx context.Context, _, repository string) (secrets.Credential, error) {
		c, err := hub.Credential(ctx, repository)
		return secrets.Credential{Host: c.Host, User: c.User, Password: c.Password, Scoped: c.Scoped, Until: c.Until}, err
	}}
	for _, untrusted := range []bool{false, true} {
		r := newRigOf(t, events.Trigger{Forge: "github", Repository: "o/r", Clone: server.Clone("o/r"), Untrusted: untrusted}, graph())
		s := r.process()
		s.Secrets = source
		r.report(s, 0, "")
		code, known, body := r.ask(s, execution.SecretsRequest{AttemptRef: r.ref, Worker: "w", Nonce: "n"}, workers.Token(key, r.ref, "w"))
		if code != http.StatusOK || known.Git == nil || known.Git.Server != server.URL || known.Git.Until.IsZero() || !strings.HasPrefix(known.Git.Password, "ghs_") || len(known.Values) > 0 {
			t.Errorf("untrusted %v: %d %s", untrusted, code, body)
		}
	}
	if all := server.Issued(); len(all) != 1 || !reflect.DeepEqual(all[0].Permissions, map[string]string{"contents": "read"}) || !reflect.DeepEqual(all[0].Repositories, []string{"o/r"}) {
		t.Errorf("tokens %+v", all)
	}
}

// TestForksEmitNothing that others would take for the repository's own.
func TestForksEmitNothing(t *testing.T) {
	r := newRigOf(t, events.Trigger{Untrusted: true}, graph())
	s := r.process()
	r.report(s, 0, "", execution.StepEvent{ID: "s", Result: &events.StepResult{ID: "s"}, Emitted: &execution.Emitted{Index: 1, Type: "a.b"}})
	stored, _, err := r.runs.Load(t.Context(), run)
	if err != nil || stored.Job("a").Current().Emitted != 0 {
		t.Errorf("%+v, %v", stored.Job("a").Current(), err)
	}
}

// TestEmittedEventsAreCommittedOnce: they come again when an answer was lost; a
// later attempt's are others.
func TestEmittedEventsAreCommittedOnce(t *testing.T) {
	r := newRig(t)
	var told []events.Event[events.EventEmitted]
	s := r.process()
	s.Publish = func(_ context.Context, es []events.Envelope) error {
		for _, e := range es {
			if e.Type == events.TypeEventEmitted {
				d, err := events.Decode[events.EventEmitted](e)
				if err != nil {
					return err
				}
				told = append(told, d)
			}
		}
		return nil
	}
	emit := func(index int, typ string) execution.StepEvent {
		return execution.StepEvent{
			Index: index, ID: "s", At: r.now, Result: &events.StepResult{ID: "s", Outcome: "success", Conclusion: "success"},
			Emitted: &execution.Emitted{Index: index, Type: typ, Subject: "x", Data: json.RawMessage(`{"a":1}`)},
		}
	}
	for range 2 {
		r.report(s, 0, "", emit(1, "com.example.a"), emit(2, "com.example.b"))
	}
	r.report(s, 0, "", emit(3, "dev.relevo.pipeline.run.completed.v1"), emit(2, "com.example.late"))
	if len(told) != 2 || told[0].Data.Name != "com.example.a" || told[1].Data.Name != "com.example.b" || told[0].ID == told[1].ID {
		t.Fatalf("told %+v", told)
	}
	d := told[1].Data
	if d.AttemptRef != r.ref || d.Index != 2 || d.About != "x" || string(d.Content) != `{"a":1}` || told[1].CauseID == "" || told[1].Sequence == 0 {
		t.Errorf("%+v", told[1])
	}
	stored, _, err := r.runs.Load(t.Context(), run)
	if err != nil || stored.Job("a").Current().Emitted != 2 {
		t.Errorf("%v, %v", stored.Job("a").Current(), err)
	}
	if _, err := r.runs.Change(t.Context(), "test", events.Envelope{ID: "cancel"}, run, func(run *pipeline.Run, em *events.Emitter, _ uint32) error {
		run.Cancel(em, events.Envelope{ID: "cancel", Source: "/test", Type: events.TypeCancelRequested}, events.CancelRequested{RunRef: events.RunRef{Run: run.ID}, Reason: "x"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.report(s, 0, "", emit(3, "com.example.c"))
	if len(told) != 2 {
		t.Errorf("after a cancel: %+v", told[2:])
	}
}
