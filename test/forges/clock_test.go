package forges

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/shared/client"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/forge"
)

const others = "on:\n  schedule: [{cron: '0 3 * * *'}]\n  cloudevent: {type: com.example.deployed, where: \"subject = 'prod'\"}\njobs: {a: {steps: [{run: make}]}}\n"

// TestTheDefaultBranchIsSubscribed: what its files are on besides the forge's
// events starts them, at its head.
func TestTheDefaultBranchIsSubscribed(t *testing.T) {
	t.Parallel()
	r := newRig(t, forge.GitHub)
	sha, d := r.pushed(".relevo/others.yaml", others)
	r.deliver(d)

	body, err := json.Marshal(trigger.Tick{Forge: forge.GitHub, Repository: shop, File: ".relevo/others.yaml", Cron: "0 3 * * *", Branch: "main", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	doors := r.host.Deps.Doors
	for range 2 { // one tick is one run
		got, err := doors.Receive(t.Context(), "clock-ticked", trigger.Arrival{Source: "schedule", Sender: "tick", Event: "schedule"}, body)
		if err == nil {
			err = r.host.Publish(t.Context(), got.Emitted)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.started1("the tick", r.done(string(got.Delivery.ID)), "schedule", sha)
	}
	prod := r.event("1", "prod")
	r.started1("the event", prod, "cloudevent", sha)
	if test := r.event("2", "test"); len(test.Outcomes) != 1 || test.Outcomes[0].Result != "skipped" {
		t.Errorf("another event came to %+v", test)
	}

	without := r.commit(r.work, "main", "no more", ".relevo/others.yaml", "on: release\njobs: {a: {steps: [{run: make}]}}\n")
	r.deliver(r.server.Push(shop, "refs/heads/main", sha, without, dev))
	schedule, err := doors.Schedule(t.Context(), forge.GitHub, shop)
	if err != nil || len(schedule.Timers) != 0 {
		t.Errorf("the schedule is %+v, %v", schedule, err)
	}
	if gone := r.event("3", "prod"); len(gone.Outcomes) != 0 {
		t.Errorf("an event that nobody is for came to %+v", gone)
	}
}

func (r *rig) started1(what string, d client.Delivery, event, sha string) {
	r.t.Helper()
	if len(d.Outcomes) != 1 {
		r.t.Fatalf("%s came to %+v", what, d)
	}
	req, _ := r.run(d.Outcomes[0])
	if tr := req.Trigger; tr.Event != event || tr.SHA != sha || tr.Ref != "refs/heads/main" || tr.Repository != shop || tr.Untrusted {
		r.t.Errorf("%s started %+v", what, tr)
	}
}

// event sends a CloudEvent, and waits until it is worked on.
func (r *rig) event(id, subject string) client.Delivery {
	r.t.Helper()
	body := `{"specversion":"1.0","id":"` + id + `","source":"/cd","type":"com.example.deployed","subject":"` + subject + `"}`
	q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/v1/events", bytes.NewReader([]byte(body)))
	q.RemoteAddr, q.Host = "127.0.0.1:1", "localhost"
	q.Header.Set("Content-Type", "application/cloudevents+json")
	rec := httptest.NewRecorder()
	r.http.ServeHTTP(rec, q)
	if rec.Code != http.StatusAccepted {
		r.t.Fatalf("answered %d: %s", rec.Code, rec.Body)
	}
	list, err := r.client.Deliveries(r.t.Context(), client.DeliveryFilter{Source: "cloudevent"}, 1, "")
	if err != nil || len(list.Deliveries) != 1 {
		r.t.Fatalf("kept %+v, %v", list, err)
	}
	return r.done(list.Deliveries[0].ID)
}
