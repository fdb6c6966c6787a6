package forgetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// headers of each kind: the event's, the delivery's and the signature's.
var headers = map[string][3]string{
	forge.GitHub:    {"X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256"},
	forge.GitLab:    {"X-Gitlab-Event", "Idempotency-Key", "X-Gitlab-Token"},
	forge.Gitea:     {"X-Gitea-Event", "X-Gitea-Delivery", "X-Gitea-Signature"},
	forge.Bitbucket: {"X-Event-Key", "X-Request-UUID", "X-Hub-Signature"},
	forge.Stash:     {"X-Event-Key", "X-Request-Id", "X-Hub-Signature"},
	forge.Gogs:      {"X-Gogs-Event", "X-Gogs-Delivery", "X-Gogs-Signature"},
}

// Sign makes the headers of a delivery, as a forge of the kind sends them.
func Sign(kind, secret, event, delivery string, body []byte) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(headers[kind][0], event)
	h.Set(headers[kind][1], delivery)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	mark := hex.EncodeToString(mac.Sum(nil))
	switch kind {
	case forge.GitLab:
		mark = secret
	case forge.GitHub, forge.Bitbucket, forge.Stash:
		mark = "sha256=" + mark
	}
	h.Set(headers[kind][2], mark)
	return h
}

// A Delivery is one that the forge would send.
type Delivery struct {
	Event string
	Body  []byte
}

// Sign makes its headers.
func (d Delivery) Sign(kind, secret, id string) http.Header {
	return Sign(kind, secret, d.Event, id, d.Body)
}

func deliver(event string, body object) Delivery {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // of texts and numbers
	}
	return Delivery{event, text}
}

const noCommit = "0000000000000000000000000000000000000000"

// Push is what the forge sends of a ref (refs/heads/…, refs/tags/…) that somebody
// moved. Before is empty for a new one, after for one that was taken away.
func (s *Server) Push(repository, ref, before, after string, by trigger.Actor) Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repository]
	zero := func(sha string) string {
		if sha == "" {
			return noCommit
		}
		return sha
	}
	newest := object{"id": after, "message": ""}
	if after != "" {
		newest["message"] = r.message(after)
	}
	switch s.Kind {
	case forge.GitLab:
		kind, event := "push", "Push Hook"
		if strings.HasPrefix(ref, "refs/tags/") {
			kind, event = "tag_push", "Tag Push Hook"
		}
		return deliver(event, object{
			"object_kind": kind, "event_name": kind, "ref": ref, "before": zero(before), "after": zero(after), "checkout_sha": after,
			"user_id": accountID(by.Login), "user_username": by.Login, "project": r.labProject(), "commits": []object{newest},
		})
	case forge.Bitbucket:
		kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "refs/"), "/")
		side := func(sha string) object {
			if sha == "" {
				return nil
			}
			return object{"type": map[string]string{"heads": "branch", "tags": "tag"}[kind], "name": name, "target": object{"hash": sha, "message": r.message(sha)}}
		}
		return deliver("repo:push", object{
			"actor": bucketUser(by), "repository": r.bucket(), "push": object{"changes": []object{{"old": side(before), "new": side(after)}}},
		})
	case forge.Stash:
		return deliver("repo:refs_changed", object{
			"eventKey": "repo:refs_changed", "actor": stashUser(by), "repository": r.stash(), "toCommit": newest,
			"changes": []object{{"ref": object{"id": ref}, "refId": ref, "fromHash": zero(before), "toHash": zero(after)}},
		})
	}
	body := object{
		"ref": ref, "before": zero(before), "after": zero(after), "repository": r.hub(), "sender": hubUser(by), "pusher": hubUser(by),
		"head_commit": newest, "commits": []object{newest},
	}
	if after == "" {
		body["head_commit"], body["commits"] = nil, []object{}
	}
	return deliver("push", body)
}

// pullWords are each forge's own for Actions' actions of a pull request.
var pullWords = map[string]map[string]string{
	forge.GitLab:    {"opened": "open", "synchronize": "update", "closed": "close", "reopened": "reopen", "labeled": "update", "ready_for_review": "update"},
	forge.Gitea:     {"synchronize": "synchronized", "labeled": "label_updated"},
	forge.Bitbucket: {"opened": "pullrequest:created", "synchronize": "pullrequest:updated", "closed": "pullrequest:rejected"},
	forge.Stash:     {"opened": "pr:opened", "synchronize": "pr:from_ref_updated", "closed": "pr:declined"},
}

