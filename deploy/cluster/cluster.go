// Package cluster opens the Kubernetes provider as the settings have it.
package cluster

import (
	"cmp"
	"log/slog"

	"k8s.io/klog/v2"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/providers/kubernetes"
	"github.com/relevo-ci/relevo/shared/provider"
)

// Open gives the provider of an installation. It does not talk to the cluster
// yet. What the cluster's client has to say goes where this process logs, in its
// form: it has a logger of its own for the whole program.
func Open(c config.Provider, installation string) (*kubernetes.Provider, error) {
	settings, err := settings(c, installation)
	if err != nil {
		return nil, err
	}
	return kubernetes.New(settings)
}

// OpenUntrusted gives the provider of strangers' jobs, in a namespace of their
// own; nil where the settings name none. Images are pulled there without
// secrets: a stranger names them.
func OpenUntrusted(c config.Provider, installation string) (*kubernetes.Provider, error) {
	if c.KubernetesUntrustedNamespace == "" {
		return nil, nil
	}
	settings, err := settings(c, installation)
	if err != nil {
		return nil, err
	}
	settings.Name, settings.Namespace = provider.KubernetesUntrusted, c.KubernetesUntrustedNamespace
	settings.RuntimeClass = cmp.Or(c.KubernetesUntrustedRuntimeClass, settings.RuntimeClass)
	settings.ImagePullSecrets, settings.ServiceAccount = nil, ""
	return kubernetes.New(settings)
}

func settings(c config.Provider, installation string) (kubernetes.Config, error) {
	klog.SetSlogLogger(slog.Default())
	selector, err := kubernetes.ParseSelector(c.KubernetesNodeSelector)
	if err != nil {
		return kubernetes.Config{}, err
	}
	tolerations, err := kubernetes.ParseTolerations(c.KubernetesTolerations)
	if err != nil {
		return kubernetes.Config{}, err
	}
	return kubernetes.Config{
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
	}, nil
}
