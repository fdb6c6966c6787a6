package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// patiently is the patience of what is no trouble at all.
const patiently = -1

// waiting says what a pod waits for that has not started.
func (p *Provider) waiting(pod *corev1.Pod) *trouble {
	if tr := unscheduled(pod); tr != nil {
		return tr
	}
	for _, c := range append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "PodInitializing", "ContainerCreating", "":
			continue
		}
		return p.stuck(c.Image, w)
	}
	where := pod.Spec.NodeName
	if where == "" {
		return &trouble{reason: "its pod waits for a node", patience: patiently}
	}
	return &trouble{reason: "its pod starts on node " + where + ", which pulls the images it lacks", patience: patiently}
}

// unscheduled says why a pod has no node. That is no trouble: nodes become
// free, or are added; the control plane bounds how long a start may take.
func unscheduled(pod *corev1.Pod) *trouble {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return &trouble{reason: "its pod waits for a node: " + line(c.Message), patience: patiently}
		}
	}
	return nil
}

// stuck says what keeps a container from starting.
func (p *Provider) stuck(image string, w *corev1.ContainerStateWaiting) *trouble {
	said := w.Reason
	if w.Message != "" {
		said += ": " + line(w.Message)
	}
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
		return p.unpullable(image, w)
	case "InvalidImageName":
		return &trouble{reason: fmt.Sprintf("%q is not the name of an image: %s", image, line(w.Message)), permanent: true}
	case "ErrImageNeverPull":
		return &trouble{reason: fmt.Sprintf("image %s is not on the node and must not be pulled: %s", image, line(w.Message))}
	case "CreateContainerConfigError":
		if strings.Contains(w.Message, "runAsNonRoot") {
			return &trouble{reason: "the image wants to run as root, which the namespace's Pod Security does not allow: " + line(w.Message), permanent: true}
		}
	}
	return &trouble{reason: "its container cannot be made yet: " + said, patience: p.cfg.Patience}
}

// unpullable says what is wrong with an image. While a registry does not answer
// there is hope; what it refuses it will refuse again.
func (p *Provider) unpullable(image string, w *corev1.ContainerStateWaiting) *trouble {
	tr := &trouble{
		reason: fmt.Sprintf("image %s cannot be pulled (%s): %s; check its name and tag; a private registry wants a Secret in the namespace %s, named in the settings as an image pull secret",
			image, w.Reason, line(w.Message), p.cfg.Namespace),
		patience: p.cfg.Patience,
	}
	if refusedImage(w.Message) {
		tr.permanent, tr.patience = true, 0
	}
	return tr
}

// refusedImage tells whether a registry answered that an image is not to be
// had. The container runtimes pass that on as text alone.
func refusedImage(message string) bool {
	for _, no := range []string{
		": not found", "manifest unknown", "no match for platform in manifest", "no matching manifest", "no basic auth credentials",
		"pull access denied", "repository does not exist", "name unknown", "401 Unauthorized", "403 Forbidden",
		"authorization failed", "unauthorized:", "denied:",
	} {
		if strings.Contains(message, no) {
			return true
		}
	}
	return false
}

// refusedPod says why the cluster does not take the Job's pod.
func (p *Provider) refusedPod(message string) *trouble {
	said := line(message)
	switch {
	case strings.Contains(message, "exceeded quota"):
		return &trouble{reason: "its pod waits for room in the namespace's quota: " + said, patience: p.cfg.Patience}
	case strings.Contains(message, "violates PodSecurity"):
		return &trouble{reason: "its pod breaks the Pod Security of the namespace " + p.cfg.Namespace + ": " + said, permanent: true}
	case strings.Contains(message, "is invalid"):
		return &trouble{reason: "the cluster refuses its pod: " + said, permanent: true}
	case strings.Contains(message, "is forbidden"):
		// A service account or limits that are missing: an administrator may be
		// at it.
		return &trouble{reason: "the cluster refuses its pod: " + said, patience: p.cfg.Patience}
	}
	return &trouble{reason: "its pod cannot be made yet: " + said, patience: p.cfg.Patience}
}
