package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// check holds what parsed against what makes sense.
func (c Config) check() []error {
	var wrong []error
	refuse := func(name, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("config: %s: "+format, append([]any{name}, args...)...))
	}
	if f := c.Host.Functions; f != "" && !strings.Contains(f, "{function}") {
		refuse("RELEVO_HOST_FUNCTIONS", "%q has no {function}", f)
	}
	for _, s := range settings(&c) {
		switch value := s.field.Interface().(type) {
		case time.Duration:
			if value <= 0 {
				refuse(s.name, "%v is not positive", value)
			}
		case int, int64:
			if least := s.least(); s.field.Int() < least {
				refuse(s.name, "%d is less than %d", s.field.Int(), least)
			}
		}
	}
	if c.Host.Port > 65535 {
		refuse("PORT", "%d is no port", c.Host.Port)
	}
	if c.Pipeline.Lease < 2*c.Pipeline.Heartbeat {
		refuse("RELEVO_PIPELINE_LEASE", "%v is less than two heartbeats of %v: a late one would cost a worker its job", c.Pipeline.Lease, c.Pipeline.Heartbeat)
	}
	if n := c.Provider.KubernetesUntrustedNamespace; n != "" && n == c.Provider.KubernetesNamespace {
		refuse("RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE", "%s is where the other jobs run: it must be one of its own", n)
	}
	for name, address := range map[string]string{"LISTEN_ADDRESS": c.Host.ListenAddress, "RELEVO_API_LISTEN": c.API.Listen} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "" {
			refuse(name, "%q is not host:port", address)
		}
	}
	urls := map[string]address{
		"K_SINK":                      {c.Host.Sink, []string{"http", "https"}},
		"RELEVO_HOST_FUNCTIONS":       {strings.NewReplacer("{function}", "f", "{context}", "c").Replace(c.Host.Functions), []string{"http", "https"}},
		"RELEVO_WORKER_URL":           {c.Worker.URL, []string{"http", "https", "unix"}},
		"RELEVO_REDIS_URL":            {c.Redis.URL.Reveal(), []string{"redis", "rediss", "unix"}},
		"RELEVO_PUBLIC_URL":           {c.Public.URL, []string{"http", "https"}},
		"OTEL_EXPORTER_OTLP_ENDPOINT": {c.Telemetry.Endpoint, []string{"http", "https"}},
		"RELEVO_OIDC_ISSUER":          {c.OIDC.Issuer, []string{"http", "https"}},
	}
	for _, f := range c.Forges.Served() {
		name := "RELEVO_FORGE_" + strings.ToUpper(f.Name)
		urls[name+"_URL"] = address{f.URL, []string{"http", "https"}}
		if f.URL == "" {
			refuse(name+"_URL", "it is not set, and the forge has a token or a webhook secret")
		}
	}
	if _, err := c.Telemetry.HeaderMap(); err != nil {
		refuse("OTEL_EXPORTER_OTLP_HEADERS", "%v", err)
	}
	for name, problem := range c.apart() {
		refuse(name, "%s", problem)
	}
	if f := c.Forges; (f.GitHubAppID == "") != (f.GitHubAppKey == "") {
		refuse("RELEVO_FORGE_GITHUB_APP_ID", "it and RELEVO_FORGE_GITHUB_APP_KEY go together, and one is not set")
	}
	for name, u := range urls {
		// The text may be secret: it is not shown.
		if parsed, err := url.Parse(u.text); u.text != "" && (err != nil || !slices.Contains(u.schemes, parsed.Scheme)) {
			refuse(name, "it is no URL that begins with %s://", strings.Join(u.schemes, ":// or "))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return wrong
}

// problem tells what is wrong with where logs are kept, without its text, which
// is a secret.
func (l Logs) problem() string {
	where := l.URL.Reveal()
	if where == "" || filepath.IsAbs(where) {
		return ""
	}
	u, err := url.Parse(where)
	switch {
	case err != nil || u.Scheme != "file" && u.Scheme != "s3":
		return "it is neither a folder's whole path nor a URL that begins with file:// or s3://"
	case u.User != nil:
		return "credentials do not belong in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(u.Path)):
		return "a folder is file:/// and its whole path"
	case u.Scheme == "s3" && u.Host == "":
		return "it names no bucket: s3://bucket"
	}
	return ""
}

// apart tells what is wrong by rules of its own, by setting.
func (c Config) apart() map[string]string {
	wrong := c.login()
	if problem := c.Logs.problem(); problem != "" {
		wrong["RELEVO_LOGS_URL"] = problem
	}
	return wrong
}

// login tells what keeps people from logging in, by setting.
func (c Config) login() map[string]string {
	wrong := map[string]string{}
	if c.OIDC.Issuer == "" {
		return wrong
	}
	if c.OIDC.ClientID == "" {
		wrong["RELEVO_OIDC_CLIENT_ID"] = "it is not set, and RELEVO_OIDC_ISSUER is"
	}
	// Cookies and codes must not pass in the clear, but on this machine.
	for name, text := range map[string]string{"RELEVO_PUBLIC_URL": c.Public.URL, "RELEVO_OIDC_ISSUER": c.OIDC.Issuer} {
		u, err := url.Parse(text)
		switch {
		case text == "":
			wrong[name] = "it is not set, and RELEVO_OIDC_ISSUER is"
		case err == nil && u.Scheme == "http" && !loopback(u.Hostname()):
			wrong[name] = "for people to log in it must be https://"
		}
	}
	return wrong
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// address is a URL and how it may begin.
type address struct {
	text    string
	schemes []string
}

// least is the smallest number that the setting may be.
func (s setting) least() int64 {
	switch s.name {
	case "RELEVO_PIPELINE_INFRA_RETRIES", "RELEVO_SCHEDULER_UNTRUSTED_SLOTS", "RELEVO_ACCESS_RATE":
		return 0
	}
	return 1
}
