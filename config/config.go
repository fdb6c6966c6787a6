// Package config holds every setting of Relevo, typed and checked, and is the
// only reader of the environment. The binaries and the root package read it
// and hand values on.
//
// docs/env.md and relevo.env beside this file are generated from the structs
// and comments here: go generate ./config.
package config

import (
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

//go:generate go test -run ^TestGenerated$ . -update

// Config is all settings. Each has one environment variable, whose name and
// default stand in its tag; of a secret, <name>_FILE names a file to read it
// from instead.
type Config struct {
	Host      Host
	Bus       Bus
	Redis     Redis
	Data      Data
	Logs      Logs
	Telemetry Telemetry
	Scheduler Scheduler
	Pipeline  Pipeline
	Provider  Provider
	API       API
	Access    Access
	OIDC      OIDC
	Worker    Worker
	Secrets   Secrets
	Public    Public
	Events    Events
	Forges    Forge
	Log       Log
}

// Host is what Knative and func tell a function.
type Host struct {
	// Port to listen on, on all addresses. Knative sets it.
	Port int `env:"PORT" default:"8080"`
	// Address to listen on instead, host:port.
	ListenAddress string `env:"LISTEN_ADDRESS"`
	// Functions that this process serves: names of functions or contexts,
	// comma-separated. Unset: the one that K_SERVICE names, else all.
	Function string `env:"FUNCTION"`
	// Name of the service. Knative sets it.
	Service string `env:"K_SERVICE"`
	// Where emitted events go, a URL. Unset: a single one is the reply. A
	// SinkBinding sets it.
	Sink string `env:"K_SINK"`
	// Extensions set on every emitted event, as JSON: {"extensions": {"name":
	// "value"}}. A SinkBinding sets it.
	Overrides Overrides `env:"K_CE_OVERRIDES"`
	// Certificates that the sink's may be signed by, in PEM. A SinkBinding sets
	// it.
	CACerts string `env:"K_CA_CERTS"`
	// Address of a function's service, with {function} for its name and {context}
	// for its context's: the clock posts there what the broker lost. Unset: the
	// clock publishes it again.
	Functions string `env:"RELEVO_HOST_FUNCTIONS"`
	// Whether the api, for a run that it accepts, wakes the functions on the way of
	// a job at those addresses: on or off.
	Wake Switch `env:"RELEVO_HOST_WAKE" default:"on"`
	// The largest event taken, in bytes.
	EventBytes int64 `env:"RELEVO_HOST_EVENT_BYTES" default:"1048576"`
	// How long requests under way may take to finish once the process is told to
	// end.
	Drain time.Duration `env:"RELEVO_HOST_DRAIN" default:"25s"`
}

// Bus is the broker of `relevo run` and `relevo up`.
type Bus struct {
	// Deliveries that one function takes at a time.
	Concurrency int `env:"RELEVO_BUS_CONCURRENCY" default:"16"`
	// How often a delivery is tried before it becomes a dead letter.
	Tries int `env:"RELEVO_BUS_TRIES" default:"10"`
	// Pause after the first failed delivery; it doubles with each further one.
	Backoff time.Duration `env:"RELEVO_BUS_BACKOFF" default:"50ms"`
	// Bytes of waiting events beyond which requests from outside are refused.
	Memory int64 `env:"RELEVO_BUS_MEMORY" default:"67108864"`
}

// Redis is where the truth stands.
type Redis struct {
	// Address of Redis, redis://user:password@host:port/db or rediss:// for TLS.
	// Unset: `relevo` runs one of its own.
	URL Secret `env:"RELEVO_REDIS_URL"`
	// On Knative logs are kept in Redis: the most bytes of all of them. When they
	// are full, steps with output wait. Finished runs leave after seven days.
	LogBytes int64 `env:"RELEVO_REDIS_LOG_BYTES" default:"1073741824"`
	// The most bytes of one attempt's log there.
	LogBytesEach int64 `env:"RELEVO_REDIS_LOG_BYTES_EACH" default:"67108864"`
	// The most bytes of the newest events that Redis keeps for those who watch.
	FeedBytes int64 `env:"RELEVO_REDIS_FEED_BYTES" default:"33554432"`
}

// Data is where `relevo` keeps files.
type Data struct {
	// Folder for state, logs and artifacts. On Knative it is for a single process:
	// logs are then kept there instead of in Redis.
	Dir string `env:"RELEVO_DATA_DIR"`
}

// Logs are what attempts wrote.
type Logs struct {
	// Where logs are kept once their attempt has ended: a folder, or s3://bucket of
	// whatever speaks S3, with ?region= and ?endpoint=, whose credentials are those of
	// AWS's own variables (docs/deploy.md). Unset: in the data folder; without one, as on Knative, they stay in Redis.
	URL Secret `env:"RELEVO_LOGS_URL"`
}

// Telemetry is what is told of runs as traces and numbers.
type Telemetry struct {
	// Base URL of an OpenTelemetry collector that takes OTLP over HTTP: the traces of
	// runs that ended are sent to /v1/traces below it. Unset: to none.
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// Headers sent with them, name=value, comma-separated.
	Headers Secret `env:"OTEL_EXPORTER_OTLP_HEADERS"`
	// How long after its request a run has a trace and is counted.
	Retention time.Duration `env:"RELEVO_TELEMETRY_RETENTION" default:"168h"`
}

// Scheduler places jobs.
type Scheduler struct {
	// Pool of the jobs whose labels name no other.
	Pool string `env:"RELEVO_SCHEDULER_POOL" default:"default"`
	// How long a job may wait for a node before it is given up.
	OfferTTL time.Duration `env:"RELEVO_SCHEDULER_OFFER_TTL" default:"24h"`
	// On one machine: how many of the jobs that run side by side may be those of
	// untrusted runs, such as of forks that nobody approved. So many get that share
	// of the machine and a network for themselves, which takes Docker. 0: such jobs
	// wait until they are approved.
	UntrustedSlots int `env:"RELEVO_SCHEDULER_UNTRUSTED_SLOTS" default:"0"`
}

// Pipeline runs jobs.
type Pipeline struct {
	// How long a worker counts as alive after its last report; at least twice the
	// heartbeat.
	Lease time.Duration `env:"RELEVO_PIPELINE_LEASE" default:"30s"`
	// How often a worker without output reports.
	Heartbeat time.Duration `env:"RELEVO_PIPELINE_HEARTBEAT" default:"10s"`
	// How long a worker may take from its assignment to its first report.
	StartDeadline time.Duration `env:"RELEVO_PIPELINE_START_DEADLINE" default:"5m"`
	// How often a job is tried again when its worker was lost; failures of its own
	// have their own budget.
	InfraRetries int `env:"RELEVO_PIPELINE_INFRA_RETRIES" default:"2"`
}

// Provider launches workers.
type Provider struct {
	// Address of the Docker daemon. DOCKER_HOST is read where it is unset.
	DockerHost string `env:"RELEVO_PROVIDER_DOCKER_HOST" or:"DOCKER_HOST" default:"unix:///var/run/docker.sock"`

	// Namespace that jobs run in on Kubernetes.
	KubernetesNamespace string `env:"RELEVO_PROVIDER_KUBERNETES_NAMESPACE" default:"relevo-jobs"`
	// Namespace on Kubernetes that the jobs of untrusted runs run in, such as of
	// forks that nobody approved, bounded by its own ResourceQuotas. Unset: such
	// jobs wait until they are approved.
	KubernetesUntrustedNamespace string `env:"RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_NAMESPACE"`
	// Runtime class of the pods there. Unset: that of the other jobs.
	KubernetesUntrustedRuntimeClass string `env:"RELEVO_PROVIDER_KUBERNETES_UNTRUSTED_RUNTIME_CLASS"`
	// Image on Kubernetes that the agent is copied from into each job's pod; its
	// entry point is the agent. Whoever launches there needs it.
	KubernetesAgentImage string `env:"RELEVO_PROVIDER_KUBERNETES_AGENT_IMAGE"`
	// Image on Kubernetes of the jobs that name none. Unset: they are refused.
	KubernetesImage string `env:"RELEVO_PROVIDER_KUBERNETES_IMAGE"`
	// Secrets of that namespace that images are pulled with, comma-separated.
	KubernetesPullSecrets List `env:"RELEVO_PROVIDER_KUBERNETES_PULL_SECRETS"`
	// Service account of the jobs' pods; they get no token of it. Unset: the
	// namespace's default.
	KubernetesServiceAccount string `env:"RELEVO_PROVIDER_KUBERNETES_SERVICE_ACCOUNT"`
	// Labels of the nodes that jobs run on, key=value, comma-separated. Unset: any
	// node.
	KubernetesNodeSelector string `env:"RELEVO_PROVIDER_KUBERNETES_NODE_SELECTOR"`
	// Taints of nodes that jobs put up with, as kubectl writes them,
	// key=value:Effect, comma-separated.
	KubernetesTolerations string `env:"RELEVO_PROVIDER_KUBERNETES_TOLERATIONS"`
	// Labels that jobs ask for by runs-on, comma-separated. How much jobs may take
	// in all is read from the namespace's ResourceQuotas.
	KubernetesLabels List `env:"RELEVO_PROVIDER_KUBERNETES_LABELS" default:"self-hosted,linux,amd64,x64,ubuntu-latest,ubuntu-24.04,ubuntu-22.04"`
	// Runtime class of the jobs' pods, such as one that isolates them by virtual
	// machines.
	KubernetesRuntimeClass string `env:"RELEVO_PROVIDER_KUBERNETES_RUNTIME_CLASS"`
	// Priority class of the jobs' pods.
	KubernetesPriorityClass string `env:"RELEVO_PROVIDER_KUBERNETES_PRIORITY_CLASS"`
	// Networks that jobs do not reach, in CIDR form, comma-separated, besides the
	// link-local ones.
	KubernetesBlock List `env:"RELEVO_PROVIDER_KUBERNETES_BLOCK"`
	// Path of the kubectl configuration that says where the cluster is. Unset: the
	// cluster that this runs in, else what kubectl uses.
	KubernetesKubeconfig string `env:"RELEVO_PROVIDER_KUBERNETES_KUBECONFIG"`
	// Context of that configuration. Unset: its current one.
	KubernetesContext string `env:"RELEVO_PROVIDER_KUBERNETES_CONTEXT"`
}

// API is the REST API and the console of `relevo up`.
type API struct {
	// Address to listen on, host:port.
	Listen string `env:"RELEVO_API_LISTEN" default:"127.0.0.1:8470"`
	// Token that clients of the API send: of systems, and until there are others. Who
	// shows it is operator of everything. On Knative the api does not start without
	// it or RELEVO_OIDC_ISSUER.
	Token Secret `env:"RELEVO_API_TOKEN"`
}

// Access is who may do what through the API and the console.
type Access struct {
	// Who is admin of everything from the start: verified e-mail addresses, or
	// group:NAME, comma-separated.
	Admins List `env:"RELEVO_ACCESS_ADMINS"`
	// Further roles from the start, SUBJECT=ROLE@PROJECT, comma-separated: a
	// subject is user:ADDRESS or group:NAME, a project may be * or end in /*.
	Grants List `env:"RELEVO_ACCESS_GRANTS"`
	// How long a browser stays logged in.
	Session time.Duration `env:"RELEVO_ACCESS_SESSION" default:"12h"`
	// How long it is known who did what.
	Audit time.Duration `env:"RELEVO_ACCESS_AUDIT" default:"2160h"`
	// Requests a second that a person or an API token may make to the installation, on
	// average. 0: as many as they like, as may those that show RELEVO_API_TOKEN and
	// those on this machine in local mode.
	Rate int `env:"RELEVO_ACCESS_RATE" default:"50"`
	// Requests that they may make at once.
	Burst int `env:"RELEVO_ACCESS_BURST" default:"200"`
	// Networks of the proxies in front that are believed, in X-Forwarded-For or
	// Forwarded, where a request comes from, in CIDR form, comma-separated. Each of
	// them must add whom it serves. Unset: none.
	Proxies Networks `env:"RELEVO_ACCESS_PROXIES"`
}

// OIDC is the provider of OpenID Connect that people log in with.
type OIDC struct {
	// Address of the provider, as it calls itself. Unset: nobody logs in; callers
	// show a token or, where there is none, are on this machine. It needs
	// RELEVO_PUBLIC_URL, below which /login/callback is where the provider sends
	// browsers back to.
	Issuer string `env:"RELEVO_OIDC_ISSUER"`
	// Name that the provider knows this installation by.
	ClientID string `env:"RELEVO_OIDC_CLIENT_ID"`
	// Secret that the provider knows it by. Unset: it is a public client.
	ClientSecret Secret `env:"RELEVO_OIDC_CLIENT_SECRET"`
	// Claim that holds the groups of whoever logs in.
	GroupsClaim string `env:"RELEVO_OIDC_GROUPS_CLAIM" default:"groups"`
	// Scopes that are asked for besides openid, profile and email, comma-separated:
	// some providers tell groups only so.
	Scopes List `env:"RELEVO_OIDC_SCOPES"`
}

// Events are those that come from other systems and go to them.
type Events struct {
	// Secret that signs CloudEvents which are sent to POST /v1/events without a
	// token: HMAC-SHA-256 of the body, in the header X-Relevo-Signature-256. Unset:
	// nobody sends so.
	Secret Secret `env:"RELEVO_EVENTS_SECRET"`
	// Secret that signs them besides, while senders change over.
	OldSecret Secret `env:"RELEVO_EVENTS_SECRET_OLD"`
	// Whether runs and jobs are told as CDEvents too: on or off. On Knative the
	// component cdevents says so.
	CDEvents Switch `env:"RELEVO_EVENTS_CDEVENTS" default:"off"`
}

// Secrets are those that are set.
func (e Events) Secrets() []string {
	var all []string
	for _, s := range []Secret{e.Secret, e.OldSecret} {
		if s != "" {
			all = append(all, s.Reveal())
		}
	}
	return all
}

// Worker is how workers reach the control plane.
type Worker struct {
	// Address that workers report to, a URL. Unset: the provider's own way, where
	// it has one.
	URL string `env:"RELEVO_WORKER_URL"`
	// Key that signs what workers identify themselves with; the same for every
	// process of an installation. On Knative the functions that sign or check
	// with it do not start without.
	Key Secret `env:"RELEVO_WORKER_KEY"`
}

// Secrets are what jobs may read by name, as ${{ secrets.NAME }}.
type Secrets struct {
	// Folder of files, as Kubernetes mounts a Secret: a file's name is a secret's.
	// Those in a folder below, named forge/owner/name, are for that repository
	// alone. Unset: there are none. Runs of forks get none.
	Dir string `env:"RELEVO_SECRETS_DIR"`
}

// Log is what the process writes to standard error.
type Log struct {
	// Least level that is written: debug, info, warn or error.
	Level slog.Level `env:"RELEVO_LOG_LEVEL" default:"info"`
}

// FromEnvironment loads the settings from the process's environment.
func FromEnvironment() (Config, error) { return Load(os.LookupEnv) }

// Address is what to listen on.
func (h Host) Address() string {
	if h.ListenAddress != "" {
		return h.ListenAddress
	}
	return net.JoinHostPort("", strconv.Itoa(h.Port))
}
