package state_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/state"
)

var ana = access.Claims{Issuer: "https://id.example", Subject: "42", Email: "ana@x.org", Verified: true, Groups: []string{"core"}}

func grant(subject access.Subject, scope access.Scope, r access.Role) access.Grant {
	return access.Grant{Subject: subject, Binding: access.Binding{Scope: scope, Role: r}, By: "root"}
}

func secretOf(i byte) string { return access.Secret([access.SecretBytes]byte{i}) }

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestGrantsAreWhatSomebodyIsKnownBy(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Access{Committer: d.Committer}
		user := must[access.User](t)(a.LogIn(t.Context(), ana))
		fixed := &access.Policy{Grants: []access.Grant{grant("group:core", "docs", access.Viewer)}}
		for i, g := range []access.Grant{
			grant("user:ana@x.org", "shop", access.Developer), grant("group:core", "*", access.Viewer), grant("user:bob@x.org", "*", access.Admin),
		} {
			res := must[state.Result](t)(a.Grant(t.Context(), g))
			if len(res.Emitted) != 1 || res.Emitted[0].Type != events.TypeAuthGranted {
				t.Errorf("grant %d told %v", i, res.Emitted)
			}
			if res := must[state.Result](t)(a.Grant(t.Context(), g)); len(res.Emitted) != 0 {
				t.Errorf("grant %d told twice: %v", i, res.Emitted)
			}
		}
		want := []access.Binding{{Scope: "docs", Role: access.Viewer}, {Scope: "*", Role: access.Viewer}, {Scope: "shop", Role: access.Developer}}
		if known := must[state.Known](t)(a.Known(t.Context(), user.ID, fixed)); !slices.Equal(known.Bindings, want) || known.User.Email != "ana@x.org" {
			t.Errorf("known as %+v", known)
		}
		res := must[state.Result](t)(a.Revoke(t.Context(), "user:ana@x.org", "shop", "root"))
		if len(res.Emitted) != 1 || res.Emitted[0].Type != events.TypeAuthRevoked {
			t.Errorf("revoking told %v", res.Emitted)
		}
		if known := must[state.Known](t)(a.Known(t.Context(), user.ID, fixed)); !slices.Equal(known.Bindings, want[:2]) {
			t.Errorf("after that it is revoked: %+v", known.Bindings)
		}
		if _, err := a.Revoke(t.Context(), "user:ana@x.org", "shop", "root"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("revoked twice: %v", err)
		}
		if _, err := a.Known(t.Context(), "u-nobody", fixed); !errors.Is(err, state.ErrNoAccess) {
			t.Errorf("nobody is known: %v", err)
		}
	})
}

// TestRevokedElsewhereCountsSoon: another process's cache of grants is over in
// PolicyAge.
func TestRevokedElsewhereCountsSoon(t *testing.T) {
	d := inMemory()
	here, there := &state.Access{Committer: d.Committer}, &state.Access{Committer: &state.Committer{Store: d.store}}
	user := must[access.User](t)(here.LogIn(t.Context(), ana))
	must[state.Result](t)(here.Grant(t.Context(), grant("user:ana@x.org", "*", access.Admin)))
	must[state.Known](t)(there.Known(t.Context(), user.ID, &access.Policy{})) // keeps the grants
	must[state.Result](t)(here.Revoke(t.Context(), "user:ana@x.org", "*", "root"))
	d.pass(state.PolicyAge)
	if known := must[state.Known](t)(there.Known(t.Context(), user.ID, &access.Policy{})); len(known.Bindings) != 0 {
		t.Errorf("still %v", known.Bindings)
	}
}

func TestTokensOfTheStore(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Access{Committer: d.Committer}
		all := access.All(access.Operator)
		ask := access.Token{Name: "ci", Maker: "u-1", Role: access.Developer, Scopes: []access.Scope{"*"}}
		made, res, err := a.MakeToken(t.Context(), secretOf(1), ask, 0, all)
		if err != nil || len(res.Emitted) != 1 {
			t.Fatal(made, res, err)
		}
		got := must[access.Token](t)(a.Token(t.Context(), secretOf(1)))
		if got.ID != made.ID || got.Used.IsZero() {
			t.Errorf("token %+v", got)
		}
		for name, secret := range map[string]string{"another": secretOf(2), "none": "", "cut": secretOf(1)[:62]} {
			if _, err := a.Token(t.Context(), secret); !errors.Is(err, state.ErrNoAccess) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ask.Role = access.Admin
		if _, _, err := a.MakeToken(t.Context(), secretOf(3), ask, 0, all); !errors.Is(err, access.ErrBeyond) || fn.KindOf(err) != fn.Invalid {
			t.Errorf("beyond its maker: %v", err)
		}
		if _, err := a.RevokeToken(t.Context(), made.ID, "u-2", "bob"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("another's token: %v", err)
		}
		if list := must[[]access.Token](t)(a.Tokens(t.Context(), "u-1")); len(list) != 1 || list[0].ID != made.ID {
			t.Errorf("list %v", list)
		}
		if list := must[[]access.Token](t)(a.Tokens(t.Context(), "u-2")); len(list) != 0 {
			t.Errorf("another's list %v", list)
		}
		must[state.Result](t)(a.RevokeToken(t.Context(), made.ID, "u-1", "ana"))
		if _, err := a.Token(t.Context(), secretOf(1)); !errors.Is(err, state.ErrNoAccess) {
			t.Errorf("revoked, and still good: %v", err)
		}
	})
}

