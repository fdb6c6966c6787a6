package main

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	"knative.dev/serving/pkg/apis/autoscaling"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/fn"
)

// labels find everything of ours (the SinkBinding does), or one of it.
func (u unit) labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": u.name, "app.kubernetes.io/part-of": "relevo", "app.kubernetes.io/component": u.context(),
	}
}

func (u unit) account() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   metav1.ObjectMeta{Name: u.name, Namespace: namespace, Labels: u.labels()},
		AutomountServiceAccountToken: ptr.Bool(u.launches()),
	}
}

// service is the Knative Service of the unit, and why it is so.
func (u unit) service() (*servingv1.Service, []remark) {
	annotations, remarks := u.scaling()
	s := &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: u.name, Namespace: namespace, Labels: u.labels()},
	}
	if !u.outside() {
		s.Labels[networking.VisibilityLabelKey] = "cluster-local"
		remarks = append(remarks, remark{[]string{"metadata", "labels", networking.VisibilityLabelKey}, "called from within the cluster alone"})
	}
	s.Spec.Template.ObjectMeta = metav1.ObjectMeta{Annotations: annotations, Labels: u.labels()}
	s.Spec.Template.Spec = servingv1.RevisionSpec{
		ContainerConcurrency: ptr.Int64(u.shape.concurrency.value),
		TimeoutSeconds:       ptr.Int64(u.shape.timeout.value),
		PodSpec: corev1.PodSpec{
			ServiceAccountName: u.name,
			EnableServiceLinks: ptr.Bool(false),
			Containers:         []corev1.Container{u.container()},
			Volumes:            u.volumes(),
		},
	}
	if !u.launches() { // Knative takes no other word on it than false
		s.Spec.Template.Spec.AutomountServiceAccountToken = ptr.Bool(false)
	}
	return s, remarks
}

// scaling are the autoscaler's annotations, and why the unit has its size.
func (u unit) scaling() (annotations map[string]string, remarks []remark) {
	spec := []string{"spec", "template", "spec"}
	remarks = []remark{
		{slices.Concat(spec, []string{"containerConcurrency"}), u.shape.concurrency.why},
		{slices.Concat(spec, []string{"timeoutSeconds"}), u.shape.timeout.why},
	}
	annotations = map[string]string{}
	annotate := func(key, value, why string) {
		annotations[key] = value
		remarks = append(remarks, remark{[]string{"spec", "template", "metadata", "annotations", key}, why})
	}
	annotate(autoscaling.MinScaleAnnotationKey, "0", "sleeps when there is nothing to do")
	annotate(autoscaling.MaxScaleAnnotationKey, strconv.Itoa(u.shape.most.value), u.shape.most.why)
	if w := u.shape.window; w != nil {
		annotate(autoscaling.WindowAnnotationKey, w.value, w.why)
	}
	if k := u.shape.keep; k != nil {
		annotate(autoscaling.ScaleDownDelayAnnotationKey, k.value, k.why)
	}
	return annotations, remarks
}

// container is held to Pod Security's level restricted.
func (u unit) container() corev1.Container {
	request, limit := "32Mi", "256Mi"
	if u.image() != leanHost {
		request, limit = "64Mi", "512Mi"
	}
	return corev1.Container{
		Image:        u.image(),
		Env:          u.env(),
		VolumeMounts: u.mounts(),
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "relevo"},
		}}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)},
		}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse(request)},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.Bool(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			ReadOnlyRootFilesystem:   ptr.Bool(true),
			RunAsNonRoot:             ptr.Bool(true),
			RunAsUser:                ptr.Int64(65532),
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

// trigger has the broker call f within the unit.
func (u unit) trigger(f fn.Function) (*eventingv1.Trigger, []remark) {
	t := &eventingv1.Trigger{
		TypeMeta:   metav1.TypeMeta{APIVersion: "eventing.knative.dev/v1", Kind: "Trigger"},
		ObjectMeta: metav1.ObjectMeta{Name: f.Name, Namespace: namespace, Labels: u.labels()},
		Spec: eventingv1.TriggerSpec{
			Broker:     "relevo",
			Subscriber: duckv1.Destination{Ref: reference(u.name)},
		},
	}
	var remarks []remark
	switch {
	case f.On == fn.Everything:
	case len(f.Also) == 0:
		t.Spec.Filter = &eventingv1.TriggerFilter{Attributes: eventingv1.TriggerFilterAttributes{"type": string(f.On)}}
	default:
		var anyOf []eventingv1.SubscriptionsAPIFilter
		for _, typ := range append([]events.Type{f.On}, f.Also...) {
			anyOf = append(anyOf, eventingv1.SubscriptionsAPIFilter{Exact: map[string]string{"type": string(typ)}})
		}
		if f.Under != "" {
			anyOf = append(anyOf, eventingv1.SubscriptionsAPIFilter{Prefix: map[string]string{"type": f.Under}})
		}
		t.Spec.Filters = []eventingv1.SubscriptionsAPIFilter{{Any: anyOf}}
	}
	if u.fused {
		t.Spec.Subscriber.URI = pathOf(f.Name)
	}
	if d := shapeOf(f.Name).delivery; d != nil {
		exponential := eventingduckv1.BackoffPolicyExponential
		t.Spec.Delivery = &eventingduckv1.DeliverySpec{
			DeadLetterSink: &duckv1.Destination{Ref: reference("dead-lettered")},
			Retry:          &d.value.tries, Timeout: &d.value.timeout,
			BackoffPolicy: &exponential, BackoffDelay: &d.value.backoff,
		}
		remarks = append(remarks, remark{[]string{"spec", "delivery"}, d.why})
	}
	return t, remarks
}

func reference(service string) *duckv1.KReference {
	return &duckv1.KReference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Name: service}
}

// manifest is the unit's file.
func (u unit) manifest() ([]byte, error) {
	head := fmt.Sprintf("%s# %s: %s.\n", generated, u.name, u.doc())
	account, err := document(u.account(), nil)
	if err != nil {
		return nil, err
	}
	s, remarks := u.service()
	if err := checkService(s); err != nil {
		return nil, err
	}
	service, err := document(s, remarks)
	if err != nil {
		return nil, err
	}
	documents := [][]byte{account, service}
	for _, f := range u.functions {
		if !subscribed(f) {
			continue
		}
		t, remarks := u.trigger(f)
		if err := checkTrigger(t); err != nil {
			return nil, err
		}
		trigger, err := document(t, remarks)
		if err != nil {
			return nil, err
		}
		documents = append(documents, trigger)
	}
	return joined(head, documents), nil
}

// pathOf is where a Service that has several functions hands an event to one.
func pathOf(function string) *apis.URL { return &apis.URL{Path: "/" + function} }
