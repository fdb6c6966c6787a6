package config

import "slices"

// Forge is the git forges whose deliveries are taken and which are told of runs.
// A forge without a webhook secret, a token and an App is not served.
type Forge struct {
	// Address of GitHub's API; of an Enterprise Server https://host/api/v3/.
	GitHubURL string `env:"RELEVO_FORGE_GITHUB_URL" default:"https://api.github.com/"`
	// Token that reads GitHub's repositories and sets statuses.
	GitHubToken Secret `env:"RELEVO_FORGE_GITHUB_TOKEN"`
	// ID of a GitHub App, which goes before the token: it makes check runs, and gives git credentials for one repository that end.
	GitHubAppID string `env:"RELEVO_FORGE_GITHUB_APP_ID"`
	// Private key of the GitHub App, PEM: PKCS#1 or PKCS#8.
	GitHubAppKey Secret `env:"RELEVO_FORGE_GITHUB_APP_KEY"`
	// Secret that GitHub signs its deliveries with.
	GitHubWebhookSecret Secret `env:"RELEVO_FORGE_GITHUB_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	GitHubWebhookSecretOld Secret `env:"RELEVO_FORGE_GITHUB_WEBHOOK_SECRET_OLD"`

	// Address of GitLab.
	GitLabURL string `env:"RELEVO_FORGE_GITLAB_URL" default:"https://gitlab.com/"`
	// Token that reads GitLab's repositories and sets statuses.
	GitLabToken Secret `env:"RELEVO_FORGE_GITLAB_TOKEN"`
	// Secret token that GitLab sends with its deliveries.
	GitLabWebhookSecret Secret `env:"RELEVO_FORGE_GITLAB_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	GitLabWebhookSecretOld Secret `env:"RELEVO_FORGE_GITLAB_WEBHOOK_SECRET_OLD"`

	// Address of Gitea or Forgejo.
	GiteaURL string `env:"RELEVO_FORGE_GITEA_URL"`
	// Token that reads Gitea's repositories and sets statuses.
	GiteaToken Secret `env:"RELEVO_FORGE_GITEA_TOKEN"`
	// Secret that Gitea signs its deliveries with.
	GiteaWebhookSecret Secret `env:"RELEVO_FORGE_GITEA_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	GiteaWebhookSecretOld Secret `env:"RELEVO_FORGE_GITEA_WEBHOOK_SECRET_OLD"`

	// Address of Bitbucket Cloud's API.
	BitbucketURL string `env:"RELEVO_FORGE_BITBUCKET_URL" default:"https://api.bitbucket.org/"`
	// Token that reads Bitbucket's repositories and sets statuses.
	BitbucketToken Secret `env:"RELEVO_FORGE_BITBUCKET_TOKEN"`
	// Secret that Bitbucket signs its deliveries with.
	BitbucketWebhookSecret Secret `env:"RELEVO_FORGE_BITBUCKET_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	BitbucketWebhookSecretOld Secret `env:"RELEVO_FORGE_BITBUCKET_WEBHOOK_SECRET_OLD"`

	// Address of Bitbucket Data Center (stash).
	StashURL string `env:"RELEVO_FORGE_STASH_URL"`
	// Token that reads Bitbucket Data Center's repositories and sets statuses.
	StashToken Secret `env:"RELEVO_FORGE_STASH_TOKEN"`
	// Secret that Bitbucket Data Center signs its deliveries with.
	StashWebhookSecret Secret `env:"RELEVO_FORGE_STASH_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	StashWebhookSecretOld Secret `env:"RELEVO_FORGE_STASH_WEBHOOK_SECRET_OLD"`

	// Address of Gogs.
	GogsURL string `env:"RELEVO_FORGE_GOGS_URL"`
	// Token that reads Gogs's repositories.
	GogsToken Secret `env:"RELEVO_FORGE_GOGS_TOKEN"`
	// Secret that Gogs signs its deliveries with.
	GogsWebhookSecret Secret `env:"RELEVO_FORGE_GOGS_WEBHOOK_SECRET"`
	// The one before, which counts too while the secret is being changed.
	GogsWebhookSecretOld Secret `env:"RELEVO_FORGE_GOGS_WEBHOOK_SECRET_OLD"`
}

// Public is how people reach this installation.
type Public struct {
	// Address of the console or the API as people's browsers see it, a URL: links
	// in commit statuses begin with it. Unset: statuses have no links.
	URL string `env:"RELEVO_PUBLIC_URL"`
}

// Served is one forge that is served.
type Served struct {
	Name  string // github, gitlab, gitea, bitbucket, stash, gogs
	URL   string
	Token Secret
	// Secrets are the live ones of its webhooks, the newest first.
	Secrets []Secret
	// AppID and AppKey are a GitHub App's, which goes before the token.
	AppID  string
	AppKey Secret
}

// Served are the forges that have a webhook secret, a token or an App, in a fixed order.
func (f Forge) Served() []Served {
	all := []Served{
		{Name: "github", URL: f.GitHubURL, Token: f.GitHubToken, Secrets: []Secret{f.GitHubWebhookSecret, f.GitHubWebhookSecretOld}, AppID: f.GitHubAppID, AppKey: f.GitHubAppKey},
		{Name: "gitlab", URL: f.GitLabURL, Token: f.GitLabToken, Secrets: []Secret{f.GitLabWebhookSecret, f.GitLabWebhookSecretOld}},
		{Name: "gitea", URL: f.GiteaURL, Token: f.GiteaToken, Secrets: []Secret{f.GiteaWebhookSecret, f.GiteaWebhookSecretOld}},
		{Name: "bitbucket", URL: f.BitbucketURL, Token: f.BitbucketToken, Secrets: []Secret{f.BitbucketWebhookSecret, f.BitbucketWebhookSecretOld}},
		{Name: "stash", URL: f.StashURL, Token: f.StashToken, Secrets: []Secret{f.StashWebhookSecret, f.StashWebhookSecretOld}},
		{Name: "gogs", URL: f.GogsURL, Token: f.GogsToken, Secrets: []Secret{f.GogsWebhookSecret, f.GogsWebhookSecretOld}},
	}
	var served []Served
	for _, s := range all {
		s.Secrets = slices.DeleteFunc(s.Secrets, func(one Secret) bool { return one == "" })
		if len(s.Secrets) > 0 || s.Token != "" || s.AppID != "" {
			served = append(served, s)
		}
	}
	return served
}
