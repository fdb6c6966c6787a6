// Package kubernetes runs workers as Jobs of a Kubernetes cluster (1.30 or
// later).
//
// A worker is one batch/v1 Job with one pod and no second try, named after the
// installation, the worker and the fence, and annotated with what it is for.
// The name makes Create idempotent: a second Job of that name cannot be made.
// Nothing is removed by name: Terminate looks Jobs up by their labels, compares
// the fence, and goes by UID.
//
// The launch holds the attempt's token, so it is in a Secret that the Job owns
// and that only the pod's first container sees: that one comes from the agent's
// image, and copies the agent and the launch to where the job's own image finds
// them, readable for its user alone. All pods keep to the Pod Security Standard
// "restricted", unless Config.Root says otherwise: see pod.go. What they reach
// over the network is bounded by a NetworkPolicy: see network.go.
//
// Two pods may run for one Job, for a moment, when a node comes back that was
// believed lost. The first agent whose hello is heard wins; the other ends.
package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/relevo-ci/relevo/shared/provider"
)

// Provider is the provider of one namespace of a cluster.
type Provider struct {
	cfg    Config
	hash   string // of the installation
	client kubernetes.Interface
	rest   *rest.Config // for port-forwarding
}

var _ provider.Provider = (*Provider)(nil)

// New gives the provider of an installation. It does not talk to the cluster
// yet.
func New(cfg Config) (*Provider, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	config, err := connect(cfg)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: find the cluster: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: use the cluster at %s: %w", config.Host, err)
	}
	return newProvider(cfg, client, config), nil
}

func newProvider(cfg Config, client kubernetes.Interface, config *rest.Config) *Provider {
	sum := sha256.Sum256([]byte(cfg.Installation))
	return &Provider{cfg: cfg, hash: hex.EncodeToString(sum[:16]), client: client, rest: config}
}

// Name is kubernetes, or what Config says.
func (p *Provider) Name() string { return p.cfg.Name }

// connect reads how the cluster is reached: the file that is named, else what
// the pod that this runs in was given, else what kubectl uses.
func connect(cfg Config) (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if cfg.Kubeconfig != "" || cfg.Context != "" || errors.Is(err, rest.ErrNotInCluster) {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = cfg.Kubeconfig
		overrides := &clientcmd.ConfigOverrides{CurrentContext: cfg.Context}
		config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	}
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = cfg.QPS, cfg.Burst
	config.UserAgent = "relevo"
	config.WarningHandler = rest.NoWarnings{} // what comes of them is told as a failure
	return config, nil
}

// wrap says what could not be done. A *provider.Failure stays as it is.
func wrap(what string, err error) error {
	var failure *provider.Failure
	if err == nil || errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("kubernetes: %s: %w", what, err)
}
