package access_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/access"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestTheTable spells the table out once more: a change of it is a change of
// what people may do.
func TestTheTable(t *testing.T) {
	want := map[access.Permission]string{ // of viewer, developer, operator, admin
		access.Authenticated: "vdoa", access.View: "vdoa", access.ManageTokens: "vdoa",
		access.Run: "doa", access.Retry: "doa", access.Cancel: "doa", access.SendEvents: "doa",
		access.Approve: "oa", access.ReplayTrigger: "oa", access.ViewLetters: "oa", access.ReplayLetters: "oa",
		access.ReadAudit: "oa", access.Rebuild: "oa", access.ManageAccess: "a",
	}
	for _, rule := range access.Rules() {
		got := ""
		for _, r := range access.Roles() {
			if r.Allows(rule.Permission) {
				got += string(r[0])
			}
		}
		if got != want[rule.Permission] {
			t.Errorf("%s: %s, want %s", rule.Permission, got, want[rule.Permission])
		}
		delete(want, rule.Permission)
		if rule.Doc == "" {
			t.Errorf("%s says nothing", rule.Permission)
		}
		if access.Role("root").Allows(rule.Permission) && rule.Least != "" {
			t.Errorf("%s: of no role", rule.Permission)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the table: %v", want)
	}
	if access.Admin.Allows("fly") {
		t.Error("what the table does not know is allowed")
	}
}

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		scope   access.Scope
		project string
		covers  bool
	}{
		{"*", "", true},
		{"*", "github/acme/shop", true},
		{"github/acme/*", "github/acme/shop", true},
		{"github/acme/*", "github/acme/", false},
		{"github/acme/*", "github/acme", false},
		{"github/acme/*", "github/acmeshop", false},
		{"github/acme/*", "", false},
		{"shop", "shop", true},
		{"shop", "shop2", false},
		{"shop", "Shop", false},
		{"shop", "", false},
		{"", "", false},
	} {
		if got := c.scope.Covers(c.project); got != c.covers {
			t.Errorf("%q covers %q: %v", c.scope, c.project, got)
		}
	}
	for _, c := range []struct {
		inner, outer access.Scope
		within       bool
	}{
		{"*", "*", true},
		{"a/*", "*", true},
		{"a", "*", true},
		{"*", "a/*", false},
		{"*", "a", false},
		{"a/b", "a/*", true},
		{"a/b/*", "a/*", true},
		{"a/*", "a/b/*", false},
		{"a/*", "a/*", true},
		{"ab", "a/*", false},
		{"a", "a", true},
		{"a", "b", false},
		{"a/*", "a/b", false},
	} {
		if got := c.inner.Within(c.outer); got != c.within {
			t.Errorf("%q within %q: %v", c.inner, c.outer, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"*", "a", "a/*", "a*", "/*", "**", "*/a", "", "a b", "a/\x00"} {
		f.Add(s, "a/b")
	}
	f.Fuzz(func(t *testing.T, s, project string) {
		scope, err := access.ParseScope(s)
		if err != nil {
			return
		}
		if string(scope) != s || s == "" {
			t.Errorf("%q became %q", s, scope)
		}
		if !scope.Within(access.Everything) || !scope.Within(scope) {
			t.Errorf("%q is not within itself", s)
		}
		if scope != access.Everything && scope.Covers("") {
			t.Errorf("%q covers what has no project", s)
		}
		// What a scope covers, a project's own name within it covers too.
		if !strings.Contains(project, "*") && project != "" && access.Scope(project).Within(scope) != scope.Covers(project) {
			t.Errorf("%q and %q: within and covers differ", project, scope)
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"user:Ana@Example.com", "group:Core Team", "user:", "group:", "root", "user:a b", "user:\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		subject, err := access.ParseSubject(s)
		if err != nil {
			return
		}
		if again, err := access.ParseSubject(string(subject)); err != nil || again != subject {
			t.Errorf("%q: %q, then %q, %v", s, subject, again, err)
		}
	})
}

func TestPolicy(t *testing.T) {
	p := &access.Policy{}
	set := func(subject access.Subject, scope access.Scope, r access.Role) bool {
		t.Helper()
		changed, err := p.Set(access.Grant{Subject: subject, Binding: access.Binding{Scope: scope, Role: r}})
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if !set("user:ana@x.org", "shop", access.Viewer) || set("user:ana@x.org", "shop", access.Viewer) ||
		!set("user:ana@x.org", "shop", access.Developer) || !set("group:ops", "*", access.Operator) {
		t.Error("what changes and what does not")
	}
	ana := p.Of([]access.Subject{"user:ana@x.org"})
	if !slices.Equal(ana, []access.Binding{{Scope: "shop", Role: access.Developer}}) {
		t.Errorf("ana has %v", ana)
	}
	for _, c := range []struct {
		p       access.Permission
		project string
		want    bool
	}{
		{access.Run, "shop", true},
		{access.Run, "other", false},
		{access.Approve, "shop", false},
		{access.View, "", false},
		{access.SendEvents, "shop", false},
		{access.Authenticated, "other", true},
		{"fly", "shop", false},
	} {
		if got := access.Allowed(ana, c.p, c.project); got != c.want {
			t.Errorf("%s in %q: %v", c.p, c.project, got)
		}
	}
	if !access.Anywhere(ana, access.Run) || access.Anywhere(ana, access.SendEvents) || access.Anywhere(ana, access.Approve) {
		t.Error("anywhere")
	}
	if g, ok := p.Remove("group:ops", "*"); !ok || g.Role != access.Operator {
		t.Errorf("removed %v, %v", g, ok)
	}
	if _, ok := p.Remove("group:ops", "*"); ok || len(p.Grants) != 1 {
		t.Errorf("removed twice: %v", p.Grants)
	}
	for i := range 5000 {
		_, err := p.Set(access.Grant{Subject: access.Subject(fmt.Sprintf("user:%d", i)), Binding: access.Binding{Scope: "s", Role: access.Viewer}})
		if i < 4999 && err != nil || i == 4999 && !errors.Is(err, access.ErrFull) {
			t.Fatalf("grant %d: %v", i, err)
		}
	}
}

// TestCappedIsNeverMore: a token's bindings allow nothing that its maker's do
// not, whatever its bounds.
func TestCappedIsNeverMore(t *testing.T) {
	scopes := []access.Scope{"*", "a/*", "a/b", "a/b/*", "c"}
	projects := []string{"", "a/b", "a/x", "a/b/c", "c", "d"}
	for _, own := range scopes {
		for _, role := range access.Roles() {
			maker := []access.Binding{{Scope: own, Role: role}, {Scope: "c", Role: access.Developer}}
			for _, bound := range scopes {
				for _, most := range access.Roles() {
					left := access.Capped(maker, most, []access.Scope{bound})
					for _, rule := range access.Rules() {
						for _, project := range projects {
							got := access.Allowed(left, rule.Permission, project)
							want := access.Allowed(maker, rule.Permission, project) && bound.Covers(project) && most.Allows(rule.Permission) &&
								(!rule.Whole || bound == access.Everything)
							if rule.Least != "" && got != want {
								t.Fatalf("%v capped to %s in %s: %s in %q is %v", maker, most, bound, rule.Permission, project, got)
							}
						}
					}
				}
			}
		}
	}
}

func TestToken(t *testing.T) {
	secret := access.Secret([access.SecretBytes]byte{1, 2, 3})
	if !strings.HasPrefix(secret, "rlv_") || !access.WellFormed(secret) {
		t.Fatalf("secret %s", secret)
	}
	for i := range secret { // every letter is under the checksum
		bad := []byte(secret)
		bad[i] ^= 1
		if access.WellFormed(string(bad)) {
			t.Errorf("letter %d changed: %s is well-formed", i, bad)
		}
	}
	maker := []access.Binding{{Scope: "a/*", Role: access.Operator}}
	asked := access.Token{Name: "deploy", Maker: "u-1", Role: access.Developer, Scopes: []access.Scope{"a/b"}}
	for name, c := range map[string]struct {
		change func(*access.Token)
		life   time.Duration
		want   error
	}{
		"right":              {func(*access.Token) {}, 0, nil},
		"ended":              {func(*access.Token) {}, -1, access.ErrExpiry},
		"for ever":           {func(*access.Token) {}, access.TokenMost + 1, access.ErrExpiry},
		"no name":            {func(t *access.Token) { t.Name = "" }, 0, access.ErrName},
		"a line in the name": {func(t *access.Token) { t.Name = "a\nb" }, 0, access.ErrName},
		"no project":         {func(t *access.Token) { t.Scopes = nil }, 0, access.ErrScopes},
		"beyond the role":    {func(t *access.Token) { t.Role = access.Admin }, 0, access.ErrBeyond},
		"no role":            {func(t *access.Token) { t.Role = "root" }, 0, access.ErrBeyond},
		"beyond the project": {func(t *access.Token) { t.Scopes = []access.Scope{"a/b", "c"} }, 0, access.ErrBeyond},
		"everything":         {func(t *access.Token) { t.Scopes = []access.Scope{"*"} }, 0, access.ErrBeyond},
	} {
		want := asked
		c.change(&want)
		tok, err := access.NewToken(secret, want, c.life, maker, noon)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (strings.Contains(fmt.Sprint(tok), secret) || !tok.Ends.Equal(noon.Add(access.TokenDefault))) {
			t.Errorf("%s: %+v", name, tok)
		}
	}
	tok, err := access.NewToken(secret, asked, 0, maker, noon)
	if err != nil {
		t.Fatal(err)
	}
	if !tok.Proves(secret, noon) || tok.Proves(secret, tok.Ends) || tok.Proves(access.Secret([32]byte{9}), noon) || tok.Proves("", noon) {
		t.Error("what proves a token")
	}
	if !tok.Use(noon) || tok.Use(noon.Add(59*time.Minute)) || !tok.Use(noon.Add(time.Hour)) {
		t.Error("uses are noted once an hour")
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add(access.Secret([32]byte{}))
	f.Add("rlv_")
	f.Fuzz(func(t *testing.T, s string) {
		if access.WellFormed(s) && (len(s) != 63 || !strings.HasPrefix(s, access.TokenPrefix)) {
			t.Errorf("%q is well-formed", s)
		}
	})
}

func TestUser(t *testing.T) {
	var u access.User
	u.LogIn(access.Claims{Issuer: "https://id", Subject: "42", Name: "Ana\n", Email: "Ana@X.org", Verified: true, Groups: []string{"Ops"}}, noon)
	if want := []access.Subject{access.UserSubject(u.ID), "user:ana@x.org", "group:Ops"}; !slices.Equal(u.Subjects(), want) || u.Called() != "ana@x.org" {
		t.Errorf("%+v: %v", u, u.Subjects())
	}
	id := u.ID
	u.LogIn(access.Claims{Issuer: "https://id", Subject: "42", Name: "root@x.org", Email: "root@x.org"}, noon)
	if u.ID != id || len(u.Subjects()) != 1 || u.Called() == "root@x.org" {
		t.Errorf("an address that nobody verified counts: %+v", u)
	}
	// An "address" that is another's id.
	u.LogIn(access.Claims{Issuer: "https://id", Subject: "43", Email: id, Verified: true}, noon)
	if slices.Contains(u.Subjects(), access.UserSubject(id)) {
		t.Errorf("an id as an address: %v", u.Subjects())
	}
	if access.UserID("a", "bc") == access.UserID("ab", "c") {
		t.Error("two pairs have one id")
	}
}

func TestSession(t *testing.T) {
	s := access.NewSession("secret", access.Local, noon, time.Hour)
	if !s.Proves("secret", noon) || s.Proves("secret", s.Ends) || s.Proves("other", noon) || strings.Contains(fmt.Sprint(s), "secret") {
		t.Errorf("%+v", s)
	}
	if access.Forgery("secret") == s.ID || access.Forgery("secret") == access.Forgery("other") {
		t.Error("what pages send must follow from the secret alone, and not be the id")
	}
}
