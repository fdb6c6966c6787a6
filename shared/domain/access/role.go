// Package access is who may do what: roles, permissions and the one table
// between them, bindings of people and groups to roles in projects, and the
// aggregates that identify a caller: users, sessions and API tokens.
package access

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what somebody may be in a project. Each may all that the ones before
// it may.
type Role string

// The roles, the least first.
const (
	Viewer    Role = "viewer"
	Developer Role = "developer"
	Operator  Role = "operator"
	Admin     Role = "admin"
)

var roles = []Role{Viewer, Developer, Operator, Admin}

// Roles are all of them, the least first.
func Roles() []Role { return slices.Clone(roles) }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(roles, r) {
		return r, nil
	}
	return "", fmt.Errorf("access: %.40q is none of viewer, developer, operator, admin", s)
}

// rank orders roles; 0 is none.
func (r Role) rank() int { return slices.Index(roles, r) + 1 }

// AtLeast tells whether r may all that other may. What is no role may nothing,
// and nothing is at least that.
func (r Role) AtLeast(other Role) bool { return other.rank() > 0 && r.rank() >= other.rank() }

// lesser is the one that may less; none where one of them is none.
func lesser(a, b Role) Role {
	if a.rank() < b.rank() {
		return a
	}
	return b
}

// Permission is one thing that can be allowed.
type Permission string

// The permissions.
const (
	// Authenticated asks only to be somebody: what one may see and do of oneself.
	Authenticated Permission = "self"
	View          Permission = "view"
	ManageTokens  Permission = "tokens"
	Run           Permission = "run"
	Retry         Permission = "retry"
	Cancel        Permission = "cancel"
	SendEvents    Permission = "send-events"
	Approve       Permission = "approve"
	ReplayTrigger Permission = "replay-delivery"
	ViewLetters   Permission = "view-deadletters"
	ReplayLetters Permission = "replay-deadletters"
	ReadAudit     Permission = "read-audit"
	Rebuild       Permission = "rebuild"
	ManageAccess  Permission = "manage-access"
)

// Rule is a row of the table.
type Rule struct {
	Permission Permission
	// Least is the least role that has it; empty: whoever is somebody.
	Least Role
	// Whole says that it is one of the installation: a role in one project does
	// not give it, only one in all of them.
	Whole bool
	// Doc says in a line what it lets one do.
	Doc string
}

// rules is the table. Everything that decides or tells who may do what is made
// of it.
var rules = []Rule{
	{Authenticated, "", false, "see who one is, sign out"},
	{View, Viewer, false, "see runs, jobs, logs, events, deliveries, traces and what waits for capacity"},
	{ManageTokens, Viewer, false, "make, list and revoke one's own API tokens"},
	{Run, Developer, false, "run pipelines and jobs"},
	{Retry, Developer, false, "run what is over once more"},
	{Cancel, Developer, false, "cancel runs and jobs"},
	{SendEvents, Developer, true, "send CloudEvents, which start pipelines of any project"},
	{Approve, Operator, false, "approve or refuse what a job awaits"},
	{ReplayTrigger, Operator, false, "have a delivery worked on again"},
	{ViewLetters, Operator, true, "see events that could not be delivered"},
	{ReplayLetters, Operator, true, "send those again, or drop them"},
	{ReadAudit, Operator, true, "see who did what, and events of access"},
	{Rebuild, Operator, true, "rebuild the read models"},
	{ManageAccess, Admin, false, "give roles and take them away"},
}

// Rules is the table, in its order.
func Rules() []Rule { return slices.Clone(rules) }

// RuleOf finds a permission's row.
func RuleOf(p Permission) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Permission == p })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// Allows tells whether the role has the permission. What the table does not
// know nobody has.
func (r Role) Allows(p Permission) bool {
	rule, ok := RuleOf(p)
	return ok && (rule.Least == "" || r.AtLeast(rule.Least))
}

// Everything is the scope that covers every project, those without a name and
// the installation itself.
const Everything Scope = "*"

// Scope says where a role holds: in a project by its name, in all that begin
// with a folder (github/acme/*), or everywhere (*).
type Scope string

// mostScope bounds a scope's text, in bytes.
const mostScope = 512

// ParseScope reads a scope. A star stands alone or behind the last slash.
func ParseScope(s string) (Scope, error) {
	name := strings.TrimSuffix(s, "/*")
	switch {
	case s == string(Everything):
		return Everything, nil
	case s == "" || len(s) > mostScope:
		return "", fmt.Errorf("access: a project has 1 to %d bytes", mostScope)
	case name == "" || strings.Contains(name, "*"):
		return "", fmt.Errorf("access: %.80q: a star stands alone, or behind the last slash", s)
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '�' }):
		return "", fmt.Errorf("access: %.80q: a project has no spaces or control characters", s)
	}
	return Scope(s), nil
}

// Covers tells whether a project lies within the scope. The empty name, of what
// belongs to no project, only Everything covers.
func (s Scope) Covers(project string) bool {
	if s == Everything {
		return true
	}
	if folder, ok := s.folder(); ok {
		return len(project) > len(folder) && strings.HasPrefix(project, folder)
	}
	return project != "" && string(s) == project
}

// Within tells whether all that s covers other covers too.
func (s Scope) Within(other Scope) bool {
	switch folder, ok := other.folder(); {
	case other == Everything || s == other:
		return true
	case s == Everything || !ok:
		return false
	default:
		return strings.HasPrefix(string(s), folder) && len(s) > len(folder)
	}
}

// folder is what all projects of a scope begin with that ends in /*.
func (s Scope) folder() (string, bool) {
	if !strings.HasSuffix(string(s), "/*") {
		return "", false
	}
	return string(s[:len(s)-1]), true
}
