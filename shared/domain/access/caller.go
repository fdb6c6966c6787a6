package access

// Via is how a caller was known.
type Via string

// The ways.
const (
	BySession   Via = "session"
	ByToken     Via = "token"
	BySystem    Via = "system" // the token of the settings
	ByMachine   Via = "local"
	BySignature Via = "signature"
)

// Caller is who asks for something, with all that they may.
type Caller struct {
	// ID never changes; Name is for people.
	ID   string
	Name string
	Via  Via
	// Token is the id of the API token that they showed, if any.
	Token    string
	Bindings []Binding
}

// Allowed tells whether the caller has a permission in a project.
func (c *Caller) Allowed(p Permission, project string) bool { return Allowed(c.Bindings, p, project) }

// All are the bindings of whoever has one role in everything.
func All(r Role) []Binding { return []Binding{{Everything, r}} }