// Pull is what the forge sends of a pull request that was set, by an action of
// Actions: opened, synchronize, closed …
func (s *Server) Pull(repository, action string, number int, by trigger.Actor) Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repository]
	p := r.pulls[number]
	word := pullWords[s.Kind][action]
	switch s.Kind {
	case forge.GitLab:
		o := r.labMergeHook(p)
		o["action"] = word
		changes := object{}
		switch action {
		case "synchronize":
			o["oldrev"] = r.commit("refs/heads/" + p.Base)
		case "labeled":
			changes["labels"] = object{"previous": []object{}, "current": o["labels"]}
		case "ready_for_review":
			changes["draft"] = object{"previous": true, "current": false}
		}
		return deliver("Merge Request Hook", object{
			"object_kind": "merge_request", "user": labUser(by), "project": r.labProject(), "object_attributes": o, "changes": changes,
		})
	case forge.Bitbucket:
		return deliver(word, object{"actor": bucketUser(by), "repository": r.bucket(), "pullrequest": r.bucketPull(p)})
	case forge.Stash:
		return deliver(word, object{"eventKey": word, "actor": stashUser(by), "pullRequest": r.stashPull(p)})
	}
	if word == "" {
		word = action
	}
	return deliver("pull_request", object{
		"action": word, "number": number, "pull_request": r.hubPull(p), "repository": r.hub(), "sender": hubUser(by),
	})
}

// Rerequest is what GitHub sends when somebody asks for another run of a check
// run, by its name, or of all of a commit.
func (s *Server) Rerequest(repository, sha, name string, by trigger.Actor) Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := object{"action": "rerequested", "repository": s.repos[repository].hub(), "sender": hubUser(by)}
	if name == "" {
		body["check_suite"] = object{"head_sha": sha, "pull_requests": []object{}}
		return deliver("check_suite", body)
	}
	body["check_run"] = object{"name": name, "head_sha": sha, "check_suite": object{"head_sha": sha}}
	return deliver("check_run", body)
}

// labMergeHook is a merge request in a delivery, which is another than the API's.
func (r *repository) labMergeHook(p trigger.Pull) object {
	labels := []object{}
	for _, l := range p.Labels {
		labels = append(labels, object{"title": l})
	}
	o := object{
		"iid": p.Number, "title": p.Title, "state": labState(p), "author_id": accountID(p.Author.Login), "draft": p.Draft, "labels": labels,
		"source_branch": p.Head, "target_branch": p.Base, "last_commit": object{"id": p.HeadSHA}, "target_project_id": r.id, "source_project_id": nil,
	}
	if from := r.server.from(p); from != nil {
		o["source_project_id"], o["source"] = from.id, from.labProject()
	}
	return o
}

// Comment is what the forge sends of a comment to a pull request.
func (s *Server) Comment(repository, text string, number int, by trigger.Actor) Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repository]
	p := r.pulls[number]
	switch s.Kind {
	case forge.GitLab:
		return deliver("Note Hook", object{
			"object_kind": "note", "user": labUser(by), "project": r.labProject(), "merge_request": r.labMergeHook(p),
			"object_attributes": object{"note": text, "noteable_type": "MergeRequest", "author_id": accountID(by.Login)}, //nolint:misspell // GitLab's word
		})
	case forge.Bitbucket:
		return deliver("pullrequest:comment_created", object{
			"actor": bucketUser(by), "repository": r.bucket(), "pullrequest": r.bucketPull(p),
			"comment": object{"content": object{"raw": text}, "user": bucketUser(by)},
		})
	case forge.Stash:
		return deliver("pr:comment:added", object{
			"eventKey": "pr:comment:added", "actor": stashUser(by), "pullRequest": r.stashPull(p),
			"comment": object{"text": text, "author": stashUser(by)},
		})
	}
	return deliver("issue_comment", object{
		"action": "created", "repository": r.hub(), "sender": hubUser(by), "is_pull": true,
		"issue":   object{"number": p.Number, "title": p.Title, "state": "open", "user": hubUser(p.Author), "pull_request": object{"url": fmt.Sprint(s.URL, "/", number)}},
		"comment": object{"body": text, "user": hubUser(by)},
	})
}
