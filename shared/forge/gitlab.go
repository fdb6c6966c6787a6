package forge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// GitLab's deliveries. It tells whether a push was forced nowhere, and so its
// commits' paths are not taken for all that changed.

type labUser struct {
	ID       id     `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
}

func (u *labUser) actor() trigger.Actor {
	if u == nil {
		return trigger.Actor{}
	}
	return trigger.Actor{Login: u.Username, ID: string(u.ID), Name: u.Name}
}

type labProject struct {
	ID            id     `json:"id"`
	Path          string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
	CloneURL      string `json:"git_http_url"`
	WebURL        string `json:"web_url"`
	Visibility    *int   `json:"visibility_level"` // 20: public
}

func (p *labProject) repository() trigger.Repository {
	if p == nil {
		return trigger.Repository{}
	}
	return trigger.Repository{
		Name: p.Path, ID: string(p.ID), DefaultBranch: p.DefaultBranch,
		Clone: p.CloneURL, Link: p.WebURL, Private: p.Visibility != nil && *p.Visibility < 20,
	}
}

type labLabel struct {
	Title string `json:"title"`
}

func labLabels(labels []labLabel) []string {
	var names []string
	for _, l := range labels {
		names = append(names, l.Title)
	}
	return names
}

type labCommit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

type labMerge struct {
	IID             int         `json:"iid"`
	Title           string      `json:"title"`
	State           string      `json:"state"`
	AuthorID        id          `json:"author_id"`
	SourceBranch    string      `json:"source_branch"`
	TargetBranch    string      `json:"target_branch"`
	SourceProjectID id          `json:"source_project_id"`
	Source          *labProject `json:"source"`
	LastCommit      labCommit   `json:"last_commit"`
	Draft           bool        `json:"draft"`
	WIP             bool        `json:"work_in_progress"`
	Labels          []labLabel  `json:"labels"`
	Action          string      `json:"action"`
	OldRev          string      `json:"oldrev"`
	UpdatedAt       moment      `json:"updated_at"`
}

func (m *labMerge) pull(by trigger.Actor) *trigger.Pull {
	p := &trigger.Pull{
		Number: m.IID, Title: m.Title, Author: trigger.Actor{ID: string(m.AuthorID)},
		Base: m.TargetBranch, Head: m.SourceBranch, HeadSHA: m.LastCommit.ID,
		From: m.Source.repository(), Labels: labLabels(m.Labels), Draft: m.Draft || m.WIP,
		Merged: m.State == "merged", Open: m.State == "opened",
	}
	p.From.ID = string(m.SourceProjectID)
	if m.AuthorID != "" && m.AuthorID == id(by.ID) {
		p.Author = by
	}
	return p
}

type labEnvelope struct {
	Kind    string      `json:"object_kind"`
	Name    string      `json:"event_name"`
	User    *labUser    `json:"user"`
	Project *labProject `json:"project"`
}

func (e labEnvelope) happening(event, action string) trigger.Happening {
	return trigger.Happening{Event: event, Action: action, Repository: e.Project.repository(), Actor: e.User.actor()}
}

// readGitLab goes by the body's word; a system hook's header says no more than
// that it is one.
func readGitLab(_ string, body []byte) (trigger.Happening, error) {
	what, err := decode[struct {
		Kind string `json:"object_kind"`
		Name string `json:"event_name"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	switch what.Kind {
	case "push", "tag_push":
		return labPush(body)
	case "merge_request":
		return labMergeRequest(body)
	case "note":
		return labNote(body)
	case "release":
		return labRelease(body)
	}
	event := what.Kind
	if event == "" {
		event = what.Name
	}
	if !word.MatchString(event) {
		return trigger.Happening{}, fmt.Errorf("neither object_kind nor event_name is an event: %.100q", event)
	}
	if event == "issue" || event == "work_item" {
		return labIssue(body)
	}
	// Not all of them have a user and a project, or have them in this form.
	e, err := decode[labEnvelope](body)
	if err != nil {
		return trigger.Happening{Event: event}, nil //nolint:nilerr // nothing is needed of it
	}
	return e.happening(event, ""), nil
}

