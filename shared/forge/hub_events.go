package forge

import (
	"errors"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// A dialect is how one of the forges that resemble GitHub differs from it.
type dialect struct {
	actions map[string]string // of pull requests
	drafts  bool              // by the title's prefix
	silent  bool              // no delivery names the commit of a pull request
}

var (
	githubDialect = dialect{}
	giteaDialect  = dialect{drafts: true, actions: map[string]string{
		"synchronized": "synchronize", "label_updated": "labeled", "label_cleared": "unlabeled", "reviewed": "submitted",
	}}
	gogsDialect = dialect{silent: true, actions: giteaDialect.actions}
)

func readGitHub(event string, body []byte) (trigger.Happening, error) {
	return githubDialect.read(event, body)
}

func readGogs(event string, body []byte) (trigger.Happening, error) {
	return gogsDialect.read(event, body)
}

// readGitea knows reviews by Gitea's words for them.
func readGitea(event string, body []byte) (trigger.Happening, error) {
	switch event {
	case "pull_request_approved", "pull_request_rejected", "pull_request_comment":
		return giteaDialect.read("pull_request_review", body)
	}
	return giteaDialect.read(event, body)
}

func (d dialect) read(event string, body []byte) (h trigger.Happening, err error) {
	switch event {
	case "push":
		p, err := decode[hubPush](body)
		if err != nil {
			return h, err
		}
		return p.happening(event)
	case "create", "delete":
		r, err := decode[hubRef](body)
		if err != nil {
			return h, err
		}
		return r.happening(event)
	case "pull_request", "pull_request_review", "pull_request_review_comment":
		return d.pullRequest(event, body)
	case "issue_comment":
		return d.issueComment(event, body)
	case "release":
		return d.release(event, body)
	case "workflow_dispatch", "merge_group":
		return d.started(event, body)
	case "check_run", "check_suite":
		return d.check(event, body)
	}
	e, err := decode[hubEnvelope](body)
	return e.happening(event), err
}

type hubComment struct {
	Body      string   `json:"body"`
	User      *hubUser `json:"user"`
	UpdatedAt moment   `json:"updated_at"`
}

type hubPullEvent struct {
	hubEnvelope
	Number      int         `json:"number"`
	PullRequest *hubPull    `json:"pull_request"`
	Comment     *hubComment `json:"comment"`
	Review      *struct {
		Body    string   `json:"body"`
		Content string   `json:"content"` // Gitea
		User    *hubUser `json:"user"`
	} `json:"review"`
	Changes struct {
		Title *struct {
			From string `json:"from"`
		} `json:"title"`
	} `json:"changes"`
}

func (d dialect) pullRequest(event string, body []byte) (trigger.Happening, error) {
	e, err := decode[hubPullEvent](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event)
	if e.PullRequest == nil {
		return h, errors.New("it has no pull_request")
	}
	if e.PullRequest.Number == 0 {
		e.PullRequest.Number = e.Number
	}
	h.Pull = e.PullRequest.pull()
	if err := pulled(h.Pull, !d.silent); err != nil {
		return h, err
	}
	if word, known := d.actions[h.Action]; known {
		h.Action = word
	}
	if d.drafts {
		h.Pull.Draft = h.Pull.Draft || draftTitle(h.Pull.Title)
		if was := e.Changes.Title; was != nil && h.Action == "edited" {
			h.Action = drafted(draftTitle(was.From), h.Pull.Draft, h.Action)
		}
	}
	h.SHA = h.Pull.HeadSHA
	h.Ref = mergeRef(h.Pull.Number)
	h.At = e.PullRequest.UpdatedAt.Time
	switch {
	case e.Comment != nil:
		h.Comment = &trigger.Comment{Body: e.Comment.Body, Author: e.Comment.User.actor()}
	case e.Review != nil:
		author := e.Review.User.actor()
		if e.Review.User == nil { // Gitea: whoever reviews is the sender
			author = h.Actor
		}
		h.Comment = &trigger.Comment{Body: e.Review.Body + e.Review.Content, Author: author}
	}
	if h.Comment != nil {
		h.Comment.Issue, h.Comment.OnPull = h.Pull.Number, true
	}
	return h, within(h)
}

// draftTitle tells a draft by its title, as Gitea and old GitLabs do.
func draftTitle(title string) bool {
	title = strings.ToLower(strings.TrimSpace(title))
	for _, prefix := range []string{"wip:", "[wip]", "draft:", "[draft]", "(draft)"} {
		if strings.HasPrefix(title, prefix) {
			return true
		}
	}
	return false
}

// drafted is the action of a change from or to a draft.
func drafted(was, is bool, otherwise string) string {
	switch {
	case was && !is:
		return "ready_for_review"
	case !was && is:
		return "converted_to_draft"
	}
	return otherwise
}

type hubIssueEvent struct {
	hubEnvelope
	Issue *struct {
		Number int        `json:"number"`
		Title  string     `json:"title"`
		State  string     `json:"state"`
		User   *hubUser   `json:"user"`
		Labels []hubLabel `json:"labels"`
		Draft  bool       `json:"draft"`
		Pull   *struct {
			Merged   bool    `json:"merged"`
			MergedAt *moment `json:"merged_at"`
		} `json:"pull_request"`
	} `json:"issue"`
	Comment *hubComment `json:"comment"`
	IsPull  bool        `json:"is_pull"` // Gitea
}

// issueComment tells of the pull request what the issue does: not its branches
// and commit. Fork holds until the forge was asked.
func (d dialect) issueComment(event string, body []byte) (trigger.Happening, error) {
	e, err := decode[hubIssueEvent](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event)
	if e.Issue == nil || e.Comment == nil || e.Issue.Number <= 0 {
		return h, errors.New("it has no issue, or no comment")
	}
	i := e.Issue
	h.Comment = &trigger.Comment{
		Body: e.Comment.Body, Author: e.Comment.User.actor(), Issue: i.Number, OnPull: e.IsPull || i.Pull != nil,
	}
	if h.Comment.OnPull {
		h.Pull = &trigger.Pull{
			Number: i.Number, Title: i.Title, Author: i.User.actor(), Labels: labelNames(i.Labels),
			Draft: i.Draft || d.drafts && draftTitle(i.Title), Open: i.State == "open",
			Merged: i.Pull != nil && (i.Pull.Merged || i.Pull.MergedAt != nil),
		}
	}
	h.Ref = defaultRef(h.Repository)
	h.At = e.Comment.UpdatedAt.Time
	return h, within(h)
}

func defaultRef(r trigger.Repository) string {
	if refName(r.DefaultBranch) != nil {
		return ""
	}
	return "refs/heads/" + r.DefaultBranch
}

func (d dialect) release(event string, body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		hubEnvelope
		Release *struct {
			Tag         string `json:"tag_name"`
			CreatedAt   moment `json:"created_at"`
			PublishedAt moment `json:"published_at"`
		} `json:"release"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event)
	if e.Release == nil {
		return h, errors.New("it has no release")
	}
	h.Action = released(h.Action)
	h.Ref = "refs/tags/" + e.Release.Tag
	h.At = latest(e.Release.CreatedAt, e.Release.PublishedAt)
	if err := refName(h.Ref); err != nil {
		return h, err
	}
	return h, within(h)
}

// released gives Actions' word where a forge has a verb of its own; Gitea's are
// GitHub's.
func released(action string) string {
	switch action {
	case "create":
		return "published"
	case "update", "updated":
		return "edited"
	case "delete":
		return "deleted"
	}
	return action
}

// started reads what GitHub alone has: a run by hand, and the merge queue.
func (d dialect) started(event string, body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		hubEnvelope
		Ref   string `json:"ref"`
		Group *struct {
			HeadRef string `json:"head_ref"`
			HeadSHA string `json:"head_sha"`
		} `json:"merge_group"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event)
	h.Ref = e.Ref
	if e.Group != nil {
		h.Ref, h.SHA = e.Group.HeadRef, e.Group.HeadSHA
		if err := commitName(h.SHA, true); err != nil {
			return h, err
		}
	}
	if err := refName(h.Ref); err != nil {
		return h, err
	}
	return h, within(h)
}

// check reads GitHub's events of check runs and suites, of which somebody may ask
// for another run. Of the others only the event matters.
func (d dialect) check(event string, body []byte) (trigger.Happening, error) {
	e, err := decode[struct {
		hubEnvelope
		Run *struct {
			SHA  string `json:"head_sha"`
			Name string `json:"name"`
		} `json:"check_run"`
		Suite *struct {
			SHA string `json:"head_sha"`
		} `json:"check_suite"`
	}](body)
	if err != nil {
		return trigger.Happening{}, err
	}
	h := e.happening(event)
	if h.Action != "rerequested" {
		return h, nil
	}
	switch {
	case event == "check_run" && e.Run != nil && e.Run.Name != "":
		h.SHA, h.Rerun = e.Run.SHA, &trigger.Rerun{Context: e.Run.Name}
	case event == "check_suite" && e.Suite != nil:
		h.SHA, h.Rerun = e.Suite.SHA, &trigger.Rerun{}
	default:
		return h, errors.New("it does not say what is to run again")
	}
	if err := commitName(h.SHA, true); err != nil {
		return h, err
	}
	return h, within(h)
}
