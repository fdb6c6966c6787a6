package forge

import (
	"errors"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Bitbucket Data Center's deliveries. They have no addresses of a repository
// and no commit messages.

type stashUser struct {
	ID          id     `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

func (u *stashUser) actor() trigger.Actor {
	if u == nil {
		return trigger.Actor{}
	}
	return trigger.Actor{Login: u.Name, ID: string(u.ID), Name: u.DisplayName}
}

type stashLink struct {
	Href string `json:"href"`
	Name string `json:"name"`
}

type stashRepository struct {
	ID      id     `json:"id"`
	Slug    string `json:"slug"`
	Public  bool   `json:"public"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
	Links struct {
		Clone []stashLink `json:"clone"` // in answers of the API alone
		Self  []stashLink `json:"self"`
	} `json:"links"`
}

func (r *stashRepository) repository() trigger.Repository {
	if r == nil {
		return trigger.Repository{}
	}
	known := trigger.Repository{Name: r.Project.Key + "/" + r.Slug, ID: string(r.ID), Private: !r.Public}
	for _, link := range r.Links.Clone {
		if link.Name == "http" || link.Name == "https" {
			known.Clone = link.Href
		}
	}
	for _, link := range r.Links.Self {
		known.Link = link.Href
	}
	return known
}

type stashEnd struct {
	ID           string           `json:"id"` // refs/heads/…
	LatestCommit string           `json:"latestCommit"`
	Repository   *stashRepository `json:"repository"`
}

type stashPull struct {
	ID     int    `json:"id"`
	Title  string `json:"title"`
	State  string `json:"state"`
	Draft  bool   `json:"draft"`
	Author struct {
		User *stashUser `json:"user"`
	} `json:"author"`
	From    stashEnd `json:"fromRef"`
	To      stashEnd `json:"toRef"`
	Updated moment   `json:"updatedDate"`
}

func (p *stashPull) pull() *trigger.Pull {
	return &trigger.Pull{
		Number: p.ID, Title: p.Title, Author: p.Author.User.actor(), Draft: p.Draft,
		Base: strings.TrimPrefix(p.To.ID, "refs/heads/"), BaseSHA: p.To.LatestCommit,
		Head: strings.TrimPrefix(p.From.ID, "refs/heads/"), HeadSHA: p.From.LatestCommit, From: p.From.Repository.repository(),
		Merged: p.State == "MERGED", Open: p.State == "OPEN",
	}
}

type stashEnvelope struct {
	Actor      *stashUser       `json:"actor"`
	Repository *stashRepository `json:"repository"`
	Date       moment           `json:"date"`
}

func (e stashEnvelope) happening(event, action string) trigger.Happening {
	return trigger.Happening{
		Event: event, Action: action, Repository: e.Repository.repository(), Actor: e.Actor.actor(), At: e.Date.Time,
	}
}

var stashEvents = map[string][2]string{
	"pr:opened":           {"pull_request", "opened"},
	"pr:from_ref_updated": {"pull_request", "synchronize"},
	"pr:modified":         {"pull_request", "edited"},
	"pr:merged":           {"pull_request", "closed"},
	"pr:declined":         {"pull_request", "closed"},
	"pr:deleted":          {"pull_request", "closed"},
	"pr:comment:added":    {"issue_comment", "created"},
	"pr:comment:edited":   {"issue_comment", "edited"},
	"pr:comment:deleted":  {"issue_comment", "deleted"},
}

func readStash(event string, body []byte) (trigger.Happening, error) {
	if event == "repo:refs_changed" {
		return stashPushed(body)
	}
	if words, known := stashEvents[event]; known {
		return stashPulled(words[0], words[1], body)
	}
	// The test of a connection says {"test": true}.
	e, err := decode[stashEnvelope](body)
	return e.happening(event, ""), err
}

type stashPush struct {
	stashEnvelope
	Changes []struct {
		Ref struct {
			ID string `json:"id"`
		} `json:"ref"`
		RefID string `json:"refId"`
		From  string `json:"fromHash"`
		To    string `json:"toHash"`
	} `json:"changes"`
	Newest *struct {
		ID      string `json:"id"`
		Message string `json:"message"`
	} `json:"toCommit"`
}

func stashPushed(body []byte) (trigger.Happening, error) {
	e, err := decode[stashPush](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	var all []trigger.Happening
	for _, change := range e.Changes {
		h := e.happening("push", "")
		h.Ref = change.Ref.ID
		if h.Ref == "" {
			h.Ref = change.RefID
		}
		if err := refName(h.Ref); err != nil || !strings.HasPrefix(h.Ref, "refs/") {
			return h, errors.Join(err, errors.New("it names no ref"))
		}
		if h.Before, h.SHA, err = moved(change.From, change.To); err != nil {
			return h, err
		}
		h.Deleted = h.SHA == ""
		if e.Newest != nil && e.Newest.ID == h.SHA {
			h.Message = e.Newest.Message
		}
		all = append(all, h)
	}
	return together(all)
}

func stashPulled(event, action string, body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		stashEnvelope
		Pull     *stashPull `json:"pullRequest"`
		WasDraft *bool      `json:"previousDraft"`
		Comment  *struct {
			Text    string     `json:"text"`
			Author  *stashUser `json:"author"`
			Updated moment     `json:"updatedDate"`
		} `json:"comment"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	if e.Pull == nil || event == "issue_comment" && e.Comment == nil {
		return trigger.Happening{}, errors.New("it has no pullRequest, or no comment")
	}
	e.Repository = e.Pull.To.Repository
	h := e.happening(event, action)
	if e.WasDraft != nil && action == "edited" {
		h.Action = drafted(*e.WasDraft, e.Pull.Draft, action)
	}
	h.Pull = e.Pull.pull()
	h.Pull.Open = h.Pull.Open && action != "closed" // a deleted one's state is what it was
	if err := pulled(h.Pull, true); err != nil {
		return h, err
	}
	h.SHA, h.Ref = h.Pull.HeadSHA, mergeRef(h.Pull.Number)
	if event == "issue_comment" {
		h.Comment = &trigger.Comment{
			Body: e.Comment.Text, Author: e.Comment.Author.actor(), Issue: h.Pull.Number, OnPull: true,
		}
	}
	return h, within(h)
}
