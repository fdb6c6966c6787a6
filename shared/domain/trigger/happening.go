// Package trigger decides what comes of a delivery from outside: which
// pipelines it starts and which not, and why; whose word counts and what their
// run may have; what the forge is told of a commit; when a schedule is next.
// Values in, values out: fetching, storing and telling are others' work.
package trigger

import (
	"encoding/json"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Happening is what a delivery says, in one form for every forge. Names and
// words are those of GitHub Actions.
type Happening struct {
	// Forge is its name in the settings: github, gitlab, gitea …
	Forge string `json:"forge"`
	// Delivery is the id that the sender gave it; where it gives none, of the body.
	Delivery string `json:"delivery"`
	// Event is push, pull_request, issue_comment, release, create, delete, ping …
	// or what the forge calls it, where Actions has no word for it.
	Event string `json:"event"`
	// Action is the type within the event: opened, synchronize, labeled, closed …
	Action string `json:"action,omitempty"`
	// Repository that it happened in: owner/name; groups of GitLab are part of owner.
	Repository Repository `json:"repository"`
	// Actor is whom the forge says that it authenticated: never the author or
	// committer that a commit names.
	Actor Actor `json:"actor"`
	// Ref is refs/heads/…, refs/tags/… or refs/pull/N/merge.
	Ref string `json:"ref,omitempty"`
	// SHA to build: the pushed commit, the head of a pull request. Bitbucket Cloud
	// abbreviates the latter, Gogs does not tell it: then the forge is asked.
	SHA string `json:"sha,omitempty"`
	// Before is what a push's ref was at; empty for a new one.
	Before string `json:"before,omitempty"`
	// Deleted: the push took the ref away.
	Deleted bool `json:"deleted,omitempty"`
	// Message is that of the commit, for [skip ci].
	Message string `json:"message,omitempty"`
	// Changed are the paths as far as the delivery tells them; nil: it does not.
	Changed []string `json:"changed,omitempty"`
	// Pull is set where it happened to a pull or merge request.
	Pull *Pull `json:"pull,omitempty"`
	// Comment is set where somebody wrote one.
	Comment *Comment `json:"comment,omitempty"`
	// Rerun is set where somebody asked at the forge to run again what ran for SHA.
	Rerun *Rerun `json:"rerun,omitempty"`
	// Also are the further refs that the same push moved: Bitbucket tells of all in
	// one delivery. None of them has an Also of its own.
	Also []Happening `json:"also,omitempty"`
	// At is when it happened, as far as the forge tells.
	At time.Time `json:"at,omitzero"`
	// Payload is the delivery's body, as expressions see it in github.event.
	Payload json.RawMessage `json:"-"`
}

// Repository of a forge.
type Repository struct {
	Name          string `json:"name"` // owner/name
	ID            string `json:"id,omitempty"`
	DefaultBranch string `json:"defaultBranch,omitempty"`
	Clone         string `json:"clone,omitempty"` // https address
	Link          string `json:"link,omitempty"`  // for people
	Private       bool   `json:"private,omitempty"`
}

// Actor is an account of the forge.
type Actor struct {
	Login string `json:"login"`          // unique on the forge: a uuid on Bitbucket Cloud
	ID    string `json:"id,omitempty"`   // it outlives a change of the login
	Name  string `json:"name,omitempty"` // for people; nothing is decided by it
}

// Pull is a pull or merge request.
type Pull struct {
	Number  int        `json:"number"`
	Title   string     `json:"title,omitempty"`
	Author  Actor      `json:"author"`
	Base    string     `json:"base"`              // branch
	BaseSHA string     `json:"baseSha,omitempty"` // its head, where the delivery tells it
	Head    string     `json:"head"`              // branch
	HeadSHA string     `json:"headSha"`           // empty where the delivery does not tell it
	From    Repository `json:"from"`              // the head's
	Labels  []string   `json:"labels,omitempty"`
	Draft   bool       `json:"draft,omitempty"`
	Merged  bool       `json:"merged,omitempty"`
	Open    bool       `json:"open,omitempty"`
}

// Fork tells that the head is in another repository than the base, or in none
// that is known: that counts as a stranger's.
func (h Happening) Fork() bool {
	if h.Pull == nil {
		return false
	}
	if h.Pull.From.ID != "" && h.Repository.ID != "" {
		return h.Pull.From.ID != h.Repository.ID
	}
	return h.Pull.From.Name != h.Repository.Name
}

// Rerun asks for a run of what ran for a commit.
type Rerun struct {
	// Context of the status; empty: every one of the commit.
	Context string `json:"context,omitempty"`
}

// Comment is what somebody wrote to a pull request or issue.
type Comment struct {
	Body   string `json:"body"`
	Author Actor  `json:"author"`
	// Issue is the number of the issue or pull request.
	Issue int `json:"issue"`
	// OnPull tells that it is a pull request's.
	OnPull bool `json:"onPull,omitempty"`
}

// Level is what an account may do in a repository, as the forge answers.
type Level int

// The levels, each with the rights of those before.
const (
	None Level = iota
	Read
	Triage
	Write
	Admin
)

// Status is what a forge is told of a commit, under a context's name.
type Status struct {
	// Context tells statuses of one commit apart: relevo/<pipeline>.
	Context string `json:"context"`
	State   State  `json:"state"`
	// Description for people, one line.
	Description string `json:"description,omitempty"`
	// Link to the run.
	Link string `json:"link,omitempty"`
	// Run that it is of.
	Run events.RunID `json:"run"`
	// Running, of a pending one: it does not wait any more. Forges with check runs
	// show it.
	Running bool `json:"running,omitempty"`
	// Verdict of a run's end; empty where there was no run, or it is not over.
	Verdict events.Verdict `json:"verdict,omitempty"`
	// Annotations for forges with check runs.
	Annotations []events.Annotation `json:"annotations,omitempty"`
}

// State of a status.
type State string

// The states. Errored is for what is not the author's fault.
const (
	Pending   State = "pending"
	Succeeded State = "success"
	Failed    State = "failure"
	Errored   State = "error"
	Cancelled State = "cancelled"
)
