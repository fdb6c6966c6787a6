package forgetest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

type object = map[string]any

// What GitHub, Gitea and Gogs write alike.

func hubUser(a trigger.Actor) object {
	return object{"id": accountID(a.Login), "login": a.Login, "username": a.Login}
}

func (r *repository) hub() object {
	if r == nil {
		return nil
	}
	return object{
		"id": r.id, "name": r.name[strings.LastIndex(r.name, "/")+1:], "full_name": r.name, "private": false,
		"html_url": r.server.URL + "/" + r.name, "clone_url": r.server.Clone(r.name), "default_branch": r.defaultBranch(),
	}
}

// hubPull is a pull request, in the API and in deliveries.
func (r *repository) hubPull(p trigger.Pull) object {
	labels := []object{}
	for _, l := range p.Labels {
		labels = append(labels, object{"name": l})
	}
	o := object{
		"number": p.Number, "title": p.Title, "user": hubUser(p.Author), "draft": p.Draft, "labels": labels,
		"merged": p.Merged, "merged_at": nil, "state": map[bool]string{true: "open", false: "closed"}[p.Open],
		"head": object{"ref": p.Head, "sha": p.HeadSHA, "repo": r.server.from(p).hub()},
		"base": object{"ref": p.Base, "sha": r.commit("refs/heads/" + p.Base), "repo": r.hub()},
	}
	if p.Merged {
		o["merged_at"] = "2024-05-01T10:00:00Z"
	}
	return o
}

func hubFiles(changes []change) []object {
	files := []object{}
	for _, c := range changes {
		f := object{"filename": c.new, "status": "modified"}
		if c.old != c.new {
			f["status"], f["previous_filename"] = "renamed", c.old
		}
		files = append(files, f)
	}
	return files
}

// hubCommit is one of the API.
func (r *repository) hubCommit(sha string) object {
	return object{"sha": sha, "commit": object{"id": sha, "message": r.message(sha)}}
}

// contents is a folder's list, or a file.
func (r *repository) contents(q request, sha, name string) answer {
	if entries := r.folder(sha, name); entries != nil {
		list := []object{}
		for _, e := range entries {
			list = append(list, object{"path": e.path, "name": e.path[strings.LastIndex(e.path, "/")+1:], "type": e.word()})
		}
		return found(list)
	}
	content, ok := r.file(sha, name)
	switch {
	case !ok:
		return missing
	case strings.Contains(q.accept, ".raw"):
		return found(content)
	}
	return found(object{"path": name, "type": "file", "encoding": "base64", "content": base64.StdEncoding.EncodeToString(content)})
}

// paged cuts a list as GitHub and GitLab do, with Link headers.
func paged(q request, path string, all []object, size string) answer {
	per, _ := strconv.Atoi(q.query.Get(size))
	page, _ := strconv.Atoi(q.query.Get("page"))
	per, page = min(max(per, 1), 100), max(page, 1)
	start := min((page-1)*per, len(all))
	end := min(start+per, len(all))
	a := found(all[start:end])
	if end < len(all) {
		a.header = map[string]string{"Link": fmt.Sprintf(`<%s/%s?%s=%d&page=%d>; rel="next"`, q.base, path, size, per, page+1)}
	}
	return a
}

// github answers /repos/{owner}/{name}/….
func (s *Server) github(q request) answer {
	if len(q.path) < 4 || q.path[0] != "repos" {
		return missing
	}
	r := s.repos[q.path[1]+"/"+q.path[2]]
	if r == nil {
		return missing
	}
	what, rest := q.path[3], strings.Join(q.path[4:], "/")
	switch {
	case what == "contents":
		sha := r.commit(q.query.Get("ref"))
		if sha == "" {
			return said(http.StatusNotFound, "No commit found for the ref "+q.query.Get("ref"))
		}
		return r.contents(q, sha, rest)
	case what == "compare":
		return r.githubCompare(rest)
	case what == "check-runs", what == "commits" && strings.HasSuffix(rest, "/check-runs"):
		return r.checkRuns(q, rest)
	case what == "commits":
		sha := r.commit(rest)
		if sha == "" {
			sha = r.commit("refs/" + rest)
		}
		if sha == "" {
			return said(http.StatusUnprocessableEntity, "No commit found for SHA: "+rest)
		}
		return found(r.hubCommit(sha))
	case what == "pulls":
		return r.hubPulls(q, "per_page")
	case what == "collaborators" && strings.HasSuffix(rest, "/permission"):
		level := r.levels[strings.TrimSuffix(rest, "/permission")]
		return found(object{
			"permission": []string{"none", "read", "read", "write", "admin"}[level],
			"role_name":  []string{"", "read", "triage", "write", "admin"}[level],
		})
	case what == "statuses" && q.method == http.MethodPost:
		return r.hubStatus(q, rest, 140, []string{"error", "failure", "pending", "success"})
	}
	return missing
}

func (r *repository) githubCompare(spec string) answer {
	base, head, _ := strings.Cut(spec, "...")
	if r.commit(base) == "" || r.commit(head) == "" {
		return missing
	}
	return found(object{
		"ahead_by": len(r.between(base, head)), "behind_by": len(r.between(head, base)), "files": hubFiles(r.diff(base, head, true)),
	})
}

// hubPulls answers pulls/{number} and pulls/{number}/files.
func (r *repository) hubPulls(q request, size string) answer {
	number, _ := strconv.Atoi(q.path[len(q.path)-1])
	files := q.path[len(q.path)-1] == "files"
	if files {
		number, _ = strconv.Atoi(q.path[len(q.path)-2])
	}
	p, ok := r.pulls[number]
	switch {
	case !ok:
		return missing
	case files:
		return paged(q, strings.Join(q.path, "/"), hubFiles(r.changes(p)), size)
	}
	return found(r.hubPull(p))
}

func (r *repository) hubStatus(q request, sha string, describe int, states []string) answer {
	var in struct {
		State, Context, Description string
		Target                      string `json:"target_url"`
	}
	switch {
	case !q.bind(&in) || !slices.Contains(states, in.State):
		return said(http.StatusUnprocessableEntity, "Validation Failed: state")
	case utf8.RuneCountInString(in.Description) > describe:
		return said(http.StatusUnprocessableEntity, "Validation Failed: description is too long")
	case r.commit(sha) == "":
		return said(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	r.tell(sha, Told{in.Context, in.State, in.Description, in.Target})
	return answer{status: http.StatusCreated, body: object{"state": in.State, "context": in.Context}}
}
