package main

import (
	"context"
	"fmt"

	"knative.dev/pkg/apis"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// checkService does what Serving's webhook does, defaults and all.
func checkService(s *servingv1.Service) error {
	s = s.DeepCopy()
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
