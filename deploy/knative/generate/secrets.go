package main

import (
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"
)

// What jobs may read by name is a Secret; where none is there need be none. It
// is a folder of the function that workers ask, and of no other.
const (
	jobSecrets    = "relevo-secrets"
	secretsFolder = "/etc/relevo/secrets"
)

func (u unit) volumes() []corev1.Volume {
	if !u.serves("worker") {
		return nil
	}
	return []corev1.Volume{{Name: "secrets", VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: jobSecrets, Optional: ptr.Bool(true)},
	}}}
}

func (u unit) mounts() []corev1.VolumeMount {
	if !u.serves("worker") {
		return nil
	}
	return []corev1.VolumeMount{{Name: "secrets", MountPath: secretsFolder, ReadOnly: true}}
}