func labPush(body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		labEnvelope
		Ref      string      `json:"ref"`
		Before   string      `json:"before"`
		After    string      `json:"after"`
		Checkout string      `json:"checkout_sha"`
		UserID   id          `json:"user_id"`
		Username string      `json:"user_username"`
		UserName string      `json:"user_name"`
		Commits  []labCommit `json:"commits"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening("push", "")
	h.Actor = trigger.Actor{Login: e.Username, ID: string(e.UserID), Name: e.UserName}
	h.Ref = e.Ref
	if err := refName(h.Ref); err != nil || !strings.HasPrefix(h.Ref, "refs/") {
		return h, errors.Join(err, errors.New("it names no ref"))
	}
	if h.Before, h.SHA, err = moved(e.Before, e.After); err != nil {
		return h, err
	}
	h.Deleted = h.SHA == ""
	// Of an annotated tag, after is the tag, not the commit.
	if !h.Deleted && commitName(e.Checkout, true) == nil {
		h.SHA = e.Checkout
	}
	for _, c := range e.Commits {
		if c.ID == h.SHA {
			h.Message = c.Message
		}
	}
	return h, within(h)
}

// A labChange is what an attribute was and is.
type labChange[T any] struct {
	Previous T `json:"previous"`
	Current  T `json:"current"`
}

type labChanges struct {
	Draft  *labChange[bool]       `json:"draft"`
	Title  *labChange[string]     `json:"title"`
	Labels *labChange[[]labLabel] `json:"labels"`
}

var labActions = map[string]string{"open": "opened", "close": "closed", "reopen": "reopened", "merge": "closed"}

func labMergeRequest(body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		labEnvelope
		Merge   *labMerge  `json:"object_attributes"`
		Labels  []labLabel `json:"labels"`
		Changes labChanges `json:"changes"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	if e.Merge == nil {
		return trigger.Happening{}, errors.New("it has no object_attributes")
	}
	h := e.happening("pull_request", e.Merge.Action)
	if word, known := labActions[h.Action]; known {
		h.Action = word
	}
	if h.Action == "update" {
		h.Action = e.Changes.action(e.Merge.OldRev != "")
	}
	if len(e.Merge.Labels) == 0 {
		e.Merge.Labels = e.Labels
	}
	return merged(h, e.Merge)
}

// action tells an update by what changed most: the commit, the draft, labels.
func (c labChanges) action(pushed bool) string {
	if pushed {
		return "synchronize"
	}
	if c.Draft != nil {
		return drafted(c.Draft.Previous, c.Draft.Current, "edited")
	}
	if c.Title != nil {
		if action := drafted(draftTitle(c.Title.Previous), draftTitle(c.Title.Current), ""); action != "" {
			return action
		}
	}
	if c.Labels != nil {
		for _, l := range c.Labels.Current {
			if !slices.Contains(c.Labels.Previous, l) {
				return "labeled"
			}
		}
		return "unlabeled"
	}
	return "edited"
}

// merged sets what is known of a merge request.
func merged(h trigger.Happening, m *labMerge) (trigger.Happening, error) {
	h.Pull = m.pull(h.Actor)
	if err := pulled(h.Pull, true); err != nil {
		return h, err
	}
	h.SHA = h.Pull.HeadSHA
	h.Ref = mergeRef(h.Pull.Number)
	h.At = m.UpdatedAt.Time
	return h, within(h)
}

func labNote(body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		labEnvelope
		Note *struct {
			Body      string `json:"note"`
			On        string `json:"noteable_type"` //nolint:misspell // GitLab's word
			Action    string `json:"action"`
			AuthorID  id     `json:"author_id"`
			UpdatedAt moment `json:"updated_at"`
		} `json:"object_attributes"`
		Merge *labMerge `json:"merge_request"`
		Issue *struct {
			IID int `json:"iid"`
		} `json:"issue"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	if e.Note == nil {
		return trigger.Happening{}, errors.New("it has no object_attributes")
	}
	h := e.happening("issue_comment", "created")
	if e.Note.Action == "update" {
		h.Action = "edited"
	}
	if h.Actor.ID == "" {
		h.Actor.ID = string(e.Note.AuthorID)
	}
	h.Comment = &trigger.Comment{Body: e.Note.Body, Author: h.Actor}
	switch {
	case e.Note.On == "MergeRequest" && e.Merge != nil:
		if h, err = merged(h, e.Merge); err != nil {
			return h, err
		}
		h.Comment.Issue, h.Comment.OnPull = e.Merge.IID, true
	case e.Note.On == "Issue" && e.Issue != nil:
		h.Comment.Issue = e.Issue.IID
		h.Ref = defaultRef(h.Repository)
	default: // to a commit or a snippet
		h.Event = "note"
	}
	h.At = e.Note.UpdatedAt.Time
	return h, within(h)
}

func labRelease(body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		labEnvelope
		Action     string    `json:"action"`
		Tag        string    `json:"tag"`
		Commit     labCommit `json:"commit"`
		ReleasedAt moment    `json:"released_at"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening("release", released(e.Action))
	h.Ref = "refs/tags/" + e.Tag
	h.At = e.ReleasedAt.Time
	h.Message = e.Commit.Message
	if commitName(e.Commit.ID, true) == nil {
		h.SHA = e.Commit.ID
	}
	if err := refName(h.Ref); err != nil {
		return h, err
	}
	return h, within(h)
}

func labIssue(body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		labEnvelope
		Issue struct {
			Action string `json:"action"`
		} `json:"object_attributes"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening("issues", e.Issue.Action)
	switch word, known := labActions[h.Action]; {
	case known:
		h.Action = word
	case h.Action == "update":
		h.Action = "edited"
	}
	h.Ref = defaultRef(h.Repository)
	return h, within(h)
}
