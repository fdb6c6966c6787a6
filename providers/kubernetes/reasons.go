package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/relevo-ci/relevo/providers/changes"
)

// exitTold is the code that the agent exits with when it left it to its platform
// to say why it was told to end.
const exitTold = 13

// exited says how the agent's container ended, in the words that all providers
// use. It ran out of memory when any of its processes was killed for that; the
// agent may have lived on and told of it.
func exited(t *corev1.ContainerStateTerminated, resources *corev1.ResourceRequirements, pod *corev1.Pod) string {
	exit := int(t.ExitCode)
	text := changes.Exited(exit)
	switch {
	case t.Reason == "OOMKilled":
		advice := "out of memory" + limit(resources, pod) + ": raise resources.memory"
		if exit == 137 {
			return "killed: " + advice
		}
		return text + ", a step was killed: " + advice
	case t.Reason == "ContainerStatusUnknown":
		return "nobody knows how its container ended: its node restarted or lost it"
	case exit == exitTold:
		return "its agent was told to end, and did"
	case exit != 0 && t.Message != "":
		return text + ": " + line(t.Message)
	}
	return text
}

// limit is the memory that the container may take, as text.
func limit(resources *corev1.ResourceRequirements, pod *corev1.Pod) string {
	if resources == nil && len(pod.Spec.Containers) > 0 {
		resources = &pod.Spec.Containers[0].Resources
	}
	if resources == nil || resources.Limits.Memory().IsZero() {
		return " (no limit: its node's was used up)"
	}
	return fmt.Sprintf(" (limit %d MiB)", resources.Limits.Memory().Value()>>20)
}

// disruptions are the reasons of a pod's condition DisruptionTarget.
var disruptions = map[string]string{
	corev1.PodReasonPreemptionByScheduler: "preempted by a pod of a higher priority",
	"DeletionByTaintManager":              "its node went away, or was tainted against it",
	"EvictionByEvictionAPI":               "evicted through the API, most likely to drain its node",
	"DeletionByPodGC":                     "its node is gone",
	corev1.PodReasonTerminationByKubelet:  "ended by its node, which is short of something or shuts down",
}

// reasons are the kubelet's own for a pod that it ended or did not take.
var reasons = map[string]string{
	"Evicted":                  "evicted by its node",
	"Preempting":               "preempted on its node by a pod that the node needs",
	"NodeLost":                 "its node does not answer",
	"NodeShutdown":             "its node shuts down",
	"Terminated":               "its node shuts down",
	"Shutdown":                 "its node shuts down",
	"NodeAffinity":             "its node is not what it asked for any more",
	"UnexpectedAdmissionError": "its node did not take it",
}

// because puts before what happened to a pod why it did, as far as Kubernetes
// tells.
func because(pod *corev1.Pod, what string) string {
	why := ""
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.DisruptionTarget || c.Status != corev1.ConditionTrue {
			continue
		}
		why = disruptions[c.Reason]
		if why == "" {
			why = "disrupted: " + c.Reason
		}
		if c.Message != "" {
			why += " (" + line(c.Message) + ")"
		}
	}
	if reason := pod.Status.Reason; reason != "" {
		text := reasons[reason]
		if text == "" {
			text = reason
		}
		if pod.Status.Message != "" {
			text += " (" + line(pod.Status.Message) + ")"
		}
		why = text // the kubelet knows more than the condition
	}
	if why == "" && pod.DeletionTimestamp != nil {
		return "its pod was deleted: " + what
	}
	if why == "" {
		return what
	}
	if pod.Spec.NodeName != "" {
		why += " on node " + pod.Spec.NodeName
	}
	return why + ": " + what
}

// lineMax bounds what is taken over from others' messages, in bytes.
const lineMax = 400

// line makes one line of a message: the last part of a log, which says most, or
// all of a short text.
func line(message string) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(message, "")), " ")
	if len(text) <= lineMax {
		return text
	}
	return "…" + strings.ToValidUTF8(text[len(text)-lineMax:], "")
}
