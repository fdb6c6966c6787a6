package kubernetes

import (
	"context"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/provider"
)

// TestRefusals tells what another attempt cannot mend from what it can, and
// both from what is not known to have failed.
func TestRefusals(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	forbidden := func(why string) error { return apierrors.NewForbidden(jobs, "x", errors.New(why)) }
	terminating := apierrors.NewForbidden(jobs, "x", errors.New("namespace jobs is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		err  error
		want string // transient, failure, permanent
	}{
		"invalid":       {apierrors.NewInvalid(schema.GroupKind{Kind: "Job"}, "x", nil), "permanent"},
		"bad request":   {apierrors.NewBadRequest("admission webhook denied"), "permanent"},
		"too large":     {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), "permanent"},
		"no namespace":  {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "jobs"), "permanent"},
		"no right":      {forbidden(`User "relevo" cannot create resource "jobs"`), "permanent"},
		"insecure":      {forbidden("violates PodSecurity"), "permanent"},
		"quota":         {forbidden("exceeded quota: q, requested: count/jobs.batch=1"), "failure"},
		"terminating":   {terminating, "failure"},
		"throttled":     {apierrors.NewTooManyRequests("slow down", 1), "transient"},
		"server error":  {apierrors.NewInternalError(errors.New("etcd")), "transient"},
		"unavailable":   {apierrors.NewServiceUnavailable("starting"), "transient"},
		"server's time": {apierrors.NewServerTimeout(jobs, "create", 1), "transient"},
		"timeout":       {apierrors.NewTimeoutError("late", 1), "transient"},
		"token":         {apierrors.NewUnauthorized("expired"), "transient"},
		"cancelled":     {context.Canceled, "transient"},
		"unreachable":   {errors.New("dial tcp: connection refused"), "transient"},
	} {
		t.Run(name, func(t *testing.T) {
			got := provide(t, simple()).refused(c.err)
			if c.want != "transient" {
				failed(t, got, c.want == "permanent", "")
				return
			}
			if failure := (*provider.Failure)(nil); errors.As(got, &failure) || !errors.Is(got, c.err) {
				t.Errorf("refused gave %v, want it as it was", got)
			}
		})
	}
	if err := provide(t, simple()).refused(nil); err != nil {
		t.Error(err)
	}
}

// TestANameThatIsTaken by a Job, or by a Secret, that somebody else made.
func TestANameThatIsTaken(t *testing.T) {
	l := conformance.Launch(1)
	p := provide(t, simple())
	meta := metav1.ObjectMeta{Name: p.nameOf(l.Worker, l.Fence), Namespace: "jobs", UID: "stranger"}
	p = provide(t, simple(), &batchv1.Job{ObjectMeta: meta})
	_, err := p.Create(t.Context(), l)
	failed(t, err, false, "kubectl delete job")
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
	if _, err := p.client.BatchV1().Jobs("jobs").Get(t.Context(), meta.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("a stranger was removed: %v", err)
	}
	p = provide(t, simple(), &corev1.Secret{ObjectMeta: meta})
	_, err = p.Create(t.Context(), l)
	failed(t, err, false, "kubectl delete secret")
	if jobs := p.client.(*fake.Clientset).Actions(); jobs[len(jobs)-1].GetVerb() != "delete" {
		t.Errorf("the Job that can have no Secret stays: %v", jobs)
	}
}

// TestASecretOfAnEarlierJob makes room; that of this one stays as it is.
func TestASecretOfAnEarlierJob(t *testing.T) {
	l := conformance.Launch(1)
	p := provide(t, simple())
	job := p.job(l)
	for _, uid := range []types.UID{"earlier", "this", "this"} {
		job.UID = uid
		secret, err := p.secret(l, job)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.ensureSecret(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		there, err := p.client.CoreV1().Secrets("jobs").Get(t.Context(), job.Name, metav1.GetOptions{})
		if err != nil || there.OwnerReferences[0].UID != uid {
			t.Errorf("the Secret is of %+v, %v; want %s", there.OwnerReferences, err, uid)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {" a\n\tb ", "a b"}, {"\xff!", "!"},
	} {
		if got := line(c.in); got != c.want {
			t.Errorf("line(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("one\ntwo")
	f.Add(string(make([]byte, 3*lineMax)))
	f.Fuzz(func(t *testing.T, text string) {
		got := line(text)
		if len(got) > lineMax+len("…") || !utf8.ValidString(got) {
			t.Errorf("line gave %d bytes: %q", len(got), got)
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add("ErrImagePull", "x: not found")
	f.Add("CreateContainerConfigError", "runAsNonRoot")
	f.Fuzz(func(t *testing.T, reason, message string) {
		p := provide(t, simple())
		// Whatever the cluster says, a person is told something.
		for _, tr := range []*trouble{p.refusedPod(message), p.stuck("image", &corev1.ContainerStateWaiting{Reason: reason, Message: message})} {
			if tr.reason == "" || tr.patience < 0 || tr.patience > time.Hour {
				t.Errorf("%q %q gave %+v", reason, message, tr)
			}
		}
	})
}
