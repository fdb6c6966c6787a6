package gate_test

import (
	"testing"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/deploy/gate"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
	"github.com/relevo-ci/relevo/shared/state"
)

func TestFixed(t *testing.T) {
	p, err := gate.Fixed(config.Access{
		Admins: config.List{"Ana@x.org", "group:ops"},
		Grants: config.List{"group:dev=developer@github/acme/*", "user:bob@x.org=viewer@*", "group:a=b=operator@shop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		subject domain.Subject
		what    domain.Permission
		project string
		want    bool
	}{
		{"user:ana@x.org", domain.ManageAccess, "", true},
		{"group:ops", domain.ManageAccess, "any", true},
		{"group:dev", domain.Run, "github/acme/shop", true},
		{"group:dev", domain.Run, "github/other/shop", false},
		{"user:bob@x.org", domain.View, "", true},
		{"user:bob@x.org", domain.Run, "", false},
		{"group:a=b", domain.Approve, "shop", true},
		{"user:eve@x.org", domain.View, "shop", false},
	} {
		if got := domain.Allowed(p.Of([]domain.Subject{c.subject}), c.what, c.project); got != c.want {
			t.Errorf("%s, %s in %q: %v", c.subject, c.what, c.project, got)
		}
	}
	for _, bad := range []string{"ops", "group:ops", "group:ops=root@*", "group:ops=admin", "group:ops=admin@", "x=admin@*", "group:ops=admin@a*"} {
		if _, err := gate.Fixed(config.Access{Grants: config.List{bad}}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestOpen(t *testing.T) {
	c, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	a, err := gate.Open(c, &state.Access{}, &state.Audit{})
	if err != nil || a.Login != nil || a.Store.Life != c.Access.Session || a.Audit.Keep != c.Access.Audit {
		t.Fatalf("%+v, %v", a, err)
	}
	c.OIDC.Issuer = "https://id.example"
	if a, err = gate.Open(c, &state.Access{}, &state.Audit{}); err != nil || a.Login == nil {
		t.Errorf("with a provider: %+v, %v", a, err)
	}
	if !a.Allowed(domain.All(domain.Viewer), domain.View, "x") || a.Allowed(domain.All(domain.Viewer), domain.Run, "x") {
		t.Error("the policy decides otherwise")
	}
}
