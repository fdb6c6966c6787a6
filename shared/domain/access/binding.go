package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Subject is whom a binding is for: user:<verified e-mail address, or id> or
// group:<name of a group as the login says it>.
type Subject string

// The kinds of subjects.
const (
	userKind  = "user:"
	groupKind = "group:"
)

// mostSubject bounds a subject's text, in bytes.
const mostSubject = 256

// ParseSubject reads a subject; the letters of a user's are made small, as
// those of addresses are compared.
func ParseSubject(s string) (Subject, error) {
	user, isUser := strings.CutPrefix(s, userKind)
	group, isGroup := strings.CutPrefix(s, groupKind)
	switch {
	case len(s) > mostSubject || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '�' }):
		return "", fmt.Errorf("access: a subject has at most %d bytes and no control characters", mostSubject)
	case isUser && user != "" && !strings.Contains(user, " "):
		return UserSubject(user), nil
	case isGroup && group != "":
		return GroupSubject(group), nil
	}
	return "", fmt.Errorf("access: %.80q is neither user:<address or id> nor group:<name>", s)
}

// UserSubject names a user by an address or an id.
func UserSubject(name string) Subject { return Subject(userKind + strings.ToLower(name)) }

// GroupSubject names a group; groups differ in capitals, for all that is known.
func GroupSubject(name string) Subject { return Subject(groupKind + name) }

// Binding gives a role in a scope.
type Binding struct {
	Scope Scope `json:"project"`
	Role  Role  `json:"role"`
}

// Grant is a binding of a subject.
type Grant struct {
	Subject Subject `json:"subject"`
	Binding
	// By is who gave it, and At when.
	By string    `json:"by,omitempty"`
	At time.Time `json:"at,omitzero"`
	// Fixed says that a setting gives it: it cannot be taken away here.
	Fixed bool `json:"fixed,omitempty"`
}

// Policy is all grants of an installation, one for each pair of subject and
// scope.
type Policy struct {
	Grants []Grant `json:"grants,omitempty"`
}

// mostGrants bounds a policy: it is read as a whole.
const mostGrants = 5000

// ErrFull: no more grants fit.
var ErrFull = errors.New("access: there are too many grants already")

// Set gives a role; one that the subject had in that very scope goes. It tells
// whether anything changed.
func (p *Policy) Set(g Grant) (bool, error) {
	i := p.index(g.Subject, g.Scope)
	switch {
	case i < 0 && len(p.Grants) >= mostGrants:
		return false, ErrFull
	case i < 0:
		p.Grants = append(p.Grants, g)
	case p.Grants[i].Role == g.Role:
		return false, nil
	default:
		p.Grants[i] = g
	}
	slices.SortFunc(p.Grants, func(a, b Grant) int {
		return strings.Compare(string(a.Subject)+"\x00"+string(a.Scope), string(b.Subject)+"\x00"+string(b.Scope))
	})
	return true, nil
}

// Remove takes a role away, and gives what it was; false where there was none.
func (p *Policy) Remove(s Subject, scope Scope) (Grant, bool) {
	i := p.index(s, scope)
	if i < 0 {
		return Grant{}, false
	}
	g := p.Grants[i]
	p.Grants = slices.Delete(p.Grants, i, i+1)
	return g, true
}

func (p *Policy) index(s Subject, scope Scope) int {
	return slices.IndexFunc(p.Grants, func(g Grant) bool { return g.Subject == s && g.Scope == scope })
}

// Of are the bindings of whoever is one of the subjects.
func (p *Policy) Of(subjects []Subject) []Binding {
	var list []Binding
	for _, g := range p.Grants {
		if slices.Contains(subjects, g.Subject) {
			list = append(list, g.Binding)
		}
	}
	return list
}

// RoleWithin is the greatest role that bindings give in all of a scope.
func RoleWithin(list []Binding, s Scope) Role {
	var best Role
	for _, b := range list {
		if s.Within(b.Scope) && b.Role.rank() > best.rank() {
			best = b.Role
		}
	}
	return best
}

// Allowed tells whether bindings give a permission in a project; of one of the
// installation only those for everything count.
func Allowed(list []Binding, p Permission, project string) bool {
	rule, ok := RuleOf(p)
	return ok && (rule.Least == "" || slices.ContainsFunc(list, func(b Binding) bool { return b.Allows(p, project) }))
}

// Allows tells whether the binding alone gives a permission in a project.
func (b Binding) Allows(p Permission, project string) bool {
	rule, ok := RuleOf(p)
	return ok && b.Role.rank() > 0 && b.Role.Allows(p) && b.Scope.Covers(project) && (!rule.Whole || b.Scope == Everything)
}

// Anywhere tells whether they give it in some project at least.
func Anywhere(list []Binding, p Permission) bool {
	rule, ok := RuleOf(p)
	return ok && (rule.Least == "" || slices.ContainsFunc(list, func(b Binding) bool {
		return b.Role.Allows(p) && (!rule.Whole || b.Scope == Everything)
	}))
}

// Capped are the bindings that are left of a maker's under the bounds of what
// they made: no role above the cap, nothing beyond the scopes.
func Capped(of []Binding, role Role, scopes []Scope) []Binding {
	var left []Binding
	for _, b := range of {
		for _, s := range scopes {
			at := s
			switch {
			case s.Within(b.Scope):
			case b.Scope.Within(s):
				at = b.Scope
			default:
				continue
			}
			left = append(left, Binding{at, lesser(b.Role, role)})
		}
	}
	return left
}
