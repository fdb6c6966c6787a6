package events

import "time"

// AuthGranted says that somebody was let in, or may more than before.
type AuthGranted struct {
	// Principal is the user's or token's id, or the subject of a binding; never a
	// secret.
	Principal string `json:"principal"`
	// Kind is session, token or binding.
	Kind string `json:"kind,omitempty"`
	// Scope is what was granted: a role and where it holds.
	Scope string `json:"scope"`
	// By is who granted it, where that is not the principal.
	By string `json:"by,omitempty"`
	// Expires is when it ends by itself; the year 1 for what does not.
	Expires time.Time `json:"expires"`
}

// Subject is principal/<id>.
func (e AuthGranted) Subject() string { return "principal/" + e.Principal }

// AuthRevoked says that a grant ended.
type AuthRevoked struct {
	// Principal is the user's or token's id, or the subject of a binding; never a
	// secret.
	Principal string `json:"principal"`
	// Kind is session, token or binding.
	Kind string `json:"kind,omitempty"`
	// Scope is what was taken away.
	Scope string `json:"scope,omitempty"`
	// By is who revoked it; absent where it expired.
	By string `json:"by,omitempty"`
	// Reason says why: it expired, or who revoked it.
	Reason string `json:"reason"`
}

// Subject is principal/<id>.
func (e AuthRevoked) Subject() string { return "principal/" + e.Principal }

// UIRecorded says that somebody did something that changes something, in the
// console or through the API, or was refused it.
type UIRecorded struct {
	// Principal is the person's id, local or token.
	Principal string `json:"principal"`
	// Name is how people know the principal.
	Name string `json:"name,omitempty"`
	// Via is how the principal was known: session, token, system, local.
	Via string `json:"via,omitempty"`
	// Token is the id of the API token that was shown, if any.
	Token string `json:"token,omitempty"`
	// Action is what was done, e.g. cancelPipeline: the operation's name.
	Action string `json:"action"`
	// Target is what it was done to, e.g. /v1/pipelines/01J….
	Target string `json:"target"`
	// Project that it belongs to, where one was found.
	Project string `json:"project,omitempty"`
	// Outcome is done, refused (it was not allowed) or failed.
	Outcome string `json:"outcome,omitempty"`
	// Status is the HTTP status of the answer.
	Status int `json:"status,omitempty"`
}

// Subject is principal/<id>.
func (e UIRecorded) Subject() string { return "principal/" + e.Principal }
