package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
)

func TestTokenReuseAfterRevocation(t *testing.T) {
	w := newWorld(t, knowing)
	made := decode[client.MadeToken](t, w.ask(http.MethodPost, "/v1/tokens", `{"name": "ci", "role": "viewer", "projects": ["*"]}`), http.StatusCreated)
	token := []string{"Authorization", "Bearer " + made.Secret}
	me := decode[client.Me](t, w.ask(http.MethodGet, "/v1/me", "", token...), http.StatusOK)
	if me.Via != "token" || me.ID != domain.Local || me.Roles[0] != (client.Role{Project: "*", Role: "viewer"}) {
		t.Errorf("me %+v", me)
	}
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", hello, token...), http.StatusForbidden)
	list := decode[client.TokenList](t, w.ask(http.MethodGet, "/v1/tokens", ""), http.StatusOK)
	if len(list.Tokens) != 1 || list.Tokens[0].ID != made.ID || list.Tokens[0].Used.IsZero() {
		t.Errorf("tokens %+v", list)
	}
	status(t, w.ask(http.MethodDelete, "/v1/tokens/"+made.ID, ""), http.StatusNoContent)
	refused(t, w.ask(http.MethodGet, "/v1/me", "", token...), http.StatusUnauthorized)
	refused(t, w.ask(http.MethodDelete, "/v1/tokens/"+made.ID, ""), http.StatusNotFound)
}

func TestExpiredToken(t *testing.T) {
	w := newWorld(t, knowing, func(w *world) { w.now = time.Now() })
	made := decode[client.MadeToken](t, w.ask(http.MethodPost, "/v1/tokens", `{"name": "ci", "role": "viewer", "projects": ["*"], "days": 1}`), http.StatusCreated)
	token := []string{"Authorization", "Bearer " + made.Secret}
	w.now = w.now.Add(24*time.Hour - time.Second)
	status(t, w.ask(http.MethodGet, "/v1/me", "", token...), http.StatusOK)
	w.now = w.now.Add(time.Second)
	refused(t, w.ask(http.MethodGet, "/v1/me", "", token...), http.StatusUnauthorized)
}

// TestTokensAreNoMoreThanTheirMakers, and make no others.
func TestTokensAreNoMoreThanTheirMakers(t *testing.T) {
	w := newWorld(t, withLogin)
	w.grant("ana", domain.Developer, "shop")
	ana := w.logIn("ana")
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"a greater role":  {`{"name": "t", "role": "admin", "projects": ["shop"]}`, http.StatusForbidden},
		"another project": {`{"name": "t", "role": "viewer", "projects": ["shop", "vault"]}`, http.StatusForbidden},
		"everything":      {`{"name": "t", "role": "viewer", "projects": ["*"]}`, http.StatusForbidden},
		"no project":      {`{"name": "t", "role": "viewer", "projects": []}`, http.StatusUnprocessableEntity},
		"for ever":        {`{"name": "t", "role": "viewer", "projects": ["shop"], "days": 366}`, http.StatusUnprocessableEntity},
		"a strange name":  {`{"name": "a\nb", "role": "viewer", "projects": ["shop"]}`, http.StatusUnprocessableEntity},
		"a strange star":  {`{"name": "t", "role": "viewer", "projects": ["sh*p"]}`, http.StatusUnprocessableEntity},
		"right":           {`{"name": "t", "role": "developer", "projects": ["shop"]}`, http.StatusCreated},
	} {
		if rec := ana.ask(http.MethodPost, "/v1/tokens", c.body); rec.Code != c.want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	made := decode[client.MadeToken](t, ana.ask(http.MethodPost, "/v1/tokens", `{"name": "t", "role": "developer", "projects": ["shop"]}`), http.StatusCreated)
	token := []string{"Authorization", "Bearer " + made.Secret}
	refused(t, w.ask(http.MethodPost, "/v1/tokens", `{"name": "u", "role": "viewer", "projects": ["shop"]}`, token...), http.StatusForbidden)
	status(t, w.ask(http.MethodPost, "/v1/pipelines", in("shop"), token...), http.StatusCreated)
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", in("vault"), token...), http.StatusForbidden)
	refused(t, w.ask(http.MethodPost, "/v1/pipelines", hello, token...), http.StatusForbidden) // of no project
}
