// Package cluster opens the Kubernetes provider as the settings have it.
package cluster

import (
	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/providers/kubernetes"
)

// Open gives the provider of an installation. It does not talk to the cluster
// yet.
func Open(c config.Provider, installation string) (*kubernetes.Provider, error) {
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
