package forgetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

func (r *repository) labProject() object {
	if r == nil {
		return nil
	}
	return object{
		"id": r.id, "path_with_namespace": r.name, "default_branch": r.defaultBranch(), "visibility_level": 20,
		"git_http_url": r.server.Clone(r.name), "http_url_to_repo": r.server.Clone(r.name), "web_url": r.server.URL + "/" + r.name,
	}
}

func labState(p trigger.Pull) string {
	switch {
	case p.Merged:
		return "merged"
	case p.Open:
		return "opened"
	}
	return "closed"
}

// Blocked is an account that GitLab keeps as a member, and lets do nothing.
const Blocked = "blocked"

func labUser(a trigger.Actor) object {
	state := "active"
	if a.Login == Blocked {
		state = "blocked"
	}
	return object{"id": accountID(a.Login), "username": a.Login, "state": state}
}

// gitlab answers /api/v4/users and /api/v4/projects/{id or path}/….
func (s *Server) gitlab(q request) answer {
	if len(q.path) < 3 || q.path[0] != "api" || q.path[1] != "v4" {
		return missing
	}
	if q.path[2] == "users" {
		return s.labUsers(q.query.Get("username"))
	}
	if len(q.path) < 4 || q.path[2] != "projects" {
		return missing
	}
	r := s.named(q.path[3])
	if r == nil {
		return said(http.StatusNotFound, "404 Project Not Found")
	}
	if len(q.path) == 4 {
		return found(r.labProject())
	}
	switch rest := strings.Join(q.path[4:], "/"); {
	case q.path[4] == "repository":
		return r.labRepository(q, q.path[5:])
	case q.path[4] == "merge_requests":
		return r.labMerge(q.path[5:])
	case strings.HasPrefix(rest, "members/all/"):
		return r.labMember(q.path[6])
	case q.path[4] == "statuses" && q.method == http.MethodPost:
		return r.labStatus(q, q.path[5])
	}
	return missing
}

// labUsers are those who have a level anywhere.
func (s *Server) labUsers(login string) answer {
	list := []object{}
	for _, r := range s.repos {
		if _, known := r.levels[login]; known && len(list) == 0 {
			list = append(list, labUser(trigger.Actor{Login: login}))
		}
	}
	return found(list)
}

func (r *repository) labMember(number string) answer {
	for login, level := range r.levels {
		if strconv.Itoa(accountID(login)) == number && level > trigger.None {
			return found(object{"id": accountID(login), "access_level": []int{0, 10, 20, 30, 40}[level]})
		}
	}
	return said(http.StatusNotFound, "404 Not found")
}

func (r *repository) labRepository(q request, path []string) answer {
	what, rest := path[0], path[1:]
	switch what {
	case "tree":
		sha := r.commit(q.query.Get("ref"))
		entries := r.folder(sha, q.query.Get("path"))
		if sha == "" || len(entries) == 0 {
			return said(http.StatusNotFound, "404 Tree Not Found")
		}
		list := []object{}
		for _, e := range entries {
			list = append(list, object{"path": e.path, "type": e.kind, "mode": e.mode})
		}
		return paged(q, "api/v4/projects/x/repository/tree", list, "per_page")
	case "files": // files/{path}/raw
		content, ok := r.file(r.commit(q.query.Get("ref")), rest[0])
		if !ok {
			return said(http.StatusNotFound, "404 File Not Found")
		}
		return found(content)
	case "compare":
		from, to := q.query.Get("from"), q.query.Get("to")
		if r.commit(from) == "" || r.commit(to) == "" {
			return said(http.StatusNotFound, "404 Ref Not Found")
		}
		return found(object{"diffs": labDiffs(r.diff(from, to, q.query.Get("straight") != "true")), "compare_timeout": false})
	}
	name := map[string]string{"branches": "refs/heads/", "tags": "refs/tags/"}[what] + rest[0]
	sha := r.commit(name)
	switch {
	case sha == "":
		return said(http.StatusNotFound, "404 Not Found")
	case len(rest) == 2: // commits/{sha}/statuses
		return r.labStatuses(sha, q.query.Get("name"))
	case what == "commits":
		return found(object{"id": sha, "message": r.message(sha)})
	}
	return found(object{"name": rest[0], "commit": object{"id": sha}})
}

func labDiffs(changes []change) []object {
	diffs := []object{}
	for _, c := range changes {
		diffs = append(diffs, object{"old_path": c.old, "new_path": c.new})
	}
	return diffs
}

func (r *repository) labMerge(path []string) answer {
	number, _ := strconv.Atoi(path[0])
	p, ok := r.pulls[number]
	switch {
	case !ok:
		return said(http.StatusNotFound, "404 Not found")
	case len(path) == 2:
		return found(object{"iid": number, "changes": labDiffs(r.changes(p)), "overflow": false})
	}
	o := object{
		"iid": number, "title": p.Title, "state": labState(p), "author": labUser(p.Author), "draft": p.Draft, "labels": append([]string{}, p.Labels...),
		"source_branch": p.Head, "target_branch": p.Base, "sha": p.HeadSHA, "target_project_id": r.id, "source_project_id": nil,
	}
	if from := r.server.from(p); from != nil {
		o["source_project_id"] = from.id
	}
	return found(o)
}

var labEvents = map[string]string{"pending": "enqueue", "running": "run", "success": "succeed", "failed": "drop", "canceled": "cancel"}

// labStatus holds GitLab's own rule: a state is moved to, never set again while
// it lasts. What has ended begins anew.
func (r *repository) labStatus(q request, sha string) answer {
	var in struct {
		State, Name, Description string
		Target                   string `json:"target_url"`
	}
	bound := q.bind(&in)
	event, known := labEvents[in.State]
	if !bound || !known {
		return said(http.StatusBadRequest, "state does not have a valid value")
	}
	if sha = r.commit(sha); sha == "" {
		return said(http.StatusNotFound, "404 Commit Not Found")
	}
	now, _ := r.latest(sha, in.Name)
	if lasts := now.State == "pending" || now.State == "running"; lasts && in.State == "pending" || now.State == "running" && in.State == "running" {
		return said(http.StatusBadRequest, fmt.Sprintf("Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, now.State, event))
	}
	r.tell(sha, Told{in.Name, in.State, in.Description, in.Target})
	return answer{status: http.StatusCreated, body: object{"name": in.Name, "status": in.State}}
}

func (r *repository) labStatuses(sha, name string) answer {
	list := []object{}
	if now, known := r.latest(sha, name); known {
		list = append(list, object{"name": name, "status": now.State})
	}
	return found(list)
}
