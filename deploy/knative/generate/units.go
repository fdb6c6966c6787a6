package main

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/forge"
)

const (
	// namespace is where the functions are, jobs where their workers run, and
	// untrusted where strangers' do, with the component of that name.
	namespace = "relevo"
	jobs      = "relevo-jobs"
	untrusted = jobs + "-untrusted"
	domain    = namespace + ".svc.cluster.local"

	leanHost       = "ko://github.com/relevo-ci/relevo/deploy/host"
	frontHost      = "ko://github.com/relevo-ci/relevo/deploy/host-front"
	kubernetesHost = "ko://github.com/relevo-ci/relevo/deploy/host-kubernetes"
)

// unit is one Service and the functions that it serves.
type unit struct {
	name      string
	functions []fn.Function
	shape     shape
	front     bool // links more than the lean host does
	fused     bool // one of its functions is told by path
	// addresses is where the clock posts what a broker lost.
	addresses string
}

// subscribed tells that a broker's Trigger calls f. The others are called by
// name: HTTP functions, and those that hear what comes straight from a source.
func subscribed(f fn.Function) bool {
	own := strings.HasPrefix(string(f.On), "dev.relevo.") && f.On != events.TypeClockTicked
	return f.Handle != nil && (own || f.On == fn.Everything)
}

func perFunction(all []fn.Function, front []string) []unit {
	units := make([]unit, 0, len(all))
	for _, f := range all {
		units = append(units, unit{
			name: f.Name, functions: []fn.Function{f}, shape: shapeOf(f.Name), front: slices.Contains(front, f.Name),
			addresses: "http://{function}." + domain,
		})
	}
	return units
}

// fused has a Service for each context, which serves all of it that Triggers
// call. What is called by its name keeps its own, so that whoever calls it, and
// who may call it, is the same.
func fused(all []fn.Function, front []string) []unit {
	var units []unit
	for _, u := range perFunction(all, front) {
		f := u.functions[0]
		u.addresses = "http://{context}." + domain + "/{function}"
		if !subscribed(f) {
			units = append(units, u)
			continue
		}
		context := string(f.Context)
		at := slices.IndexFunc(units, func(other unit) bool { return other.name == context })
		if at < 0 {
			u.name, u.shape, u.fused = context, shapeOf(context), true
			units = append(units, u)
			continue
		}
		units[at].functions = append(units[at].functions, f)
		units[at].front = units[at].front || u.front
	}
	return units
}

// launches tells that the unit talks to a provider, and so to the cluster.
func (u unit) launches() bool {
	return slices.ContainsFunc(u.functions, func(f fn.Function) bool { return f.Launches })
}

// outside tells that the unit is reached from outside the cluster.
func (u unit) outside() bool {
	return u.front && slices.ContainsFunc(u.functions, func(f fn.Function) bool { return f.HTTP != nil })
}

func (u unit) serves(names ...string) bool {
	return slices.ContainsFunc(u.functions, func(f fn.Function) bool { return slices.Contains(names, f.Name) })
}

func (u unit) image() string {
	switch {
	case u.launches(): // it has all that the others have
		return kubernetesHost
	case u.front:
		return frontHost
	}
	return leanHost
}

// doc says in a line what the unit does.
func (u unit) doc() string {
	if u.fused {
		return "all of the context " + u.name + " that events call"
	}
	return u.functions[0].Doc
}

// context is that of all its functions.
func (u unit) context() string { return cmp.Or(string(u.functions[0].Context), "none") }

// env is what the functions are told besides the ConfigMap relevo: what they
// need, and no secret that they do not.
func (u unit) env() []corev1.EnvVar {
	var env []corev1.EnvVar
	set := func(name, value string) { env = append(env, corev1.EnvVar{Name: name, Value: value}) }
	secret := func(name, secret, key string) {
		env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key, Optional: optional(secret),
		}}})
	}
	set("FUNCTION", u.names())
	secret("RELEVO_REDIS_URL", "relevo-redis", "url")
	if u.serves("assignment-created", "worker") { // one signs with it, the other checks
		secret("RELEVO_WORKER_KEY", "relevo-worker", "key")
	}
	if u.serves("assignment-created") {
		set("RELEVO_WORKER_URL", "http://worker."+domain)
	}
	if u.serves("api", "console") { // the console asks the api in its own process
		secret("RELEVO_API_TOKEN", "relevo-api", "token")
	}
	if u.serves("api") {
		secret("RELEVO_EVENTS_SECRET", eventSecrets, "secret")
		secret("RELEVO_EVENTS_SECRET_OLD", eventSecrets, "secret-old")
	}
	if u.serves("run-requested-cdevents") {
		set("RELEVO_EVENTS_CDEVENTS", "true")
	}
	u.logs(secret)
	u.forges(secret)
	if u.serves("worker") {
		set("RELEVO_SECRETS_DIR", secretsFolder)
	}
	if u.serves("clock-ticked", "api", "console", "delivery-received") { // one heals, the others wake
		set("RELEVO_HOST_FUNCTIONS", u.addresses)
	}
	if u.launches() {
		set("RELEVO_PROVIDER_KUBERNETES_NAMESPACE", jobs)
	}
	return env
}

// names are its functions, as they are told to whoever serves them.
func (u unit) names() string {
	names := make([]string, 0, len(u.functions))
	for _, f := range u.functions {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}

// forgeSecrets is the Secret of the git forges. A forge that is not served has no
// keys in it, and where none is there need be no Secret.
const forgeSecrets = "relevo-forges"

// eventSecrets is the Secret of those who send events without a token; there
// need be none.
const eventSecrets = "relevo-events"

// logSecrets is the Secret of the bucket that logs are moved to; there need be
// none.
const logSecrets = "relevo-logs"

func optional(secret string) *bool {
	switch secret {
	case forgeSecrets, eventSecrets, logSecrets:
		return ptr.Bool(true)
	}
	return nil
}

// logs tells who reads, moves or removes logs where they are moved to.
func (u unit) logs(secret func(name, secret, key string)) {
	if u.serves("api", "console", "run-completed-logs", "clock-ticked") {
		secret("RELEVO_LOGS_URL", logSecrets, "url")
		secret("AWS_ACCESS_KEY_ID", logSecrets, "access-key-id")
		secret("AWS_SECRET_ACCESS_KEY", logSecrets, "secret-access-key")
	}
}

// forges gives the unit what it needs of forges: who looks at signatures has the
// secrets that they are made with, who asks and tells has the tokens, and so has
// who hands them to git.
func (u unit) forges(secret func(name, secret, key string)) {
	for _, kind := range []string{forge.GitHub, forge.GitLab, forge.Gitea, forge.Bitbucket, forge.Stash, forge.Gogs} {
		of := "RELEVO_FORGE_" + strings.ToUpper(kind)
		if u.serves("webhook") {
			secret(of+"_WEBHOOK_SECRET", forgeSecrets, kind+"-webhook-secret")
			secret(of+"_WEBHOOK_SECRET_OLD", forgeSecrets, kind+"-webhook-secret-old")
		}
		if u.serves("delivery-received", "status-requested", "worker") {
			secret(of+"_TOKEN", forgeSecrets, kind+"-token")
			if kind == forge.GitHub {
				secret(of+"_APP_ID", forgeSecrets, kind+"-app-id")
				secret(of+"_APP_KEY", forgeSecrets, kind+"-app-key")
			}
		}
	}
}
