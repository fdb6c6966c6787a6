package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/relevo-ci/relevo/shared/provider"
)

// refused makes a failure of what the API server will not do: a spec that is
// not valid, a quota that is used up, what an admission controller denies, a
// right that is missing. Every other error stays: it is throttled, does not
// answer, or is in trouble itself, and is to be tried again.
func (p *Provider) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &provider.Failure{Reason: "the namespace " + p.cfg.Namespace + " is being deleted: make it again, or set another"}
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return &provider.Failure{Reason: "the quota of the namespace " + p.cfg.Namespace + " is used up: " + line(err.Error())}
	case apierrors.IsForbidden(err) && missingRight(err):
		return &provider.Failure{
			Reason:    "Relevo's service account lacks a right in the namespace " + p.cfg.Namespace + ": " + line(err.Error()),
			Permanent: true,
		}
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &provider.Failure{Reason: "Kubernetes refuses the Job: " + line(err.Error()), Permanent: true}
	case apierrors.IsNotFound(err):
		return &provider.Failure{
			Reason:    fmt.Sprintf("the namespace %s is not there: kubectl create namespace %s", p.cfg.Namespace, p.cfg.Namespace),
			Permanent: true,
		}
	}
	return err
}

// missingRight tells whether an error is of RBAC, not of admission: its words
// are `User "…" cannot create resource …`.
func missingRight(err error) bool { return strings.Contains(err.Error(), "cannot ") }
