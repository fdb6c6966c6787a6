// Package manifests builds what deploy/knative offers, as `kubectl apply -k`
// does, and reads each object strictly, with the types of whoever takes it.
package manifests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds are all that an overlay may hold.
var kinds = map[string]func() metav1.Object{
	"v1/ConfigMap":                             func() metav1.Object { return &corev1.ConfigMap{} },
	"v1/LimitRange":                            func() metav1.Object { return &corev1.LimitRange{} },
	"v1/Namespace":                             func() metav1.Object { return &corev1.Namespace{} },
	"v1/PersistentVolumeClaim":                 func() metav1.Object { return &corev1.PersistentVolumeClaim{} },
	"v1/ResourceQuota":                         func() metav1.Object { return &corev1.ResourceQuota{} },
	"v1/Secret":                                func() metav1.Object { return &corev1.Secret{} },
	"v1/Service":                               func() metav1.Object { return &corev1.Service{} },
	"v1/ServiceAccount":                        func() metav1.Object { return &corev1.ServiceAccount{} },
	"apps/v1/Deployment":                       func() metav1.Object { return &appsv1.Deployment{} },
	"networking.k8s.io/v1/NetworkPolicy":       func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	"rbac.authorization.k8s.io/v1/Role":        func() metav1.Object { return &rbacv1.Role{} },
	"eventing.knative.dev/v1/Broker":           func() metav1.Object { return &eventingv1.Broker{} },
	"eventing.knative.dev/v1/Trigger":          func() metav1.Object { return &eventingv1.Trigger{} },
	"serving.knative.dev/v1/Service":           func() metav1.Object { return &servingv1.Service{} },
	"sources.knative.dev/v1/PingSource":        func() metav1.Object { return &sourcesv1.PingSource{} },
	"sources.knative.dev/v1/SinkBinding":       func() metav1.Object { return &sourcesv1.SinkBinding{} },
	"sources.knative.dev/v1/ApiServerSource":   func() metav1.Object { return &sourcesv1.ApiServerSource{} },
	"rbac.authorization.k8s.io/v1/RoleBinding": func() metav1.Object { return &rbacv1.RoleBinding{} },
	// Its types are in a module of its own that nothing else here needs.
	"eventing.knative.dev/v1alpha1/RabbitmqBrokerConfig": func() metav1.Object { return &rabbitmqBrokerConfig{} },
}

// rabbitmqBrokerConfig is what we use of eventing-rabbitmq's type.
type rabbitmqBrokerConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Cluster   corev1.ObjectReference `json:"rabbitmqClusterReference"`
		QueueType string                 `json:"queueType"`
	} `json:"spec"`
}

// Build makes the objects of overlays and components together, each named by
// its folder in deploy/knative, in a kustomization in dir.
func Build(dir string, resources, components []string) ([]metav1.Object, error) {
	root, err := filepath.Abs(filepath.Join("..", "..", "deploy", "knative"))
	if err == nil {
		root, err = filepath.Rel(dir, root) // kustomize takes no absolute paths
	}
	if err != nil {
		return nil, err
	}
	k := kustomize.Kustomization{TypeMeta: kustomize.TypeMeta{APIVersion: kustomize.KustomizationVersion, Kind: kustomize.KustomizationKind}}
	for _, name := range resources {
		k.Resources = append(k.Resources, filepath.Join(root, filepath.FromSlash(name)))
	}
	for _, name := range components {
		k.Components = append(k.Components, filepath.Join(root, filepath.FromSlash(name)))
	}
	text, err := yaml.Marshal(k)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	objects := make([]metav1.Object, 0, built.Size())
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		o, err := Read(text)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// Read makes an object of its text. A field that its type does not have is an
// error, and so is what Knative's webhooks would refuse.
func Read(text []byte) (metav1.Object, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	name := kind.APIVersion + "/" + kind.Kind
	empty, ok := kinds[name]
	if !ok {
		return nil, fmt.Errorf("manifests: no type for %s", name)
	}
	o := empty()
	if err := yaml.UnmarshalStrict(text, o); err != nil {
		return nil, fmt.Errorf("manifests: read %s: %w", name, err)
	}
	if found := validate(o); found != nil {
		return nil, fmt.Errorf("manifests: %s %s: %w", name, o.GetName(), found)
	}
	return o, nil
}

// validate does what Knative's webhooks do on a create, defaults and all.
func validate(o metav1.Object) *apis.FieldError {
	v, ok := o.(interface {
		apis.Validatable
		apis.Defaultable
	})
	if !ok {
		return nil
	}
	if b, ok := o.(*eventingv1.Broker); ok && b.Annotations[eventingv1.BrokerClassAnnotationKey] == "" {
		b.Annotations = map[string]string{eventingv1.BrokerClassAnnotationKey: "the cluster's default"}
	}
	ctx := feature.ToContext(apis.WithinCreate(context.Background()), feature.Flags{feature.DeliveryTimeout: feature.Enabled})
	v.SetDefaults(ctx)
	return v.Validate(ctx)
}
