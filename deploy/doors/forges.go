package doors

import (
	"fmt"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/shared/forge"
	"github.com/relevo-ci/relevo/shared/forge/steady"
)

// Forges makes the git forges that the settings name, each behind a circuit
// breaker of its own. It asks none of them anything.
func Forges(c config.Forge) ([]forge.Forge, error) {
	served := c.Served()
	all := make([]forge.Forge, 0, len(served))
	for _, s := range served {
		secrets := make([]string, 0, len(s.Secrets))
		for _, secret := range s.Secrets {
			secrets = append(secrets, secret.Reveal())
		}
		f, err := forge.New(forge.Settings{Kind: s.Name, URL: s.URL, Token: s.Token.Reveal(), AppID: s.AppID, AppKey: s.AppKey.Reveal(), Secrets: secrets})
		if err != nil {
			return nil, fmt.Errorf("doors: %w", err)
		}
		all = append(all, steady.New(f, steady.Settings{}))
	}
	return all, nil
}
