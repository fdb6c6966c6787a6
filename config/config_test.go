package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/config"
)

// environment looks variables up in a list of name=value.
func environment(pairs ...string) func(string) (string, bool) {
	set := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		set[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}
}

func load(t *testing.T, pairs ...string) config.Config {
	t.Helper()
	c, err := config.Load(environment(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// publicForges are those that have an address which everybody knows.
var publicForges = config.Forge{
	GitHubURL: "https://api.github.com/", GitLabURL: "https://gitlab.com/", BitbucketURL: "https://api.bitbucket.org/",
}

func TestDefaults(t *testing.T) {
	got := load(t)
	want := config.Config{
		Host:      config.Host{Port: 8080, EventBytes: 1 << 20, Wake: true, Drain: 25 * time.Second},
		Bus:       config.Bus{Concurrency: 16, Tries: 10, Backoff: 50 * time.Millisecond, Memory: 64 << 20},
		Redis:     config.Redis{LogBytes: 1 << 30, LogBytesEach: 64 << 20, FeedBytes: 32 << 20},
		Telemetry: config.Telemetry{Retention: 7 * 24 * time.Hour},
		Scheduler: config.Scheduler{Pool: "default", OfferTTL: 24 * time.Hour},
		Pipeline:  config.Pipeline{Lease: 30 * time.Second, Heartbeat: 10 * time.Second, StartDeadline: 5 * time.Minute, InfraRetries: 2},
		Provider: config.Provider{
			DockerHost: "unix:///var/run/docker.sock", KubernetesNamespace: "relevo-jobs",
			KubernetesLabels: config.List{"self-hosted", "linux", "amd64", "x64", "ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04"},
		},
		API:    config.API{Listen: "127.0.0.1:8470"},
		Access: config.Access{Session: 12 * time.Hour, Audit: 90 * 24 * time.Hour, Rate: 50, Burst: 200},
		OIDC:   config.OIDC{GroupsClaim: "groups"},
		Forges: publicForges,
		Log:    config.Log{Level: slog.LevelInfo},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if empty := load(t, "PORT=", "RELEVO_REDIS_URL=", "RELEVO_LOG_LEVEL="); !reflect.DeepEqual(empty, want) {
		t.Errorf("set and empty: %+v", empty)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	got := load(
		t, "PORT=9000", "LISTEN_ADDRESS=[::]:8080", "FUNCTION=api", "K_SERVICE=offer-created", "K_SINK=http://broker/ns",
		`K_CE_OVERRIDES={"extensions":{"cluster":"north"}}`, "K_CA_CERTS=pem", "RELEVO_HOST_FUNCTIONS=http://{context}.ns.svc/{function}", "RELEVO_HOST_WAKE=off", "RELEVO_HOST_EVENT_BYTES=5", "RELEVO_HOST_DRAIN=1s",
		"RELEVO_BUS_CONCURRENCY=2", "RELEVO_BUS_TRIES=3", "RELEVO_BUS_BACKOFF=4ms", "RELEVO_BUS_MEMORY=5",
		"RELEVO_REDIS_URL=redis://u:p@h:1/2", "RELEVO_REDIS_LOG_BYTES=9", "RELEVO_REDIS_LOG_BYTES_EACH=8", "RELEVO_REDIS_FEED_BYTES=7", "RELEVO_DATA_DIR=/data", "RELEVO_LOGS_URL=/cold", "RELEVO_SCHEDULER_POOL=linux", "RELEVO_SCHEDULER_OFFER_TTL=1h", "RELEVO_SCHEDULER_UNTRUSTED_SLOTS=3",
		"RELEVO_PIPELINE_LEASE=1m", "RELEVO_PIPELINE_HEARTBEAT=5s", "RELEVO_PIPELINE_START_DEADLINE=2m", "RELEVO_PIPELINE_INFRA_RETRIES=0",
		"RELEVO_PROVIDER_DOCKER_HOST=tcp://d:1", "DOCKER_HOST=tcp://other:1",
		"RELEVO_PROVIDER_KUBERNETES_NAMESPACE=jobs", "RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE=apart", "RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_RUNTIME_CLASS=gvisor", "RELEVO_PROVIDER_KUBERNETES_AGENT_IMAGE=agent:1", "RELEVO_PROVIDER_KUBERNETES_IMAGE=debian",
		"RELEVO_PROVIDER_KUBERNETES_PULL_SECRETS=one, two,", "RELEVO_PROVIDER_KUBERNETES_SERVICE_ACCOUNT=worker",
		"RELEVO_PROVIDER_KUBERNETES_NODE_SELECTOR=pool=ci", "RELEVO_PROVIDER_KUBERNETES_TOLERATIONS=ci:NoSchedule", "RELEVO_PROVIDER_KUBERNETES_LABELS=arm64", "RELEVO_PROVIDER_KUBERNETES_RUNTIME_CLASS=kata", "RELEVO_PROVIDER_KUBERNETES_PRIORITY_CLASS=low",
		"RELEVO_PROVIDER_KUBERNETES_BLOCK=10.0.0.0/8", "RELEVO_PROVIDER_KUBERNETES_KUBECONFIG=/kube", "RELEVO_PROVIDER_KUBERNETES_CONTEXT=north",
		"RELEVO_API_LISTEN=:80", "RELEVO_API_TOKEN=t0ken",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS=a=b", "RELEVO_TELEMETRY_RETENTION=24h",
		"RELEVO_ACCESS_ADMINS=ana@x.org,group:ops", "RELEVO_ACCESS_GRANTS=group:dev=developer@github/acme/*", "RELEVO_ACCESS_SESSION=1h", "RELEVO_ACCESS_AUDIT=48h", "RELEVO_ACCESS_RATE=0", "RELEVO_ACCESS_BURST=2", "RELEVO_ACCESS_PROXIES=10.1.2.3/8, ::1",
		"RELEVO_OIDC_ISSUER=https://id.example", "RELEVO_OIDC_CLIENT_ID=relevo", "RELEVO_OIDC_CLIENT_SECRET=s", "RELEVO_OIDC_GROUPS_CLAIM=roles", "RELEVO_OIDC_SCOPES=groups",
		"RELEVO_WORKER_URL=https://relevo.example/worker", "RELEVO_WORKER_KEY=k3y", "RELEVO_PUBLIC_URL=https://relevo.example", "RELEVO_LOG_LEVEL=debug",
	)
	want := config.Config{
		Host: config.Host{
			Port: 9000, ListenAddress: "[::]:8080", Function: "api", Service: "offer-created", Sink: "http://broker/ns",
			Overrides: config.Overrides{"cluster": "north"}, CACerts: "pem", Functions: "http://{context}.ns.svc/{function}", EventBytes: 5, Drain: time.Second,
		},
		Bus:       config.Bus{Concurrency: 2, Tries: 3, Backoff: 4 * time.Millisecond, Memory: 5},
		Redis:     config.Redis{URL: "redis://u:p@h:1/2", LogBytes: 9, LogBytesEach: 8, FeedBytes: 7},
		Data:      config.Data{Dir: "/data"},
		Logs:      config.Logs{URL: "/cold"},
		Telemetry: config.Telemetry{Endpoint: "http://collector:4318", Headers: "a=b", Retention: 24 * time.Hour},
		Scheduler: config.Scheduler{Pool: "linux", OfferTTL: time.Hour, UntrustedSlots: 3},
		Pipeline:  config.Pipeline{Lease: time.Minute, Heartbeat: 5 * time.Second, StartDeadline: 2 * time.Minute},
		Provider: config.Provider{
			DockerHost: "tcp://d:1", KubernetesNamespace: "jobs", KubernetesUntrustedNamespace: "apart", KubernetesUntrustedRuntimeClass: "gvisor", KubernetesAgentImage: "agent:1", KubernetesImage: "debian",
			KubernetesPullSecrets: config.List{"one", "two"}, KubernetesServiceAccount: "worker",
			KubernetesNodeSelector: "pool=ci", KubernetesTolerations: "ci:NoSchedule", KubernetesLabels: config.List{"arm64"}, KubernetesRuntimeClass: "kata", KubernetesPriorityClass: "low",
			KubernetesBlock: config.List{"10.0.0.0/8"}, KubernetesKubeconfig: "/kube", KubernetesContext: "north",
		},
		API: config.API{Listen: ":80", Token: "t0ken"},
		Access: config.Access{
			Admins: config.List{"ana@x.org", "group:ops"}, Grants: config.List{"group:dev=developer@github/acme/*"},
			Session: time.Hour, Audit: 48 * time.Hour, Burst: 2,
			Proxies: config.Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
		OIDC:   config.OIDC{Issuer: "https://id.example", ClientID: "relevo", ClientSecret: "s", GroupsClaim: "roles", Scopes: config.List{"groups"}},
		Worker: config.Worker{URL: "https://relevo.example/worker", Key: "k3y"},
		Public: config.Public{URL: "https://relevo.example"},
		Forges: publicForges, // TestForges is about the others
		Log:    config.Log{Level: slog.LevelDebug},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if a := got.Host.Address(); a != "[::]:8080" {
		t.Errorf("listen on %s", a)
	}
	if a := load(t, "PORT=9000").Host.Address(); a != ":9000" {
		t.Errorf("listen on %s", a)
	}
	if h := load(t, "DOCKER_HOST=tcp://other:1").Provider.DockerHost; h != "tcp://other:1" {
		t.Errorf("DOCKER_HOST is not read: %s", h)
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("RELEVO_DATA_DIR", "/here")
	c, err := config.FromEnvironment()
	if err != nil || c.Data.Dir != "/here" {
		t.Errorf("%+v, %v", c.Data, err)
	}
}

func TestSecretFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("t0ken \n")
	if got := load(t, "RELEVO_API_TOKEN_FILE="+file).API.Token.Reveal(); got != "t0ken " {
		t.Errorf("got %q", got)
	}
	write("\n")
	for want, pairs := range map[string][]string{
		"is empty":           {"RELEVO_API_TOKEN_FILE=" + file},
		"no such file":       {"RELEVO_API_TOKEN_FILE=" + file + "x"},
		"are both set":       {"RELEVO_API_TOKEN_FILE=" + file, "RELEVO_API_TOKEN=t0ken"},
		"RELEVO_REDIS_URL: ": {"RELEVO_REDIS_URL_FILE=" + file},
	} {
		if _, err := config.Load(environment(pairs...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{
			"PORT=eighty RELEVO_PIPELINE_LEASE=soon RELEVO_BUS_TRIES=1.5 RELEVO_LOG_LEVEL=loud",
			`config: PORT: "eighty" is no whole number
config: RELEVO_BUS_TRIES: "1.5" is no whole number
config: RELEVO_PIPELINE_LEASE: "soon" is no duration, such as 30s or 24h
config: RELEVO_LOG_LEVEL: slog: level string "loud": unknown name`,
		},
		{
			"PORT=70000 RELEVO_PIPELINE_LEASE=19s RELEVO_BUS_TRIES=0 RELEVO_PIPELINE_INFRA_RETRIES=-1 RELEVO_HOST_DRAIN=-1s RELEVO_API_LISTEN=80",
			`config: PORT: 70000 is no port
config: RELEVO_API_LISTEN: "80" is not host:port
config: RELEVO_BUS_TRIES: 0 is less than 1
config: RELEVO_HOST_DRAIN: -1s is not positive
config: RELEVO_PIPELINE_INFRA_RETRIES: -1 is less than 0
config: RELEVO_PIPELINE_LEASE: 19s is less than two heartbeats of 10s: a late one would cost a worker its job`,
		},
		{
			"K_SINK=broker RELEVO_WORKER_URL=ftp://x RELEVO_REDIS_URL=h4x0r:6379 RELEVO_HOST_FUNCTIONS=functions",
			`config: K_SINK: it is no URL that begins with http:// or https://
config: RELEVO_HOST_FUNCTIONS: "functions" has no {function}
config: RELEVO_HOST_FUNCTIONS: it is no URL that begins with http:// or https://
config: RELEVO_REDIS_URL: it is no URL that begins with redis:// or rediss:// or unix://
config: RELEVO_WORKER_URL: it is no URL that begins with http:// or https:// or unix://`,
		},
		{
			"RELEVO_FORGE_GITEA_TOKEN=t0ken RELEVO_FORGE_GITHUB_URL=github RELEVO_FORGE_GITHUB_TOKEN=t0ken RELEVO_PUBLIC_URL=x",
			`config: RELEVO_FORGE_GITEA_URL: it is not set, and the forge has a token or a webhook secret
config: RELEVO_FORGE_GITHUB_URL: it is no URL that begins with http:// or https://
config: RELEVO_PUBLIC_URL: it is no URL that begins with http:// or https://`,
		},
		{`K_CE_OVERRIDES={"extensions":{"Not":"ok"}}`, `config: K_CE_OVERRIDES: "Not" is no extension's name: lower-case letters and digits`},
		{"K_CE_OVERRIDES=cluster:north", `config: K_CE_OVERRIDES: it is not {"extensions": {"name": "value"}}: invalid character 'c' looking for beginning of value`},
	} {
		_, err := config.Load(environment(strings.Fields(c.env)...))
		if fmt.Sprint(err) != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.env, err, c.want)
		}
	}
}

func TestWhereLogsAreKept(t *testing.T) {
	for where, want := range map[string]string{
		"/var/logs": "", "file:///var/logs": "", "s3://logs": "", "s3://logs?region=eu-west-1&endpoint=https://minio.example": "",
		"logs": "neither a folder", "gs://h4x0r": "neither a folder", "azblob://h4x0r": "neither a folder", "https://h4x0r": "neither a folder", ":": "neither a folder",
		"file://host/h4x0r": "whole path", "s3://": "names no bucket", "s3:///h4x0r": "names no bucket",
		"s3://key:h4x0r@logs": "AWS_SECRET_ACCESS_KEY",
	} {
		_, err := config.Load(environment("RELEVO_LOGS_URL=" + where))
		if want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), "config: RELEVO_LOGS_URL: ") {
			t.Errorf("%s: %v", where, err)
		}
		if text := fmt.Sprint(err); want != "" && (!strings.Contains(text, want) || strings.Contains(text, "h4x0r")) {
			t.Errorf("%s: %s", where, text)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	c := load(t, "RELEVO_REDIS_URL=redis://u:h4x0r@h", "RELEVO_API_TOKEN=h4x0r")
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", c, "token", c.API.Token)
	for _, text := range []string{string(raw), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c.API.Token, c.API.Token), logged.String()} {
		if strings.Contains(text, "h4x0r") {
			t.Errorf("it shows: %s", text)
		}
	}
	if c.API.Token.Reveal() != "h4x0r" || config.Secret("").String() != "" {
		t.Error("a secret cannot be used")
	}
}

// TestForges holds which forges are served: those with a secret or a token, each
// with its own settings and its live secrets, the newest first.
func TestForges(t *testing.T) {
	if got := load(t).Forges.Served(); len(got) != 0 {
		t.Errorf("without settings there is %v", got)
	}
	var pairs []string
	var want []config.Served
	for _, name := range []string{"github", "gitlab", "gitea", "bitbucket", "stash", "gogs"} {
		of := "RELEVO_FORGE_" + strings.ToUpper(name)
		pairs = append(pairs, of+"_URL=http://"+name+"/", of+"_TOKEN="+name+"-t", of+"_WEBHOOK_SECRET="+name+"-new", of+"_WEBHOOK_SECRET_OLD="+name+"-old")
		want = append(want, config.Served{
			Name: name, URL: "http://" + name + "/", Token: config.Secret(name + "-t"),
			Secrets: []config.Secret{config.Secret(name + "-new"), config.Secret(name + "-old")},
		})
	}
	if got := load(t, pairs...).Forges.Served(); !reflect.DeepEqual(got, want) {
		t.Errorf("served %#v", got)
	}
	some := load(t, "RELEVO_FORGE_GITHUB_WEBHOOK_SECRET_OLD=old", "RELEVO_FORGE_GOGS_URL=http://gogs/", "RELEVO_FORGE_GOGS_TOKEN=tok", "RELEVO_FORGE_STASH_URL=http://unused/")
	want = []config.Served{
		{Name: "github", URL: "https://api.github.com/", Secrets: []config.Secret{"old"}},
		{Name: "gogs", URL: "http://gogs/", Token: "tok", Secrets: []config.Secret{}},
	}
	if got := some.Forges.Served(); !reflect.DeepEqual(got, want) {
		t.Errorf("served %#v", got)
	}
	app := load(t, "RELEVO_FORGE_GITHUB_APP_ID=7", "RELEVO_FORGE_GITHUB_APP_KEY=pem")
	want = []config.Served{{Name: "github", URL: "https://api.github.com/", Secrets: []config.Secret{}, AppID: "7", AppKey: "pem"}}
	if got := app.Forges.Served(); !reflect.DeepEqual(got, want) {
		t.Errorf("served %#v", got)
	}
}

func TestLoginNeedsAWayBack(t *testing.T) {
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"whole":            {[]string{"RELEVO_OIDC_CLIENT_ID=r", "RELEVO_PUBLIC_URL=https://r.example", "RELEVO_OIDC_ISSUER=https://id.example"}, ""},
		"on this machine":  {[]string{"RELEVO_OIDC_CLIENT_ID=r", "RELEVO_PUBLIC_URL=http://127.0.0.1:8470", "RELEVO_OIDC_ISSUER=http://localhost:5556/dex"}, ""},
		"no client":        {[]string{"RELEVO_PUBLIC_URL=https://r.example", "RELEVO_OIDC_ISSUER=https://id.example"}, "RELEVO_OIDC_CLIENT_ID"},
		"no address":       {[]string{"RELEVO_OIDC_CLIENT_ID=r", "RELEVO_OIDC_ISSUER=https://id.example"}, "RELEVO_PUBLIC_URL"},
		"in the clear":     {[]string{"RELEVO_OIDC_CLIENT_ID=r", "RELEVO_PUBLIC_URL=http://r.example", "RELEVO_OIDC_ISSUER=https://id.example"}, "RELEVO_PUBLIC_URL"},
		"a clear provider": {[]string{"RELEVO_OIDC_CLIENT_ID=r", "RELEVO_PUBLIC_URL=https://r.example", "RELEVO_OIDC_ISSUER=http://id.example"}, "RELEVO_OIDC_ISSUER"},
	} {
		_, err := config.Load(environment(c.set...))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
