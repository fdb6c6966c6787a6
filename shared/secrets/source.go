package secrets

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/fn"
)

// Source is a folder of secrets, and a forge's credentials.
type Source struct {
	Folder
	// Forge gives the credential of a repository of the forge of that name;
	// fn.Denied or fn.NotFound where there is none. Nil: there are no forges.
	Forge func(ctx context.Context, forge, repository string) (Credential, error)
}

// Credential is what a forge gives for git to read a repository.
type Credential struct {
	Host, User, Password string
	// Scoped: it reads that repository, and can do nothing else.
	Scoped bool
	Until  time.Time // it ends; zero: it does not
}

// Credential is that of the trigger's repository. It is for the host that the
// clone address names: a credential of another host is none. It goes
// over plain HTTP only where that address does.
func (s Source) Credential(ctx context.Context, t events.Trigger, scoped bool) (execution.Credential, error) {
	if s.Forge == nil {
		return execution.Credential{}, fn.Faultf(fn.NotFound, "this installation has none for %s", t.Forge)
	}
	c, err := s.Forge(ctx, t.Forge, t.Repository)
	if err != nil {
		return execution.Credential{}, err
	}
	u, err := url.Parse(t.Clone)
	switch {
	case c.Password == "":
		return execution.Credential{}, fn.Faultf(fn.NotFound, "this installation has no token for %s", t.Forge)
	case scoped && !c.Scoped:
		return execution.Credential{}, fn.Faultf(fn.Denied, "its code is from a fork, and the token for %s reads more than this repository", t.Forge)
	case err != nil || u.Host == "" || !strings.EqualFold(u.Host, c.Host):
		return execution.Credential{}, fn.Faultf(fn.Denied, "the token for %s is not for the server that has the repository", t.Forge)
	}
	return execution.Credential{Server: u.Scheme + "://" + u.Host, User: c.User, Password: c.Password, Until: c.Until}, nil
}
