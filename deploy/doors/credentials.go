package doors

import (
	"context"
	"errors"

	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/secrets"
)

// Credentials are those with which git reads the repositories of forges.
func Credentials(served []forge.Forge) func(ctx context.Context, name, repository string) (secrets.Credential, error) {
	return func(ctx context.Context, name, repository string) (secrets.Credential, error) {
		for _, f := range served {
			if f.Name() != name {
				continue
			}
			c, err := f.Credential(ctx, repository)
			switch {
			case errors.Is(err, forge.ErrDenied):
				return secrets.Credential{}, fn.Faultf(fn.Denied, "%w", err)
			case errors.Is(err, forge.ErrNotFound):
				return secrets.Credential{}, fn.Faultf(fn.NotFound, "%w", err)
			}
			return secrets.Credential{Host: c.Host, User: c.User, Password: c.Password, Scoped: c.Scoped, Until: c.Until}, err
		}
		return secrets.Credential{}, fn.Faultf(fn.NotFound, "this installation has no forge %s", name)
	}
}
