package kubernetes

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Config is what New needs.
type Config struct {
	// Installation is the id of the store that the workers belong to.
	Installation string
	// Namespace that the Jobs are made in; it is best theirs alone.
	Namespace string
	// Name of the provider, where an installation has one for each of several
	// namespaces; empty: kubernetes.
	Name string
	// AgentImage is an image whose entry point is the agent.
	AgentImage string
	// Image is for launches that name none.
	Image string

	// Kubeconfig is the path of a kubectl configuration. Empty: the service
	// account of the pod that this runs in; outside a cluster, what kubectl uses.
	Kubeconfig string
	// Context of that configuration; empty: its current one.
	Context string
	// QPS and Burst bound the requests to the API server; 0: 50 a second, 100 at
	// once.
	QPS   float32
	Burst int

	// Nodes says where the pods run, and Pools where those of a pool do instead.
	Nodes
	Pools map[events.PoolID]Nodes
	// Attributes are Kubernetes' names for the attributes in a job's affinity,
	// such as zone: topology.kubernetes.io/zone. The others are for Relevo's
	// scheduler alone.
	Attributes map[string]string
	// Taints are Kubernetes' tolerations for the taints that jobs put up with, by
	// name. The others are for Relevo's scheduler alone: a job must not get onto
	// the cluster's control plane by asking.
	Taints map[string]corev1.Toleration

	// ImagePullSecrets are names of Secrets in the namespace.
	ImagePullSecrets []string
	// ServiceAccount of the pods; empty: the namespace's default. Its token is
	// not given to them.
	ServiceAccount string
	// RunAsUser is who jobs run as; 0: 1000.
	RunAsUser int64
	// Root lets jobs run as root, for images that need it, with what a package
	// manager needs and no more. The namespace must then allow the Pod Security
	// Standard "baseline".
	Root bool
	// GPU is the resource that stands for one; empty: nvidia.com/gpu.
	GPU string
	// EphemeralStorage bounds what a job writes to its node's disk, in bytes; 0:
	// no bound but the namespace's own.
	EphemeralStorage int64
	// Labels and Annotations are set on every pod besides Relevo's own.
	Labels, Annotations map[string]string

	// Block are networks in CIDR form that jobs do not reach, besides the
	// link-local ones where clouds keep their metadata.
	Block []string
	// Egress is all that jobs reach, where the default (everything but Block) is
	// not wanted.
	Egress []networkingv1.NetworkPolicyEgressRule

	// TTL is how long a Job stays after its end, should nobody remove it; 0: an
	// hour.
	TTL time.Duration
	// Margin is what a Job may take beyond its job's own timeout, to be scheduled,
	// pulled and ended, before Kubernetes ends it; 0: half an hour.
	Margin time.Duration
	// Grace is between asking an agent to end and killing it, where its launch
	// says nothing; 0: 10 seconds.
	Grace time.Duration
	// Patience is how long a pod may fail to start (an image that cannot be
	// pulled, a quota that is used up) before that is told as a failure; 0: a
	// minute, in which the kubelet tries a pull four times.
	Patience time.Duration

	// Capacity is what the jobs may take in all; what is 0 is read from the
	// namespace's ResourceQuotas.
	Capacity events.Resources
}

// Nodes says which nodes pods run on, and how.
type Nodes struct {
	NodeSelector map[string]string
	Tolerations  []corev1.Toleration
	// PriorityClass and RuntimeClass are names of the cluster's; empty: its
	// defaults.
	PriorityClass string
	RuntimeClass  string
}

const defaultUser = 1000

// complete checks the settings and fills in what they leave open.
func (c *Config) complete() error {
	switch {
	case c.Installation == "" || c.Namespace == "" || c.AgentImage == "":
		return errors.New("an installation, a namespace and the agent's image are needed")
	case c.RunAsUser < 0:
		return fmt.Errorf("%d is nobody's number", c.RunAsUser)
	case c.Root && c.RunAsUser != 0:
		return errors.New("jobs run as root or as another user, not both")
	}
	for _, network := range c.Block {
		if _, err := netip.ParsePrefix(network); err != nil {
			return fmt.Errorf("a network that is blocked: %w", err)
		}
	}
	if c.RunAsUser == 0 {
		c.RunAsUser = defaultUser
	}
	setDefault(&c.Name, provider.Kubernetes)
	setDefault(&c.GPU, "nvidia.com/gpu")
	setDefault(&c.QPS, 50)
	setDefault(&c.Burst, 100)
	setDefault(&c.TTL, time.Hour)
	setDefault(&c.Margin, 30*time.Minute)
	setDefault(&c.Grace, 10*time.Second)
	setDefault(&c.Patience, time.Minute)
	return nil
}

func setDefault[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// nodes is where the pods of a pool run.
func (c *Config) nodes(pool events.PoolID) Nodes {
	if n, ok := c.Pools[pool]; ok {
		return n
	}
	return c.Nodes
}
