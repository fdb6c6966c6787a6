package agent

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/relevo-ci/relevo/shared/agent/checkout"
	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/process"
)

// mostTail is how much of what git prints is looked at to tell why it failed,
// and mostListed how much of a listing is read, in bytes.
const (
	mostTail   = 4 << 10
	mostListed = 4 << 20
)

// toolVariables are those of the steps' environment that git gets: the way to
// the network, and whom to trust there.
var toolVariables = []string{
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
}

// git runs the image's git for a step. It is found and runs as the image says,
// not as earlier steps said: what they put into PATH or LD_PRELOAD would see the
// credential.
type git struct {
	job  *job
	step *step
	path string
	// env has no credential, remote has it.
	env, remote []string
	deadline    time.Time // zero: none
	spare       map[int]bool
}

// newGit finds git. The error is for who wrote the pipeline: it names the image.
func (j *job) newGit(s *step, limit time.Duration) (*git, error) {
	path, err := lookPath("git", j.inherited["PATH"])
	if err != nil {
		where := "this machine"
		if j.launch.Image != "" {
			where = "the image " + j.launch.Image
		}
		return nil, fmt.Errorf("checkout: %s has no git: name an image with git in the job's container, such as buildpack-deps:scm, or install it in a step before", where)
	}
	image := list(j.inherited)
	for _, name := range toolVariables {
		if value, there := s.env[name]; there {
			image = append(image, name+"="+value)
		}
	}
	g := &git{
		job: j, step: s, path: path, spare: j.host.Family(),
		env:    checkout.Environ(image, j.launch.Clone, nil),
		remote: checkout.Environ(image, j.launch.Clone, j.credential),
	}
	if limit > 0 {
		g.deadline = time.Now().Add(limit)
	}
	return g, nil
}

// Run runs a command and shows what it prints.
func (g *git) Run(dir string, remote bool, args ...string) error {
	g.job.journal.remark("    git %s", strings.Join(args, " "))
	t := &tail{most: mostTail}
	err := g.run(dir, remote, args, g.job.masks, func(p []byte) error {
		t.add(p)
		return g.job.journal.raw(p)
	})
	return failure(args, err, t)
}

// Output runs a command and gives what it prints, unmasked: nobody is shown it.
func (g *git) Output(dir string, remote bool, args ...string) (string, error) {
	t := &tail{most: mostListed}
	err := g.run(dir, remote, args, &mask.Set{}, func(p []byte) error {
		t.add(p)
		return nil
	})
	return string(t.kept), failure(args, err, t)
}

// failure tells git's own no from what ended it.
func failure(args []string, err error, t *tail) error {
	var left exited
	if !errors.As(err, &left) {
		return err
	}
	return &checkout.Failure{Args: args, Err: left, Tail: string(t.kept)}
}

func (g *git) run(dir string, remote bool, args []string, masks *mask.Set, sink func([]byte) error) error {
	limit := time.Duration(0)
	if !g.deadline.IsZero() {
		if limit = time.Until(g.deadline); limit <= 0 {
			return late{errors.New("took too long")}
		}
	}
	out, file, err := newOutput(masks, sink, nil)
	if err != nil {
		return infra{err}
	}
	defer out.end()
	env := g.env
	if remote {
		env = g.remote
	}
	p, err := g.job.host.Start(process.Command{
		Path: g.path, Args: slices.Concat([]string{"git"}, args), Dir: dir, Env: env, Out: file,
	})
	_ = file.Close()
	if err != nil {
		return startError(err)
	}
	return g.job.wait(g.step, p, limit, g.spare)
}

// tail is the end of a text.
type tail struct {
	kept []byte
	most int
}

func (t *tail) add(p []byte) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
}

// ownedByAnother tells whether git would take a folder for another user's, and
// refuse to look into it.
func ownedByAnother(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) != os.Geteuid()
}
