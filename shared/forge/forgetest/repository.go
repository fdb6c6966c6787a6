package forgetest

import (
	"errors"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

// A repository of the fake, in a bare git folder.
type repository struct {
	server *Server
	id     int
	name   string
	dir    string
	levels map[string]trigger.Level
	pulls  map[int]trigger.Pull
	told   map[string][]Told
	checks []*Check
}

// Clone is a repository's address for git; the forge's Credential opens it.
func (s *Server) Clone(repository string) string { return s.URL + "/" + repository + ".git" }

func gitPath(p string) (name string, isGit bool) {
	name, _, isGit = strings.Cut(strings.TrimPrefix(p, "/"), ".git/")
	return name, isGit
}

// serveGit runs git's own program, for those who have the credential.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.Lock()
	repo := s.repos[name]
	s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	token := password
	if s.Kind == forge.Gogs {
		token = user
	}
	s.mu.Lock()
	known := token == s.Token
	if s.app != nil {
		known = s.app.reads(token, name) && user == "x-access-token" && !strings.Contains(r.URL.RequestURI(), "git-receive-pack")
	}
	s.mu.Unlock()
	switch {
	case !known:
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case repo == nil:
		http.NotFound(w, r)
	default:
		(&cgi.Handler{
			Path: s.backend, Root: "/" + name + ".git", Dir: repo.dir,
			Env: []string{
				"GIT_PROJECT_ROOT=" + repo.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user,
				// as forges do: any commit that is known may be fetched
				"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_0=true",
				"GIT_CONFIG_KEY_1=uploadpack.allowFilter", "GIT_CONFIG_VALUE_1=true", "GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"),
			},
		}).ServeHTTP(w, r)
	}
}

var errNone = errors.New("forgetest: git has no such thing")

func (r *repository) git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", r.dir}, args...)...).Output()
	if err != nil {
		return "", errNone
	}
	return string(out), nil
}

// commit is the whole name of a commit, or of what a name leads to; empty where
// there is none.
func (r *repository) commit(name string) string {
	sha, err := r.git("rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(sha)
}

func (r *repository) message(sha string) string {
	text, _ := r.git("log", "-1", "--format=%B", sha)
	return strings.TrimRight(text, "\n")
}

func (r *repository) defaultBranch() string {
	name, _ := r.git("symbolic-ref", "--short", "HEAD")
	return strings.TrimSpace(name)
}

// file reads one; none for a folder.
func (r *repository) file(sha, name string) ([]byte, bool) {
	content, err := r.git("cat-file", "blob", sha+":"+name)
	return []byte(content), err == nil
}

// An entry of a folder.
type entry struct{ mode, kind, path string }

// folder lists one; none where it is not there.
func (r *repository) folder(sha, name string) []entry {
	out, err := r.git("ls-tree", "-z", sha, "--", strings.Trim(name, "/")+"/")
	if err != nil {
		return nil
	}
	var all []entry
	for line := range strings.SplitSeq(strings.TrimRight(out, "\x00"), "\x00") {
		if fields := strings.Fields(strings.SplitN(line, "\t", 2)[0]); len(fields) == 3 {
			all = append(all, entry{fields[0], fields[1], strings.SplitN(line, "\t", 2)[1]})
		}
	}
	return all
}

// word is GitHub's for an entry.
func (e entry) word() string {
	switch {
	case e.mode == "120000":
		return "symlink"
	case e.kind == "tree":
		return "dir"
	case e.kind == "commit":
		return "submodule"
	}
	return "file"
}

// A change of a file between two commits.
type change struct{ old, new string }

// diff compares two commits, or the second with where they parted.
func (r *repository) diff(base, head string, parted bool) []change {
	if parted {
		at, err := r.git("merge-base", base, head)
		if err != nil {
			return nil
		}
		base = strings.TrimSpace(at)
	}
	out, err := r.git("diff", "--name-status", "-M", "-z", base, head)
	if err != nil {
		return nil
	}
	fields := strings.Split(strings.TrimRight(out, "\x00"), "\x00")
	var all []change
	for i := 0; i+1 < len(fields); i += 2 {
		if strings.HasPrefix(fields[i], "R") && i+2 < len(fields) {
			all = append(all, change{fields[i+1], fields[i+2]})
			i++
			continue
		}
		all = append(all, change{fields[i+1], fields[i+1]})
	}
	return all
}

// between are the commits that head has and base has not, the oldest first.
func (r *repository) between(base, head string) []string {
	out, _ := r.git("rev-list", "--reverse", head, "^"+base)
	return strings.Fields(out)
}

// tell records a status; the same one again changes nothing that people see, but
// stands in the record.
func (r *repository) tell(sha string, told Told) { r.told[sha] = append(r.told[sha], told) }

// latest is what a commit's context says now.
func (r *repository) latest(sha, context string) (Told, bool) {
	all := slices.Clone(r.told[sha])
	slices.Reverse(all)
	i := slices.IndexFunc(all, func(t Told) bool { return t.Context == context })
	if i < 0 {
		return Told{}, false
	}
	return all[i], true
}

// named finds a repository by its name or, as GitLab does, by its number.
func (s *Server) named(name string) *repository {
	if r := s.repos[name]; r != nil {
		return r
	}
	for _, r := range s.repos {
		if strconv.Itoa(r.id) == name {
			return r
		}
	}
	return nil
}

// from is the repository of a pull request's head; nil where it is gone.
func (s *Server) from(p trigger.Pull) *repository { return s.repos[p.From.Name] }

// changes of a pull request, whose head may be a fork's.
func (r *repository) changes(p trigger.Pull) []change {
	return r.diff("refs/heads/"+p.Base, p.HeadSHA, true)
}

// accounts are numbered by their logins, for forges that know them by number.
func accountID(login string) int {
	n := 0
	for _, c := range login {
		n = (n*31 + int(c)) % 1_000_003
	}
	return n + 1
}
