package trigger

import (
	"fmt"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
)

// Question is what trust is decided on.
type Question struct {
	Happening Happening
	// Level is what the forge says now that Happening.Actor may do.
	Level Level
	// Approval of the pull request, if there is one.
	Approval *Approval
	// Config is the hash of the pipeline files at the head, see ConfigHash; empty:
	// not known.
	Config string
	// Rerun: the actor asks to run again what ran for this happening.
	Rerun bool
}

// Grant is what a run may have.
type Grant struct {
	// Start: it may run at all.
	Start bool
	// Untrusted: the code, or who made it run, is a stranger's. Such a run has a
	// credential that only reads, or none, and its jobs queue in pools for such
	// jobs alone (events.PoolID.Untrusted).
	Untrusted bool
	// Secrets: it may have them.
	Secrets bool
	// Files is where its pipeline is read.
	Files Side
	// Why, for people.
	Why string
}

// Side of a pull request. Of anything else both are the happening's commit.
type Side string

// The sides.
const (
	Base Side = "base"
	Head Side = "head"
)

// writers are the events that only those may cause who may write to the
// repository, as the forge makes sure, or for which somebody was authenticated
// in another way. Others (an issue, a star, a review) are open to anybody.
var writers = map[string]bool{
	"push": true, "create": true, "delete": true, "release": true, "merge_group": true,
	"deployment": true, "workflow_dispatch": true, "repository_dispatch": true,
	"manual": true, "schedule": true, "cloudevent": true,
}

// Trust decides what a run may have. It looks at what the forge authenticated
// and at nothing that a commit says.
func Trust(q Question) Grant {
	h := q.Happening
	by := h.Actor.Login
	switch {
	case h.Comment != nil && q.Level < Write:
		return Grant{Why: fmt.Sprintf("a comment of %s starts nothing: it takes the right to write to %s", by, h.Repository.Name)}
	case q.Rerun && q.Level < Write:
		return Grant{Why: fmt.Sprintf("%s may not run it again: it takes the right to write to %s", by, h.Repository.Name)}
	case h.Pull == nil && pulled(h):
		return Grant{Why: "it is not known which commits the pull request joins"}
	case h.Fork():
		return trustFork(q)
	case writers[h.Event] || h.Event == "pull_request":
		return Grant{Start: true, Secrets: true, Files: Head, Why: "the code is of " + h.Repository.Name + " itself"}
	case q.Level >= Write:
		return Grant{Start: true, Secrets: true, Files: Head, Why: by + " may write to " + h.Repository.Name}
	}
	return Grant{
		Start: true, Untrusted: true, Files: Head,
		Why: fmt.Sprintf("no secrets: anybody can cause %s, and %s may not write to %s", h.Event, by, h.Repository.Name),
	}
}

// pulled tells that it happened to a pull request, which may be a fork's.
func pulled(h Happening) bool {
	switch h.Event {
	case "pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment":
		return true
	}
	return h.Comment != nil && h.Comment.OnPull
}

// Again decides what a run may have that by asks to run again, as it was: the
// same pipeline at the same commit. It never has what the first run had not; and
// what that had by an approval it has only while the approval holds. Level is
// what by may do, and review what is known of the run's pull request now.
func Again(first events.Trigger, review Review, by Actor, level Level) Grant {
	h := Happening{
		Forge: first.Forge, Event: first.Event, Repository: Repository{Name: first.Repository},
		Actor: by, Ref: first.Ref, SHA: first.SHA,
	}
	if first.PullRequest > 0 {
		h.Pull = &Pull{Number: first.PullRequest, Base: first.Base, Head: first.Head, HeadSHA: first.SHA, From: h.Repository, Open: true}
		if first.Fork || review.Head != "" { // only a fork's is reviewed
			h.Pull.From = Repository{}
		}
		if review.Head != "" {
			h.Pull.HeadSHA = review.Head
		}
	}
	q := Question{Happening: h, Level: level, Approval: review.Approval, Rerun: true}
	if q.Approval != nil {
		q.Config = q.Approval.Config // as the commit is the same, so are its files
	}
	g := Trust(q)
	switch {
	case !g.Start:
		return g
	case h.Pull != nil && h.Pull.HeadSHA != first.SHA:
		return Grant{Why: fmt.Sprintf("the head of pull request %d has moved on: comment /test there", h.Pull.Number)}
	case first.Untrusted:
		return Grant{Start: true, Untrusted: true, Files: g.Files, Why: "no secrets: what is run again was untrusted; /test on the pull request runs what is approved now"}
	case g.Untrusted: // and the pipeline is the head's
		return Grant{Why: fmt.Sprintf("%s: comment /ok-to-test on pull request %d", strings.TrimPrefix(g.Why, "no secrets: "), first.PullRequest)}
	}
	return g
}

