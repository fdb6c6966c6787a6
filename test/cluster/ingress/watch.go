package main

import (
	"context"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/networking/pkg/apis/networking/v1alpha1"
	"knative.dev/networking/pkg/client/clientset/versioned"
	"knative.dev/networking/pkg/client/informers/externalversions"
)

const (
	class = "relevo-test.ingress.networking.knative.dev"
	// self is this program's own Service.
	self = "test-ingress.test-ingress.svc.cluster.local"
	// resync repeats what a lost write of a status would leave undone.
	resync = 5 * time.Second
)

// watch keeps routes as the Ingresses of this class say, and their statuses
// ready. It returns when the routes of the present ones stand.
func watch(client versioned.Interface, routes *routes) error {
	factory := externalversions.NewSharedInformerFactory(client, resync)
	ingresses := factory.Networking().V1alpha1().Ingresses()
	refresh := func() {
		all, err := ingresses.Lister().List(labels.Everything())
		if err != nil {
			slog.Error("list ingresses", "error", err)
			return
		}
		routes.set(all)
	}
	serve := func(ing *v1alpha1.Ingress) {
		refresh()
		if err := markReady(client, ing); err != nil {
			slog.Error("mark ready", "namespace", ing.Namespace, "ingress", ing.Name, "error", err)
		}
	}
	_, err := ingresses.Informer().AddEventHandler(cache.FilteringResourceEventHandler{
		FilterFunc: func(obj any) bool {
			ing, ok := obj.(*v1alpha1.Ingress)
			return !ok || ours(ing)
		},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { serve(obj.(*v1alpha1.Ingress)) },
			UpdateFunc: func(_, obj any) { serve(obj.(*v1alpha1.Ingress)) },
			DeleteFunc: func(any) { refresh() },
		},
	})
	if err != nil {
		return err
	}
	never := make(chan struct{})
	factory.Start(never)
	factory.WaitForCacheSync(never)
	refresh()
	return nil
}

func ours(ing *v1alpha1.Ingress) bool {
	return ing.Annotations[networking.IngressClassAnnotationKey] == class
}

// markReady says that ing is served here; the routes must stand already.
func markReady(client versioned.Interface, ing *v1alpha1.Ingress) error {
	if ing.Status.ObservedGeneration == ing.Generation && ing.IsReady() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	api := client.NetworkingV1alpha1().Ingresses(ing.Namespace)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		fresh, err := api.Get(ctx, ing.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if fresh.Generation != ing.Generation {
			return nil // its own event follows
		}
		here := []v1alpha1.LoadBalancerIngressStatus{{DomainInternal: self}}
		fresh.Status.InitializeConditions()
		fresh.Status.MarkNetworkConfigured()
		fresh.Status.MarkLoadBalancerReady(here, here)
		fresh.Status.ObservedGeneration = fresh.Generation
		_, err = api.UpdateStatus(ctx, fresh, metav1.UpdateOptions{})
		return err
	})
}
