package forges

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// repository makes one on the forge, and gives a clone.
func (r *rig) repository(name string) string {
	r.t.Helper()
	bare, work := filepath.Join(r.t.TempDir(), "repo.git"), filepath.Join(r.t.TempDir(), "work")
	r.git(".", "init", "-q", "--bare", "-b", "main", bare)
	r.git(".", "clone", "-q", bare, work)
	r.server.Add(name, bare)
	r.server.Grant(name, dev.Login, trigger.Write)
	r.server.Grant(name, stranger.Login, trigger.Read)
	return work
}

func (r *rig) git(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-c", "user.name=admin", "-c", "user.email=admin@acme.example"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, of path and text, and pushes them to a branch.
func (r *rig) commit(work, branch, message string, files ...string) (sha string) {
	r.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		path := filepath.Join(work, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git(work, "add", "-A")
	r.git(work, "commit", "-q", "--allow-empty", "-m", message)
	r.git(work, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	return r.git(work, "rev-parse", "HEAD")
}
