//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// moody takes events, once somebody told it to.
const moody = `
apiVersion: v1
kind: Pod
metadata: {name: moody, namespace: relevo, labels: {app: moody}}
spec:
  automountServiceAccountToken: false
  containers:
    - name: moody
      image: dev.local/relevo/busybox:test
      command: [sh, -c]
      args:
        - |
          mkdir -p /tmp/www/cgi-bin
          cat > /tmp/www/cgi-bin/take <<'EOF'
          #!/bin/sh
          if [ -e /tmp/fine ]; then cat >> /tmp/got; printf 'Status: 202 Accepted\r\n\r\n'
          else printf 'Status: 422 Unprocessable Entity\r\nContent-Type: text/plain\r\n\r\nnot in the mood\n'; fi
          EOF
          chmod +x /tmp/www/cgi-bin/take
          exec httpd -f -p 8080 -h /tmp/www
      ports: [{containerPort: 8080}]
      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: moody, namespace: relevo}
spec:
  selector: {app: moody}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: moody, namespace: relevo}
spec:
  broker: relevo
  filter: {attributes: {type: com.example.poison}}
  subscriber: {uri: http://moody.relevo.svc.cluster.local/cgi-bin/take}
`

// An event that a subscriber refuses is kept with the cause, and is taken when
// it is sent again after the fault is gone.
func TestDeadLetter(t *testing.T) {
	r := begin(t)
	r.apply(moody)
	defer r.kubectl("delete", "trigger.eventing.knative.dev/moody", "service/moody", "pod/moody", "-n", namespace, "--wait=false")
	r.kubectl("wait", "--for=condition=Ready", "pod/moody", "trigger.eventing.knative.dev/moody", "-n", namespace, "--timeout=120s")
	var letter struct{ id, line string }
	var sent time.Time
	r.eventually("an event is a dead letter", func() bool {
		// One that comes before the broker's channel knows its subscriber gets lost.
		if time.Since(sent) > 15*time.Second {
			sent = time.Now()
			r.post(fmt.Sprint("poison-", sent.UnixNano()), "com.example.poison", `{"what":"poison"}`)
		}
		for _, line := range strings.Split(r.relevo("deadletters"), "\n") {
			if strings.Contains(line, "com.example.poison") {
				letter.line, letter.id = line, strings.Fields(line)[0]
			}
		}
		return letter.id != ""
	})
	list, err := r.api.DeadLetters(r.ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprintf("%+v", list); !strings.Contains(said, "422") || !strings.Contains(said, "not in the mood") {
		t.Errorf("the cause is not told: %s\n%s", letter.line, said)
	}
	r.kubectl("exec", "-n", namespace, "moody", "--", "touch", "/tmp/fine")
	r.relevo("deadletters", "replay", letter.id)
	r.eventually("the event is taken", func() bool {
		out, err := r.try(environment(t, "RELEVO_CLUSTER_KUBECTL"), "exec", "-n", namespace, "moody", "--", "cat", "/tmp/got")
		return err == nil && strings.Contains(out, "poison")
	})
}

// apply applies manifests.
func (r *rig) apply(manifests string) {
	r.Helper()
	path := r.TempDir() + "/manifests.yaml"
	write(r.TB, path, manifests)
	r.kubectl("apply", "-f", path)
}

// post sends an event to the broker, as any system may.
func (r *rig) post(id, kind, data string) {
	r.Helper()
	service, err := r.kube.CoreV1().Services("knative-eventing").Get(r.ctx, "broker-ingress", v1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "http://"+service.Spec.ClusterIP+"/relevo/relevo", strings.NewReader(data))
	if err != nil {
		r.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": id, "Ce-Source": "/example", "Ce-Type": kind,
	} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		r.Fatalf("the broker answers %s", response.Status)
	}
}
