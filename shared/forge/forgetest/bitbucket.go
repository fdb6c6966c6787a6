package forgetest

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Account is the uuid by which Bitbucket Cloud names an account.
func Account(login string) string {
	return fmt.Sprintf("{00000000-0000-4000-8000-%012x}", accountID(login))
}

func bucketUser(a trigger.Actor) object {
	return object{"uuid": a.Login, "nickname": a.Name, "type": "user"}
}

func (r *repository) bucket() object {
	if r == nil {
		return nil
	}
	return object{
		"uuid": fmt.Sprintf("{00000000-0000-4000-9000-%012x}", r.id), "full_name": r.name, "is_private": false,
		"links": object{"html": object{"href": r.server.URL + "/" + r.name}},
	}
}

// bucketPull abbreviates the commits, as Bitbucket Cloud does.
func (r *repository) bucketPull(p trigger.Pull) object {
	state := "DECLINED"
	if p.Merged {
		state = "MERGED"
	} else if p.Open {
		state = "OPEN"
	}
	end := func(branch, sha string, repo *repository) object {
		return object{"branch": object{"name": branch}, "commit": object{"hash": sha[:min(12, len(sha))]}, "repository": repo.bucket()}
	}
	return object{
		"id": p.Number, "title": p.Title, "state": state, "draft": p.Draft, "author": bucketUser(p.Author),
		"source": end(p.Head, p.HeadSHA, r.server.from(p)), "destination": end(p.Base, r.commit("refs/heads/"+p.Base), r),
	}
}

// bucketPaged has numbers of pages, or for the source words that mean nothing.
func bucketPaged(q request, all []object, word string) answer {
	per, _ := strconv.Atoi(q.query.Get("pagelen"))
	if per <= 0 {
		per = 10
	}
	page, _ := strconv.Atoi(strings.TrimPrefix(q.query.Get("page"), word))
	page = max(page, 1)
	start := min((page-1)*per, len(all))
	end := min(start+per, len(all))
	o := object{"values": all[start:end], "pagelen": per}
	if end < len(all) {
		o["next"] = fmt.Sprintf("%s/%s?pagelen=%d&page=%s%d", q.base, strings.Join(q.path, "/"), per, word, page+1)
	}
	return found(o)
}

// bitbucket answers /2.0/repositories/{workspace}/{slug}/… and
// /2.0/workspaces/{workspace}/permissions/repositories/{slug}.
func (s *Server) bitbucket(q request) answer {
	if len(q.path) == 6 && q.path[1] == "workspaces" && q.path[3] == "permissions" {
		return s.bucketPermissions(q, q.path[2]+"/"+q.path[5])
	}
	if len(q.path) < 5 || q.path[0] != "2.0" || q.path[1] != "repositories" {
		return missing
	}
	r := s.repos[q.path[2]+"/"+q.path[3]]
	if r == nil {
		return missing
	}
	what, rest := q.path[4], q.path[5:]
	switch {
	case what == "src" && len(rest) > 1:
		return r.bucketSource(q, r.commit(rest[0]), strings.Join(rest[1:], "/"))
	case what == "commit" && len(rest) == 1:
		sha := r.commit(rest[0])
		if sha == "" {
			return missing
		}
		return found(object{"hash": sha, "message": r.message(sha)})
	case what == "commit" && len(rest) == 3 && q.method == http.MethodPost:
		return r.bucketStatus(q, rest[0])
	case what == "refs" && len(rest) > 1:
		sha := r.commit(map[string]string{"branches": "refs/heads/", "tags": "refs/tags/"}[rest[0]] + strings.Join(rest[1:], "/"))
		if sha == "" {
			return missing
		}
		return found(object{"name": strings.Join(rest[1:], "/"), "target": object{"hash": sha}})
	case what == "diffstat" && len(rest) == 1:
		head, base, _ := strings.Cut(rest[0], "..") // the other way round than git's
		if r.commit(head) == "" || r.commit(base) == "" {
			return missing
		}
		return bucketPaged(q, bucketStats(r.diff(base, head, false)), "")
	case what == "pullrequests":
		return r.bucketPulls(q, rest)
	}
	return missing
}

func (r *repository) bucketSource(q request, sha, name string) answer {
	if sha == "" {
		return missing
	}
	if entries := r.folder(sha, name); entries != nil {
		list := []object{}
		for _, e := range entries {
			o := object{"path": e.path, "type": "commit_file"}
			if e.kind == "tree" {
				o["type"] = "commit_directory"
			}
			list = append(list, o)
		}
		return bucketPaged(q, list, "Ab")
	}
	content, ok := r.file(sha, name)
	if !ok {
		return missing
	}
	return found(content)
}

func bucketStats(changes []change) []object {
	list := []object{}
	for _, c := range changes {
		o := object{"status": "modified", "old": object{"path": c.old}, "new": object{"path": c.new}}
		if c.old != c.new {
			o["status"] = "renamed"
		}
		list = append(list, o)
	}
	return list
}

func (r *repository) bucketPulls(q request, rest []string) answer {
	number, _ := strconv.Atoi(rest[0])
	p, ok := r.pulls[number]
	switch {
	case !ok:
		return missing
	case len(rest) == 2:
		return bucketPaged(q, bucketStats(r.changes(p)), "")
	}
	return found(r.bucketPull(p))
}

func (s *Server) bucketPermissions(q request, name string) answer {
	r := s.repos[name]
	if r == nil {
		return missing
	}
	list := []object{}
	for login, level := range r.levels {
		if level != trigger.None && q.query.Get("q") == fmt.Sprintf("user.uuid=%q", login) {
			list = append(list, object{"permission": []string{"", "read", "read", "write", "admin"}[level], "user": object{"uuid": login}})
		}
	}
	return found(object{"values": list})
}

func (r *repository) bucketStatus(q request, sha string) answer {
	return r.build(q, sha, 40, []string{"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"}, http.StatusCreated)
}

// build takes a status of either Bitbucket.
func (r *repository) build(q request, sha string, keyMost int, states []string, ok int) answer {
	var in struct{ Key, State, Name, URL, Description string }
	switch {
	case !q.bind(&in) || !slices.Contains(states, in.State):
		return said(http.StatusBadRequest, "state: not a valid choice")
	case in.Key == "" || len(in.Key) > keyMost:
		return said(http.StatusBadRequest, "key: too long, or none")
	case in.URL == "" || len(in.Description) > math.MaxUint8*4:
		return said(http.StatusBadRequest, "url: this field is required")
	case r.commit(sha) == "":
		return missing
	}
	r.tell(r.commit(sha), Told{in.Key, in.State, in.Description, in.URL})
	return answer{status: ok}
}
