package forge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// What GitHub, Gitea, Forgejo and Gogs write alike, in deliveries and in
// answers of the API.

type hubUser struct {
	ID       id     `json:"id"`
	Login    string `json:"login"`
	Username string `json:"username"` // Gogs, and old Giteas
	Name     string `json:"full_name"`
}

func (u *hubUser) actor() trigger.Actor {
	if u == nil {
		return trigger.Actor{}
	}
	login := u.Login
	if login == "" {
		login = u.Username
	}
	return trigger.Actor{Login: login, ID: string(u.ID), Name: u.Name}
}

type hubRepository struct {
	ID            id     `json:"id"`
	FullName      string `json:"full_name"`
	Private       bool   `json:"private"`
	HTMLURL       string `json:"html_url"`
	CloneURL      string `json:"clone_url"`
	DefaultBranch string `json:"default_branch"`
}

func (r *hubRepository) repository() trigger.Repository {
	if r == nil {
		return trigger.Repository{}
	}
	return trigger.Repository{
		Name: r.FullName, ID: string(r.ID), DefaultBranch: r.DefaultBranch,
		Clone: r.CloneURL, Link: r.HTMLURL, Private: r.Private,
	}
}

type hubLabel struct {
	Name string `json:"name"`
}

// A hubEnd is the head or the base of a pull request.
type hubEnd struct {
	Ref  string         `json:"ref"`
	SHA  string         `json:"sha"`
	Repo *hubRepository `json:"repo"`
}

type hubPull struct {
	Number    int        `json:"number"`
	State     string     `json:"state"`
	Title     string     `json:"title"`
	User      *hubUser   `json:"user"`
	Head      hubEnd     `json:"head"`
	Base      hubEnd     `json:"base"`
	Labels    []hubLabel `json:"labels"`
	Draft     bool       `json:"draft"`
	Merged    bool       `json:"merged"`
	MergedAt  *moment    `json:"merged_at"`
	UpdatedAt moment     `json:"updated_at"`

	// Gogs has no head and base, and names no commits.
	HeadBranch string         `json:"head_branch"`
	HeadRepo   *hubRepository `json:"head_repo"`
	BaseBranch string         `json:"base_branch"`
}

func (p *hubPull) pull() *trigger.Pull {
	if p.Head.Ref == "" {
		p.Head = hubEnd{Ref: p.HeadBranch, Repo: p.HeadRepo}
		p.Base.Ref = p.BaseBranch
	}
	return &trigger.Pull{
		Number: p.Number, Title: p.Title, Author: p.User.actor(),
		Base: p.Base.Ref, BaseSHA: p.Base.SHA, Head: p.Head.Ref, HeadSHA: p.Head.SHA,
		From: p.Head.Repo.repository(), Labels: labelNames(p.Labels), Draft: p.Draft,
		Merged: p.Merged || p.MergedAt != nil, Open: p.State == "open",
	}
}

func labelNames(labels []hubLabel) []string {
	var names []string
	for _, l := range labels {
		names = append(names, l.Name)
	}
	return names
}

// What every delivery may have.
type hubEnvelope struct {
	Action     string         `json:"action"`
	Repository *hubRepository `json:"repository"`
	Sender     *hubUser       `json:"sender"`
}

func (e hubEnvelope) happening(event string) trigger.Happening {
	return trigger.Happening{Event: event, Action: e.Action, Repository: e.Repository.repository(), Actor: e.Sender.actor()}
}

type hubCommit struct {
	ID       string   `json:"id"`
	Message  string   `json:"message"`
	Added    []string `json:"added"`
	Modified []string `json:"modified"`
	Removed  []string `json:"removed"`
}

type hubPush struct {
	hubEnvelope
	Ref        string      `json:"ref"`
	Before     string      `json:"before"`
	After      string      `json:"after"`
	Forced     *bool       `json:"forced"` // GitHub alone tells
	HeadCommit *hubCommit  `json:"head_commit"`
	Commits    []hubCommit `json:"commits"`
}

func (p hubPush) happening(event string) (h trigger.Happening, err error) {
	h = p.hubEnvelope.happening(event)
	h.Action = ""
	h.Ref = p.Ref
	if !strings.HasPrefix(p.Ref, "refs/") {
		return h, fmt.Errorf("%.300q is not a ref", p.Ref)
	}
	if err := refName(p.Ref); err != nil {
		return h, err
	}
	if h.Before, h.SHA, err = moved(p.Before, p.After); err != nil {
		return h, err
	}
	h.Deleted = h.SHA == ""
	// Of an annotated tag, after is the tag, not the commit.
	if c := p.HeadCommit; c != nil && !h.Deleted && strings.HasPrefix(p.Ref, "refs/tags/") && commitName(c.ID, true) == nil {
		h.SHA = c.ID
	}
	h.Message = p.message()
	h.Changed = p.changed()
	return h, within(h)
}

func (p hubPush) message() string {
	if p.HeadCommit != nil {
		return p.HeadCommit.Message
	}
	for _, c := range p.Commits {
		if c.ID == p.After {
			return c.Message
		}
	}
	return ""
}

// githubCommits is how many commits of a push GitHub tells at most.
const githubCommits = 2048

// changed are the paths of the commits, where they are all that lie between
// before and after. Only GitHub tells that.
func (p hubPush) changed() []string {
	n := len(p.Commits)
	whole := p.Forced != nil && !*p.Forced && !zeros.MatchString(p.Before) && n > 0 && n < githubCommits && p.Commits[n-1].ID == p.After
	if !whole {
		return nil
	}
	paths := []string{}
	for _, c := range p.Commits {
		paths = slices.Concat(paths, c.Added, c.Modified, c.Removed)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

type hubRef struct {
	hubEnvelope
	Ref     string `json:"ref"`
	RefType string `json:"ref_type"`
	SHA     string `json:"sha"` // Gitea
}

func (r hubRef) happening(event string) (trigger.Happening, error) {
	h := r.hubEnvelope.happening(event)
	h.Action = ""
	h.Deleted = event == "delete"
	switch r.RefType {
	case "branch":
		h.Ref = "refs/heads/" + r.Ref
	case "tag":
		h.Ref = "refs/tags/" + r.Ref
	case "repository": // GitHub's first word of a new one
		return h, within(h)
	default:
		return h, fmt.Errorf("%.100q is not a type of ref", r.RefType)
	}
	if err := refName(h.Ref); err != nil {
		return h, err
	}
	if !h.Deleted && r.SHA != "" {
		if err := commitName(r.SHA, true); err != nil {
			return h, err
		}
		h.SHA = r.SHA
	}
	return h, within(h)
}
