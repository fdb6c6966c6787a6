// Package cluster opens the Kubernetes provider as the settings have it.
package cluster

import (
	"log/slog"

	"k8s.io/klog/v2"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/providers/kubernetes"
)

// Open gives the provider of an installation. It does not talk to the cluster
// yet. What the cluster's client has to say goes where this process logs, in its
// form: it has a logger of its own for the whole program.
func Open(c config.Provider, installation string) (*kubernetes.Provider, error) {
	klog.SetSlogLogger(slog.Default())
	selector, err := kubernetes.ParseSelector(c.KubernetesNodeSelector)
	if err != nil {
		return nil, err
	}
	tolerations, err := kubernetes.ParseTolerations(c.KubernetesTolerations)
	if err != nil {
		return nil, err
	}
	return kubernetes.New(kubernetes.Config{
		Installation: installation,
		Namespace:    c.KubernetesNamespace,
		AgentImage:   c.KubernetesAgentImage,
		Image:        c.KubernetesImage,
		Kubeconfig:   c.KubernetesKubeconfig,
		Context:      c.KubernetesContext,
		Nodes: kubernetes.Nodes{
			NodeSelector: selector, Tolerations: tolerations,
			PriorityClass: c.KubernetesPriorityClass, RuntimeClass: c.KubernetesRuntimeClass,
		},
		ImagePullSecrets: c.KubernetesPullSecrets,
		ServiceAccount:   c.KubernetesServiceAccount,
		Block:            c.KubernetesBlock,
	})
}
