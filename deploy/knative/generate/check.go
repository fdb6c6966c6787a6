package main

import (
	"context"
	"fmt"
	"strings"

	"knative.dev/pkg/apis"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// checkService does what Serving's webhook does, defaults and all. The image's
// name is ko's until it is built, so that another stands in for it.
func checkService(s *servingv1.Service) error {
	s = s.DeepCopy()
	for i := range s.Spec.Template.Spec.Containers {
		c := &s.Spec.Template.Spec.Containers[i]
		c.Image = strings.TrimPrefix(c.Image, "ko://")
	}
	ctx := apis.WithinCreate(context.Background())
	s.SetDefaults(ctx)
	return invalid("Service", s.Name, s.Validate(ctx))
}

// checkTrigger does what Eventing's webhook does; the time-out of a delivery is
// a feature that is on by default there.
func checkTrigger(t *eventingv1.Trigger) error {
	t = t.DeepCopy()
	ctx := feature.ToContext(apis.WithinCreate(context.Background()), feature.Flags{feature.DeliveryTimeout: feature.Enabled})
	t.SetDefaults(ctx)
	return invalid("Trigger", t.Name, t.Validate(ctx))
}

// invalid makes a plain error: a nil *FieldError is none.
func invalid(kind, name string, found *apis.FieldError) error {
	if found == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", kind, name, found)
}