func trustFork(q Question) Grant {
	if void := q.Approval.void(q.Happening, q.Config); void != "" {
		return Grant{Start: true, Untrusted: true, Files: Base, Why: "no secrets: " + void}
	}
	files := Head
	if q.Happening.Event == "pull_request_target" {
		files = Base // that is what the event is for
	}
	return Grant{Start: true, Secrets: true, Files: files, Why: fmt.Sprintf("%s approved %s", q.Approval.By.Login, short(q.Approval.SHA))}
}

// Approval says that somebody with the right to write looked at a fork's head,
// and at its pipeline files, and that it may have what the repository's own
// branches have. It holds for that commit and those files alone.
type Approval struct {
	Forge      string `json:"forge"`
	Repository string `json:"repository"`
	Pull       int    `json:"pull"`
	// SHA of the head, and Config, the hash of its pipeline files.
	SHA    string `json:"sha"`
	Config string `json:"config"`
	// By is who approved, and Level what they might do then.
	By    Actor     `json:"by"`
	Level Level     `json:"level"`
	At    time.Time `json:"at"`
}

// void tells why an approval does not hold; empty where it does.
func (a *Approval) void(h Happening, config string) string {
	switch {
	case a == nil:
		return "the code is a fork's, and nobody approved it"
	case a.Level < Write:
		return fmt.Sprintf("%s, who approved it, may not write to %s", a.By.Login, h.Repository.Name)
	case a.Forge != h.Forge || a.Repository != h.Repository.Name || a.Pull != h.Pull.Number:
		return "the approval is another pull request's"
	case a.SHA == "" || a.SHA != h.Pull.HeadSHA:
		return fmt.Sprintf("%s was approved, and the head is %s by now", short(a.SHA), short(h.Pull.HeadSHA))
	case a.SHA != h.SHA:
		return fmt.Sprintf("%s was approved, and this is %s", short(a.SHA), short(h.SHA))
	case a.Config == "" || a.Config != config:
		return "the pipeline files are not those that were approved"
	}
	return ""
}

func short(sha string) string {
	if sha == "" {
		return "no commit"
	}
	return sha[:min(len(sha), 8)]
}

// RefusesCommand tells why a comment's command is not obeyed; empty where it
// is. Level is what the forge says now that the comment's author may do.
func RefusesCommand(c Command, h Happening, level Level) string {
	switch {
	case level < Write:
		return fmt.Sprintf("/%s takes the right to write to %s, which %s does not have", c.Verb, h.Repository.Name, h.Actor.Login)
	case h.Pull == nil:
		return fmt.Sprintf("/%s is for pull requests", c.Verb)
	case !h.Pull.Open && c.Verb != Stop:
		return fmt.Sprintf("/%s is for open pull requests, and #%d is closed", c.Verb, h.Pull.Number)
	}
	return ""
}

// OfPull turns a comment on a pull request into a happening of the pull request
// itself, as the forge describes it now: what its commands start runs as if the
// head had just been pushed. The actor is who wrote the comment.
func (h Happening) OfPull(now Pull) Happening {
	h.Event, h.Action = "pull_request", "synchronize"
	h.Pull = &now
	h.Ref, h.SHA = fmt.Sprintf("refs/pull/%d/merge", now.Number), now.HeadSHA
	h.Before, h.Changed, h.Message = "", nil, ""
	return h
}
