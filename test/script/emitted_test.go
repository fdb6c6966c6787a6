package script

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// send posts a CloudEvent in structured mode, and gives its delivery.
func (h *host) send(kind, id, rest string) string {
	t := h.stage.t
	t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":%q%s}`, id, kind, rest)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/cloudevents+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	m := regexp.MustCompile(`"delivery":"(\w+)"`).FindSubmatch(raw)
	if res.StatusCode != http.StatusAccepted || m == nil {
		t.Fatalf("answered %d: %s", res.StatusCode, raw)
	}
	return string(m[1])
}

// came are the deliveries that are CloudEvents of a type, the newest first.
func (h *host) came(kind string) (all []client.Delivery) {
	t := h.stage.t
	t.Helper()
	list, err := (&client.Client{BaseURL: h.url}).Deliveries(t.Context(), client.DeliveryFilter{Source: "cloudevent"}, 100, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Deliveries {
		if d.Event == kind {
			all = append(all, d)
		}
	}
	return all
}

// TestEmittedEventsComeBack: what a step emits wakes the job that awaits it, a
// CDEvent too, and starts the pipelines that are on it. Pipelines that start each
// other in a circle end, and it says why.
func TestEmittedEventsComeBack(t *testing.T) {
	t.Parallel()
	f := newForged(t)
	sha, body := f.push(map[string]string{
		".relevo/circle.yaml": "on: {cloudevent: {type: com.example.ping}}\njobs: {a: {steps: [{emit: {type: com.example.ping, data: {from: \"${{ event.id }}\"}}}]}}\n",
		".relevo/tests.yaml": `on: push
jobs:
  tests:
    steps:
      - emit:
          type: dev.cdevents.testsuiterun.finished
          subject: unit
          data: {outcome: pass, environment: {id: ci}}
  gate:
    await: {type: dev.cdevents.testsuiterun.finished.0.2.0, where: subject = 'unit'}
    outputs: {outcome: "${{ event.data.subject.content.outcome }}"}
  after:
    needs: gate
    steps:
      - run: echo "${{ needs.gate.outputs.outcome }}" > ` + f.dir + "/outcome\n",
	})
	f.deliver(http.StatusAccepted, "push", body)
	eventually(t, "the tests are over", func() bool { return strings.HasSuffix(f.states(sha), "relevo/tests success") })
	if got := f.read("outcome"); got != "pass\n" {
		t.Errorf("the job after the one that waited saw %q", got)
	}

	f.send("com.example.ping", "1", "")
	var last client.Delivery
	eventually(t, "the circle ends", func() bool {
		all := f.came("com.example.ping")
		if len(all) > 0 {
			last = all[0]
		}
		return len(all) > trigger.MostHops+1 && last.State == "done"
	})
	if all := f.came("com.example.ping"); len(all) != trigger.MostHops+2 {
		t.Errorf("%d events came, want the first and %d more", len(all), trigger.MostHops+1)
	}
	if len(last.Outcomes) != 1 || last.Outcomes[0].Result != "refused" || !strings.Contains(last.Outcomes[0].Reason, "in a circle") {
		t.Errorf("the last came to %+v", last)
	}
	for _, d := range f.came("com.example.ping")[1:] {
		if len(d.Outcomes) != 1 || d.Outcomes[0].Result != "started" {
			t.Errorf("one of the circle came to %+v", d)
		}
	}
	if said := f.call(0, "deliveries", "--source", "cloudevent"); !strings.Contains(said, "refused") {
		t.Errorf("relevo deliveries says\n%s", said)
	}
	f.signal(15)
	f.ends(0)
}
