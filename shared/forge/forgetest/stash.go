package forgetest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

func stashUser(a trigger.Actor) object {
	return object{"id": accountID(a.Login), "name": a.Login, "slug": a.Login, "displayName": a.Login}
}

func (r *repository) stash() object {
	if r == nil {
		return nil
	}
	key, slug, _ := strings.Cut(r.name, "/")
	return object{"id": r.id, "slug": slug, "name": slug, "public": true, "project": object{"key": key}}
}

func (r *repository) stashPull(p trigger.Pull) object {
	state := "DECLINED"
	if p.Merged {
		state = "MERGED"
	} else if p.Open {
		state = "OPEN"
	}
	return object{
		"id": p.Number, "title": p.Title, "state": state, "open": p.Open, "draft": p.Draft, "author": object{"user": stashUser(p.Author)},
		"fromRef": object{"id": "refs/heads/" + p.Head, "latestCommit": p.HeadSHA, "repository": r.server.from(p).stash()},
		"toRef":   object{"id": "refs/heads/" + p.Base, "latestCommit": r.commit("refs/heads/" + p.Base), "repository": r.stash()},
	}
}

// stashPaged cuts a list by start and limit.
func stashPaged(q request, all []object) object {
	limit, _ := strconv.Atoi(q.query.Get("limit"))
	if limit <= 0 {
		limit = 25
	}
	start, _ := strconv.Atoi(q.query.Get("start"))
	start = min(max(start, 0), len(all))
	end := min(start+limit, len(all))
	o := object{"values": all[start:end], "size": end - start, "limit": limit, "start": start, "isLastPage": end == len(all), "nextPageStart": nil}
	if end < len(all) {
		o["nextPageStart"] = end
	}
	return o
}

func stashSaid(status int, message string) answer {
	return answer{status: status, body: object{"errors": []object{{"context": nil, "message": message}}}}
}

// stash answers /rest/api/1.0/users and
// /rest/api/1.0/projects/{key}/repos/{slug}/….
func (s *Server) stash(q request) answer {
	if len(q.path) == 4 && q.path[3] == "users" {
		return s.stashUsers(q)
	}
	if len(q.path) < 8 || strings.Join(q.path[:4], "/") != "rest/api/1.0/projects" || q.path[5] != "repos" {
		return stashSaid(http.StatusNotFound, "null for uri")
	}
	r := s.repos[q.path[4]+"/"+q.path[6]]
	if r == nil {
		return stashSaid(http.StatusNotFound, "Repository "+q.path[4]+"/"+q.path[6]+" does not exist.")
	}
	what, rest := q.path[7], strings.Join(q.path[8:], "/")
	switch {
	case what == "browse" || what == "raw":
		return r.stashSource(q, what, rest)
	case what == "compare":
		from, to := q.query.Get("from"), q.query.Get("to")
		if r.commit(from) == "" || r.commit(to) == "" {
			return stashSaid(http.StatusNotFound, "Commit does not exist")
		}
		return found(stashPaged(q, stashChanges(r.diff(to, from, true))))
	case what == "commits" && strings.HasSuffix(rest, "/builds") && q.method == http.MethodPost:
		states := []string{"SUCCESSFUL", "FAILED", "INPROGRESS", "CANCELLED", "UNKNOWN"}
		return r.build(q, strings.TrimSuffix(rest, "/builds"), 255, states, http.StatusNoContent)
	case what == "commits":
		return r.stashCommits(q, rest)
	case what == "pull-requests":
		number, _ := strconv.Atoi(q.path[8])
		p, ok := r.pulls[number]
		switch {
		case !ok:
			return stashSaid(http.StatusNotFound, "Pull request does not exist")
		case strings.HasSuffix(rest, "/changes"):
			return found(stashPaged(q, stashChanges(r.changes(p))))
		}
		return found(r.stashPull(p))
	}
	return stashSaid(http.StatusNotFound, "null for uri")
}

func stashChanges(changes []change) []object {
	list := []object{}
	for _, c := range changes {
		o := object{"path": object{"toString": c.new}, "type": "MODIFY"}
		if c.old != c.new {
			o["type"], o["srcPath"] = "MOVE", object{"toString": c.old}
		}
		list = append(list, o)
	}
	return list
}

// stashSource names what a folder has by paths that begin there.
func (r *repository) stashSource(q request, what, name string) answer {
	sha := r.commit(q.query.Get("at"))
	entries := r.folder(sha, name)
	content, isFile := r.file(sha, name)
	switch {
	case sha == "" || len(entries) == 0 && !isFile:
		return stashSaid(http.StatusNotFound, "The path does not exist at this revision")
	case what == "raw":
		return found(content)
	case isFile:
		return found(object{"lines": []object{}})
	}
	list := []object{}
	for _, e := range entries {
		kind := map[string]string{"tree": "DIRECTORY", "commit": "SUBMODULE", "blob": "FILE"}[e.kind]
		list = append(list, object{"path": object{"toString": strings.TrimPrefix(e.path, name+"/")}, "type": kind})
	}
	return found(object{"children": stashPaged(q, list)})
}

// stashCommits answers commits?until={ref} and commits/{sha}.
func (r *repository) stashCommits(q request, sha string) answer {
	at := r.commit(sha + q.query.Get("until"))
	if at == "" {
		return stashSaid(http.StatusNotFound, "Commit does not exist in the repository.")
	}
	o := object{"id": at, "message": r.message(at)}
	if sha != "" {
		return found(o)
	}
	return found(stashPaged(q, []object{o}))
}

// stashUsers are those whose name has the filter in it and who have the right.
func (s *Server) stashUsers(q request) answer {
	r := s.repos[q.query.Get("permission.1.projectKey")+"/"+q.query.Get("permission.1.repositorySlug")]
	least := map[string]trigger.Level{"REPO_READ": trigger.Read, "REPO_WRITE": trigger.Write, "REPO_ADMIN": trigger.Admin}[q.query.Get("permission.1")]
	if r == nil || least == trigger.None {
		return stashSaid(http.StatusBadRequest, "permission.1 is not one")
	}
	list := []object{}
	for login, level := range r.levels {
		if level >= least && strings.Contains(login, q.query.Get("filter")) {
			list = append(list, stashUser(trigger.Actor{Login: login}))
		}
	}
	return found(stashPaged(q, list))
}
