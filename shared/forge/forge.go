// Package forge is the port to git forges: it turns what they send into
// happenings of the trigger context, and asks and tells them what Relevo needs.
// The adapters use go-scm; no type of it leaves the package.
package forge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Forge is one forge that the settings name.
type Forge interface {
	// Name in the settings, in addresses (/webhooks/{name}) and in events.
	Name() string
	// Verify checks a delivery's signature or token over the raw body against each
	// of the live secrets, in constant time. ErrUnsigned, ErrSignature.
	Verify(header http.Header, body []byte) error
	// Parse reads a verified delivery. ErrBody where it is not what the forge
	// documents; an event that Relevo has no use for is no error: its Event is the
	// forge's own word.
	Parse(header http.Header, body []byte) (trigger.Happening, error)

	// Files lists the paths below a folder of a repository at a commit: not deep.
	// A folder that is not there has none.
	Files(ctx context.Context, repository, sha, folder string) ([]string, error)
	// File reads one of 1 MiB at most. ErrNotFound.
	File(ctx context.Context, repository, sha, path string) ([]byte, error)
	// Changed lists the paths that differ between two commits, or that a pull
	// request changes where number > 0. Whole is false where the forge cuts the
	// list off.
	Changed(ctx context.Context, repository, base, head string, number int) (paths []string, whole bool, err error)
	// Head is the commit of a branch, of a full ref (refs/heads/…, refs/tags/…), or
	// the whole name of an abbreviated commit. ErrNotFound.
	Head(ctx context.Context, repository, ref string) (string, error)
	// Message is that of a commit; Gogs tells its first line alone.
	Message(ctx context.Context, repository, sha string) (string, error)
	// Pull reads a pull request as it is now. ErrUnsupported on Gogs, whose API has
	// none.
	Pull(ctx context.Context, repository string, number int) (trigger.Pull, error)
	// Level is what an account may do now, directly or by a group; None for one that
	// the forge does not know. On Bitbucket Cloud the login is a uuid. Gogs tells of
	// the owner and of collaborators alone.
	Level(ctx context.Context, repository, login string) (trigger.Level, error)
	// Tell sets a status. Setting it twice is one status. ErrUnsupported on Gogs,
	// which has none.
	Tell(ctx context.Context, repository, sha string, s trigger.Status) error
	// Checks says that Tell makes check runs: they show a run that waits and one that
	// runs apart (Status.Running), whose fault an end was (Status.Verdict), and
	// annotations. What was told of annotations is not told again.
	Checks() bool
	// Credential is what git needs to read the repository over HTTP, for a short
	// while where the forge has such.
	Credential(ctx context.Context, repository string) (Credential, error)
}

// Credential is git's, for one host.
type Credential struct {
	Host     string // host, and port where it has one
	User     string
	Password string
	// Scoped: it reads that repository, and can do nothing else.
	Scoped bool
	Until  time.Time // zero: it does not end
}

// Errors of a Forge. ErrLater is a *Later too, where the forge says when.
var (
	ErrUnsigned  = errors.New("forge: the delivery is not signed")
	ErrSignature = errors.New("forge: the signature is wrong")
	ErrBody      = errors.New("forge: the delivery's body is not what the forge documents")
	ErrNotFound  = errors.New("forge: there is no such thing")
	ErrDenied    = errors.New("forge: the token may not do that")
	ErrLater     = errors.New("forge: not now")
	// ErrUnsupported: no later try helps, and nothing is wrong.
	ErrUnsupported = errors.New("forge: the forge has no such thing")
)

// Later is an error that another try may not have, after a while.
type Later struct {
	After time.Duration // as the forge asked; 0: it did not
	Err   error
}

// Error is the cause's text.
func (l *Later) Error() string { return "forge: not now: " + l.Err.Error() }

// Unwrap gives ErrLater and the cause.
func (l *Later) Unwrap() []error { return []error{ErrLater, l.Err} }
