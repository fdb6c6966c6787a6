package forge

import (
	"errors"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Bitbucket Cloud's deliveries. Its nicknames are not unique, and so an account
// goes by its uuid.

type bucketUser struct {
	UUID        string `json:"uuid"`
	Nickname    string `json:"nickname"`
	DisplayName string `json:"display_name"`
}

func (u *bucketUser) actor() trigger.Actor {
	if u == nil {
		return trigger.Actor{}
	}
	name := u.Nickname
	if name == "" {
		name = u.DisplayName
	}
	return trigger.Actor{Login: u.UUID, ID: u.UUID, Name: name}
}

type bucketLink struct {
	Href string `json:"href"`
}

type bucketRepository struct {
	UUID     string `json:"uuid"`
	FullName string `json:"full_name"`
	Private  bool   `json:"is_private"`
	Links    struct {
		HTML bucketLink `json:"html"`
	} `json:"links"`
	Main struct {
		Name string `json:"name"`
	} `json:"mainbranch"`
}

func (r *bucketRepository) repository() trigger.Repository {
	if r == nil {
		return trigger.Repository{}
	}
	known := trigger.Repository{
		Name: r.FullName, ID: r.UUID, DefaultBranch: r.Main.Name, Link: r.Links.HTML.Href, Private: r.Private,
	}
	if known.Link != "" {
		known.Clone = strings.TrimSuffix(known.Link, "/") + ".git"
	}
	return known
}

type bucketEnd struct {
	Branch struct {
		Name string `json:"name"`
	} `json:"branch"`
	Commit struct {
		Hash string `json:"hash"` // 12 digits of it
	} `json:"commit"`
	Repository *bucketRepository `json:"repository"`
}

type bucketPull struct {
	ID          int         `json:"id"`
	Title       string      `json:"title"`
	State       string      `json:"state"`
	Draft       bool        `json:"draft"`
	Author      *bucketUser `json:"author"`
	Source      bucketEnd   `json:"source"`
	Destination bucketEnd   `json:"destination"`
	UpdatedOn   moment      `json:"updated_on"`
}

func (p *bucketPull) pull() *trigger.Pull {
	return &trigger.Pull{
		Number: p.ID, Title: p.Title, Author: p.Author.actor(), Draft: p.Draft,
		Base: p.Destination.Branch.Name, BaseSHA: p.Destination.Commit.Hash,
		Head: p.Source.Branch.Name, HeadSHA: p.Source.Commit.Hash, From: p.Source.Repository.repository(),
		Merged: p.State == "MERGED", Open: p.State == "OPEN",
	}
}

type bucketEnvelope struct {
	Repository *bucketRepository `json:"repository"`
	Actor      *bucketUser       `json:"actor"`
}

func (e bucketEnvelope) happening(event, action string) trigger.Happening {
	return trigger.Happening{Event: event, Action: action, Repository: e.Repository.repository(), Actor: e.Actor.actor()}
}

// bucketEvents are Actions' words. Bitbucket sends updated for new commits and
// for a new title alike, and does not say which.
var bucketEvents = map[string][2]string{
	"pullrequest:created":         {"pull_request", "opened"},
	"pullrequest:updated":         {"pull_request", "synchronize"},
	"pullrequest:fulfilled":       {"pull_request", "closed"},
	"pullrequest:rejected":        {"pull_request", "closed"},
	"pullrequest:comment_created": {"issue_comment", "created"},
	"pullrequest:comment_updated": {"issue_comment", "edited"},
	"pullrequest:comment_deleted": {"issue_comment", "deleted"},
}

func readBitbucket(event string, body []byte) (trigger.Happening, error) {
	if event == "repo:push" {
		return bucketPushed(body)
	}
	if words, known := bucketEvents[event]; known {
		return bucketPulled(words[0], words[1], body)
	}
	e, err := decode[bucketEnvelope](body)
	return e.happening(event, ""), err
}

type bucketRef struct {
	Type   string `json:"type"` // branch, named_branch, tag, bookmark
	Name   string `json:"name"`
	Target struct {
		Hash    string `json:"hash"`
		Message string `json:"message"`
	} `json:"target"`
}

func (r *bucketRef) ref() string {
	if r.Type == "tag" || r.Type == "annotated_tag" {
		return "refs/tags/" + r.Name
	}
	return "refs/heads/" + r.Name
}

type bucketPush struct {
	bucketEnvelope
	Push struct {
		Changes []struct {
			Old *bucketRef `json:"old"`
			New *bucketRef `json:"new"`
		} `json:"changes"`
	} `json:"push"`
}

// bucketPushed reads a push of any number of refs: the first is the happening,
// the others are its Also.
func bucketPushed(body []byte) (trigger.Happening, error) {
	e, err := decode[bucketPush](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	var all []trigger.Happening
	for _, change := range e.Push.Changes {
		h := e.happening("push", "")
		var was, is string
		switch {
		case change.New != nil:
			h.Ref, is, h.Message = change.New.ref(), change.New.Target.Hash, change.New.Target.Message
		case change.Old != nil:
			h.Ref = change.Old.ref()
		}
		if change.Old != nil {
			was = change.Old.Target.Hash
		}
		if h.Before, h.SHA, err = moved(was, is); err != nil {
			return h, err
		}
		if err := refName(h.Ref); err != nil {
			return h, err
		}
		h.Deleted = h.SHA == ""
		all = append(all, h)
	}
	return together(all)
}

// together makes one happening of the refs of one push.
func together(all []trigger.Happening) (trigger.Happening, error) {
	if len(all) == 0 {
		return trigger.Happening{}, errors.New("the push moved no ref")
	}
	h := all[0]
	h.Also = all[1:]
	if len(h.Also) == 0 {
		h.Also = nil
	}
	return h, within(h)
}

func bucketPulled(event, action string, body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		bucketEnvelope
		Pull    *bucketPull `json:"pullrequest"`
		Comment *struct {
			Content struct {
				Raw string `json:"raw"`
			} `json:"content"`
			User      *bucketUser `json:"user"`
			UpdatedOn moment      `json:"updated_on"`
		} `json:"comment"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event, action)
	if e.Pull == nil || event == "issue_comment" && e.Comment == nil {
		return h, errors.New("it has no pullrequest, or no comment")
	}
	h.Pull = e.Pull.pull()
	if err := pulled(h.Pull, true); err != nil {
		return h, err
	}
	h.SHA, h.Ref, h.At = h.Pull.HeadSHA, mergeRef(h.Pull.Number), e.Pull.UpdatedOn.Time
	if event == "issue_comment" {
		h.Comment = &trigger.Comment{
			Body: e.Comment.Content.Raw, Author: e.Comment.User.actor(), Issue: h.Pull.Number, OnPull: true,
		}
		h.At = e.Comment.UpdatedOn.Time
	}
	return h, within(h)
}