// TestSecretsAreNotStored reads all that is stored of a token and a session.
func TestSecretsAreNotStored(t *testing.T) {
	d := inMemory()
	a := &state.Access{Committer: d.Committer}
	ask := access.Token{Name: "ci", Maker: "u-1", Role: access.Viewer, Scopes: []access.Scope{"*"}}
	if _, _, err := a.MakeToken(t.Context(), secretOf(1), ask, 0, access.All(access.Admin)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Open(t.Context(), "the session's secret", "u-1"); err != nil {
		t.Fatal(err)
	}
	ps := must[[]protocol.Partition](t)(d.store.Partitions(t.Context()))
	seen := 0
	for _, p := range ps {
		for _, kind := range []string{"token", "session"} {
			for _, doc := range must[[]protocol.Doc](t)(d.store.List(t.Context(), p, kind)) {
				seen++
				if s := string(doc.ID) + string(doc.Body); strings.Contains(s, secretOf(1)[4:]) || strings.Contains(s, "the session's") {
					t.Errorf("the secret stands in %s", s)
				}
			}
		}
		for _, r := range must[[]protocol.Record](t)(d.store.Ledger(t.Context(), p, "", 100)) {
			for _, e := range r.Emitted {
				if s := e.Subject + string(e.Data); strings.Contains(s, secretOf(1)[4:]) || strings.Contains(s, "the session's") {
					t.Errorf("the secret stands in the ledger: %s", s)
				}
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d documents", seen)
	}
}

// TestTheClockEndsTokensAndSessions: what ended is refused at once, and dropped
// by its due entry.
func TestTheClockEndsTokensAndSessions(t *testing.T) {
	d := inMemory()
	a := &state.Access{Committer: d.Committer, Life: time.Hour}
	ask := access.Token{Name: "ci", Maker: "u-1", Role: access.Viewer, Scopes: []access.Scope{"*"}}
	if _, _, err := a.MakeToken(t.Context(), secretOf(1), ask, time.Hour, access.All(access.Admin)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Open(t.Context(), "s", "u-1"); err != nil {
		t.Fatal(err)
	}
	must[access.Session](t)(a.Session(t.Context(), "s"))
	d.pass(time.Hour)
	if _, err := a.Session(t.Context(), "s"); !errors.Is(err, state.ErrNoAccess) {
		t.Errorf("session: %v", err)
	}
	if _, err := a.Token(t.Context(), secretOf(1)); !errors.Is(err, state.ErrNoAccess) {
		t.Errorf("token: %v", err)
	}
	ps := must[[]protocol.Partition](t)(d.store.Partitions(t.Context()))
	due, _, err := d.store.Overdue(t.Context(), ps, 10)
	if err != nil || len(due) != 2 {
		t.Fatal(due, err)
	}
	for _, e := range due {
		res := must[state.Result](t)(a.Fire(t.Context(), e.Partition, e.Name))
		if len(res.Emitted) != 1 || !strings.Contains(string(res.Emitted[0].Data), `"expired"`) {
			t.Errorf("%s told %v", e.Name, res.Emitted)
		}
	}
	if due, next, err := d.store.Overdue(t.Context(), ps, 10); err != nil || len(due) != 0 || !next.IsZero() {
		t.Errorf("left: %v, %v, %v", due, next, err)
	}
}

func TestSessionsEnd(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Access{Committer: d.Committer}
		user := must[access.User](t)(a.LogIn(t.Context(), ana))
		if _, _, err := a.Open(t.Context(), "one", user.ID); err != nil {
			t.Fatal(err)
		}
		must[state.Result](t)(a.Close(t.Context(), "one"))
		if _, err := a.Session(t.Context(), "one"); !errors.Is(err, state.ErrNoAccess) {
			t.Errorf("closed: %v", err)
		}
		must[state.Result](t)(a.Close(t.Context(), "one")) // once more
		must[state.Result](t)(a.SignOut(t.Context(), user.ID, "root"))
		if known := must[state.Known](t)(a.Known(t.Context(), user.ID, &access.Policy{})); known.User.Out.IsZero() {
			t.Error("sessions until now are not ended")
		}
	})
}

// TestOneKey: of two processes that begin at once, both get one key.
func TestOneKey(t *testing.T) {
	d := inMemory()
	a := &state.Access{Committer: d.Committer}
	first := must[[]byte](t)(a.Key(t.Context(), []byte("first")))
	second := must[[]byte](t)(a.Key(t.Context(), []byte("second")))
	if string(first) != "first" || string(second) != "first" {
		t.Errorf("%s, %s", first, second)
	}
}

// TestLinksLetInOnce: of many that try a link at once one is let in, as whom it
// is for.
func TestLinksLetInOnce(t *testing.T) {
	onStores(t, func(t *testing.T, d *door) {
		a := &state.Access{Committer: d.Committer}
		if _, _, err := a.MakeLink(t.Context(), "code", access.Local); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.TakeLink(t.Context(), "cod"); fn.KindOf(err) != fn.NotFound {
			t.Errorf("another code: %v", err)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		in := 0
		for range 10 {
			wg.Go(func() {
				user, _, err := a.TakeLink(t.Context(), "code")
				mu.Lock()
				defer mu.Unlock()
				if err == nil && user == access.Local {
					in++
				} else if fn.KindOf(err) != fn.NotFound {
					t.Errorf("%q, %v", user, err)
				}
			})
		}
		wg.Wait()
		if in != 1 {
			t.Errorf("%d were let in", in)
		}
	})
}

func TestLinksEnd(t *testing.T) {
	d := inMemory()
	a := &state.Access{Committer: d.Committer}
	if _, _, err := a.MakeLink(t.Context(), "code", access.Local); err != nil {
		t.Fatal(err)
	}
	d.pass(10 * time.Minute)
	if user, _, err := a.TakeLink(t.Context(), "code"); fn.KindOf(err) != fn.NotFound {
		t.Errorf("after ten minutes: %q, %v", user, err)
	}
}
