package main

import (
	"path"
	"strings"
)

// A program is a main package that is built into the cache.
type program struct {
	pkg  string
	pod  bool // runs in pods: an image is made of it
	user string
}

const (
	kubernetes = "k8s.io/kubernetes/cmd/"
	serving    = "knative.dev/serving/cmd/"
	eventing   = "knative.dev/eventing/cmd/"
	// module is this one; its programs change without go.sum changing.
	module = "github.com/relevo-ci/relevo/test/cluster"
)

const nonroot = "65532"

var programs = []program{
	{pkg: "go.etcd.io/etcd/server/v3"},
	{pkg: kubernetes + "kube-apiserver"},
	{pkg: kubernetes + "kube-controller-manager"},
	{pkg: kubernetes + "kube-scheduler"},
	{pkg: kubernetes + "kubelet"},
	{pkg: kubernetes + "kube-proxy"},
	{pkg: kubernetes + "kubectl"},
	{pkg: serving + "activator", pod: true, user: nonroot},
	{pkg: serving + "autoscaler", pod: true, user: nonroot},
	{pkg: serving + "controller", pod: true, user: nonroot},
	{pkg: serving + "queue", pod: true, user: nonroot},
	{pkg: serving + "webhook", pod: true, user: nonroot},
	{pkg: eventing + "apiserver_receive_adapter", pod: true, user: nonroot},
	{pkg: eventing + "broker/filter", pod: true, user: nonroot},
	{pkg: eventing + "broker/ingress", pod: true, user: nonroot},
	{pkg: eventing + "controller", pod: true, user: nonroot},
	{pkg: eventing + "in_memory/channel_controller", pod: true, user: nonroot},
	{pkg: eventing + "in_memory/channel_dispatcher", pod: true, user: nonroot},
	{pkg: eventing + "mtchannel_broker", pod: true, user: nonroot},
	{pkg: eventing + "mtping", pod: true, user: nonroot},
	{pkg: eventing + "webhook", pod: true, user: nonroot},
	{pkg: "knative.dev/client/cmd/kn"}, // nothing of the cluster's: for people, and tests
	{pkg: module + "/dns", pod: true, user: nonroot},
	{pkg: module + "/echo", pod: true, user: nonroot},
	{pkg: module + "/ingress", pod: true, user: nonroot},
	{pkg: module + "/pause", pod: true, user: nonroot},
}

// name tells programs apart whose last element is the same.
func (p program) name() string {
	switch {
	case p.pkg == "go.etcd.io/etcd/server/v3":
		return "etcd"
	case strings.HasPrefix(p.pkg, kubernetes), strings.HasSuffix(p.pkg, "/kn"), p.own():
		return path.Base(p.pkg)
	}
	project, command, _ := strings.Cut(strings.TrimPrefix(p.pkg, "knative.dev/"), "/cmd/")
	return project + "-" + strings.NewReplacer("/", "-", "_", "-").Replace(command)
}

func (p program) own() bool { return strings.HasPrefix(p.pkg, module+"/") }

// systemImage is a pod's program under the name of its build.
func (c cache) systemImage(p program) string {
	tag := c.key
	if p.own() {
		tag = c.own
	}
	return "dev.local/system/" + p.name() + ":" + tag
}
