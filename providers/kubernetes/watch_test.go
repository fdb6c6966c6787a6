package kubernetes

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/provider"
)

// TestGaps has the API server forget where the watches were, while something
// happened that nobody was told.
func TestGaps(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, p *Provider, one *corev1.Pod)
		want      string
	}{
		"ended": {func(t *testing.T, p *Provider, one *corev1.Pod) {
			now := one.DeepCopy()
			ended(3, "Error", "")(now)
			if _, err := p.client.CoreV1().Pods("jobs").UpdateStatus(t.Context(), now, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "exited 3"},
		"deleted": {func(t *testing.T, p *Provider, one *corev1.Pod) {
			if err := p.client.CoreV1().Pods("jobs").Delete(t.Context(), one.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			l := conformance.Launch(1)
			if err := p.client.BatchV1().Jobs("jobs").Delete(t.Context(), p.nameOf(l.Worker, l.Fence), metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "it vanished"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provide(t, simple())
			job := p.job(conformance.Launch(1))
			job.UID = "uid-of-job"
			one := pod(p, runs)
			one.Namespace = "jobs"
			p = provide(t, simple(), job, one)
			begun := deafen(p)
			changes := make(chan provider.Change, 10)
			go func() { _ = p.Watch(t.Context(), func(c provider.Change) { changes <- c }) }()
			first, second := <-begun, <-begun
			c.meanwhile(t, p, one)
			for _, w := range []*watch.FakeWatcher{first, second} {
				status := apierrors.NewResourceExpired("too old resource version").Status()
				w.Error(&status)
			}
			select {
			case got := <-changes:
				if !strings.Contains(got.Reason, c.want) || got.Running {
					t.Errorf("Watch told %+v, want %s", got, c.want)
				}
			case <-time.After(time.Minute):
				t.Error("nothing is told")
			}
		})
	}
}

// deafen gives the first watches of Jobs and of pods to the test instead.
func deafen(p *Provider) <-chan *watch.FakeWatcher {
	begun := make(chan *watch.FakeWatcher, 2)
	for _, resource := range []string{"jobs", "pods"} {
		first := make(chan bool, 1)
		first <- true
		p.client.(*fake.Clientset).PrependWatchReactor(resource, func(clienttesting.Action) (bool, watch.Interface, error) {
			select {
			case <-first:
				w := watch.NewFake()
				begun <- w
				return true, w, nil
			default:
				return false, nil, nil
			}
		})
	}
	return begun
}
