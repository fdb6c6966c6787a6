package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	_ "embed"

	"sigs.k8s.io/yaml"
)

var (
	//go:embed manifests/dns.yaml
	dnsManifest string
	//go:embed manifests/ingress.yaml
	ingressManifest string
)

// An object is a Kubernetes object, parsed.
type object map[string]any

func (o object) kind() string { return fmt.Sprint(o["kind"]) }

func (o object) name() string {
	meta, _ := o["metadata"].(map[string]any)
	return fmt.Sprint(meta["name"])
}

// tuning is what the cluster sets in Knative's config maps: its own ingress
// and domain, images that no registry knows, and short windows for tests.
var tuning = map[string]map[string]string{
	"config-network":    {"ingress-class": "relevo-test.ingress.networking.knative.dev"},
	"config-domain":     {domain: ""},
	"config-deployment": {"registries-skipping-tag-resolving": "dev.local"},
	"config-autoscaler": {
		"stable-window":              "10s",
		"scale-to-zero-grace-period": "6s",
		"allow-zero-initial-scale":   "true",
	},
}

// leftOut are objects of Knative that this cluster has no use for: one node
// needs no scaling of the control plane, and the two programs are not built.
func leftOut(o object) bool {
	switch o.kind() {
	case "HorizontalPodAutoscaler", "PodDisruptionBudget":
		return true
	}
	return slices.Contains([]string{"Deployment/job-sink", "StatefulSet/request-reply"}, o.kind()+"/"+o.name())
}

// manifest is all that is applied to the cluster, in two steps: the definitions
// of kinds, then the rest.
func manifest(c cache, text string) (definitions, rest string, err error) {
	images := map[string]string{}
	for _, p := range programs {
		images["ko://"+p.pkg] = c.systemImage(p)
	}
	var first, second strings.Builder
	for document := range strings.SplitSeq(text, "\n---") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return "", "", fmt.Errorf("parse manifest: %w", err)
		}
		if len(o) == 0 || leftOut(o) {
			continue
		}
		tune(o)
		out, err := yaml.Marshal(withImages(map[string]any(o), images))
		if err != nil {
			return "", "", err
		}
		to := &second
		if o.kind() == "CustomResourceDefinition" || o.kind() == "Namespace" {
			to = &first
		}
		fmt.Fprintf(to, "---\n%s", out)
	}
	return first.String(), second.String(), nil
}

// withImages puts the images' names in place of ko's references.
func withImages(value any, images map[string]string) any {
	switch v := value.(type) {
	case string:
		if image, ok := images[v]; ok {
			return image
		}
	case map[string]any:
		for key, inner := range v {
			v[key] = withImages(inner, images)
		}
	case []any:
		for i, inner := range v {
			v[i] = withImages(inner, images)
		}
	}
	return value
}

// tune sets what tests need: config, and programs that ask for no share of the
// node (two cores would be spoken for) and are asked often whether they are up.
func tune(o object) {
	if values, ok := tuning[o.name()]; ok && o.kind() == "ConfigMap" {
		data, _ := o["data"].(map[string]any)
		if data == nil {
			data = map[string]any{}
			o["data"] = data
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			data[key] = values[key]
		}
	}
	if o.kind() != "Deployment" {
		return
	}
	spec, _ := at(map[string]any(o), "spec", "template", "spec").(map[string]any)
	delete(spec, "affinity")
	containers, _ := spec["containers"].([]any)
	for _, container := range containers {
		c, _ := container.(map[string]any)
		if resources, ok := c["resources"].(map[string]any); ok {
			delete(resources, "requests")
			delete(resources, "limits") // without requests, a limit is one
		}
		if probe, ok := c["readinessProbe"].(map[string]any); ok {
			probe["initialDelaySeconds"], probe["periodSeconds"] = 0, 1
		}
	}
}

func at(value map[string]any, keys ...string) any {
	var inner any = value
	for _, key := range keys {
		m, _ := inner.(map[string]any)
		inner = m[key]
	}
	return inner
}

// apply makes the cluster's objects as text says.
func apply(ctx context.Context, definitions, rest string) error {
	args := []string{"apply", "--server-side", "--force-conflicts", "--field-manager=relevo-cluster", "-f", "-"}
	if definitions != "" {
		if _, err := kubectl(ctx, definitions, args...); err != nil {
			return err
		}
		if strings.Contains(definitions, "CustomResourceDefinition") {
			_, err := kubectl(ctx, "", "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
			if err != nil {
				return err
			}
		}
	}
	_, err := kubectl(ctx, rest, args...)
	return err
}
