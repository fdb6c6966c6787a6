package access_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/relevo-ci/relevo/shared/access"
	domain "github.com/relevo-ci/relevo/shared/domain/access"
)

// TestPolicyIsTheDomainsTable holds casbin's answers equal to the domain's, for
// every role, scope, project and permission, and for what is none.
func TestPolicyIsTheDomainsTable(t *testing.T) {
	p, err := access.NewPolicy()
	if err != nil {
		t.Fatal(err)
	}
	what := []domain.Permission{"", "fly", "viewer"}
	for _, r := range domain.Rules() {
		what = append(what, r.Permission)
	}
	roles := append(domain.Roles(), "", "root", "*", "view")
	asked, yes := 0, 0
	for _, role := range roles {
		for _, scope := range []domain.Scope{"*", "a/*", "a/b", "a/b/*", "", "a*", "/*"} {
			for _, project := range []string{"", "a", "a/", "a/b", "a/b/c", "a/bc", "b", "*", "a/*"} {
				for _, permission := range what {
					list := []domain.Binding{{Scope: scope, Role: role}}
					got, want := p.Allowed(list, permission, project), domain.Allowed(list, permission, project)
					if got != want {
						t.Errorf("%q in %q: %q in %q is %v, the domain says %v", role, scope, permission, project, got, want)
					}
					if asked++; got {
						yes++
					}
				}
			}
		}
	}
	if yes == 0 || yes == asked {
		t.Errorf("%d of %d are allowed", yes, asked)
	}
	two := []domain.Binding{{Scope: "a", Role: domain.Viewer}, {Scope: "b", Role: domain.Admin}}
	if !p.Allowed(two, domain.View, "a") || p.Allowed(two, domain.Run, "a") || !p.Allowed(two, domain.Run, "b") {
		t.Error("one binding's role counts in another's project")
	}
}

func TestPolicyOfManyAtOnce(t *testing.T) {
	p, err := access.NewPolicy()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				if !p.Allowed(domain.All(domain.Admin), domain.ManageAccess, strconv.Itoa(i)) {
					t.Error("refused")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkAllowed(b *testing.B) {
	p, err := access.NewPolicy()
	if err != nil {
		b.Fatal(err)
	}
	list := []domain.Binding{{Scope: "github/acme/*", Role: domain.Developer}}
	for b.Loop() {
		if !p.Allowed(list, domain.Run, "github/acme/shop") {
			b.Fatal("refused")
		}
	}
}
