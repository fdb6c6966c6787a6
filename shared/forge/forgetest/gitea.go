package forgetest

import (
	"net/http"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// gitea answers /api/v1/repos/{owner}/{name}/….
func (s *Server) gitea(q request) answer {
	if len(q.path) < 6 || strings.Join(q.path[:3], "/") != "api/v1/repos" {
		return missing
	}
	r := s.repos[q.path[3]+"/"+q.path[4]]
	if r == nil {
		return missing
	}
	what, rest := q.path[5], strings.Join(q.path[6:], "/")
	switch {
	case what == "contents" || what == "raw":
		sha := r.commit(q.query.Get("ref"))
		if sha == "" {
			return missing
		}
		if what == "raw" {
			q.accept = ".raw"
		}
		return r.contents(q, sha, rest)
	case what == "compare":
		return r.giteaCompare(rest)
	case what == "branches", what == "tags", what == "git":
		return r.giteaRef(what, rest)
	case what == "pulls":
		return r.hubPulls(q, "limit")
	case what == "collaborators" && strings.HasSuffix(rest, "/permission"):
		level := r.levels[strings.TrimSuffix(rest, "/permission")]
		if level == trigger.Triage { // Gitea has no such
			level = trigger.Read
		}
		return found(object{"permission": []string{"none", "read", "read", "write", "admin"}[level]})
	case what == "statuses" && q.method == http.MethodPost:
		return r.hubStatus(q, rest, 255, []string{"error", "failure", "pending", "success", "warning"})
	}
	return missing
}

// giteaRef answers branches/{name}, tags/{name} and git/commits/{sha}.
func (r *repository) giteaRef(what, rest string) answer {
	name := map[string]string{"branches": "refs/heads/", "tags": "refs/tags/"}[what] + strings.TrimPrefix(rest, "commits/")
	sha := r.commit(name)
	if sha == "" {
		return missing
	}
	switch what {
	case "branches":
		return found(object{"name": rest, "commit": object{"id": sha}})
	case "tags":
		return found(object{"name": rest, "commit": object{"sha": sha}})
	}
	return found(r.hubCommit(sha))
}

// giteaCompare tells the commits with their files, and no diff.
func (r *repository) giteaCompare(spec string) answer {
	base, head, _ := strings.Cut(spec, "...")
	if r.commit(base) == "" || r.commit(head) == "" {
		return missing
	}
	commits := []object{}
	for _, sha := range r.between(base, head) {
		var files []change
		if r.commit(sha+"^") != "" {
			files = r.diff(sha+"^", sha, false)
		}
		for i := range files { // it tells a renamed file's new path, and the old as removed
			if c := files[i]; c.old != c.new {
				files[i].old = c.new
				files = append(files, change{c.old, c.old})
			}
		}
		commits = append(commits, object{"sha": sha, "files": hubFiles(files)})
	}
	return found(object{"total_commits": len(commits), "commits": commits})
}

// gogs answers /api/v1/repos/{owner}/{name}/…: no statuses, no pull requests.
func (s *Server) gogs(q request) answer {
	if len(q.path) < 6 || strings.Join(q.path[:3], "/") != "api/v1/repos" {
		return missing
	}
	r := s.repos[q.path[3]+"/"+q.path[4]]
	if r == nil {
		return missing
	}
	what, rest := q.path[5], strings.Join(q.path[6:], "/")
	switch what {
	case "contents":
		return r.contents(q, r.commit(q.query.Get("ref")), rest)
	case "raw":
		sha, name, _ := strings.Cut(rest, "/")
		q.accept = ".raw"
		return r.contents(q, r.commit(sha), name)
	case "commits":
		sha := r.commit(rest)
		switch {
		case sha == "":
			return missing
		case strings.Contains(rest, "/"): // a ref's commit comes as a text
			return found([]byte(sha))
		}
		return found(r.hubCommit(sha))
	case "collaborators":
		list := []object{}
		for login, level := range r.levels {
			o := hubUser(trigger.Actor{Login: login})
			o["permissions"] = object{"admin": level >= trigger.Admin, "push": level >= trigger.Write, "pull": level >= trigger.Read}
			list = append(list, o)
		}
		return found(list)
	}
	return missing
}
