package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	v03 "github.com/cdevents/sdk-go/pkg/api/v03"
	v04 "github.com/cdevents/sdk-go/pkg/api/v04"

	"github.com/relevo-ci/relevo/shared/client"
)

// TestCDEventsComeIn: those of every kind that the SDK makes are taken, in both
// modes, and wake the jobs that await them, which read the subject's content.
func TestCDEventsComeIn(t *testing.T) {
	w := newWorld(t)
	kinds := map[string]string{}
	for _, kind := range v04.CDEventsTypes {
		kinds[kind.GetType().String()] = "0.4.1"
	}
	for _, kind := range v03.CDEventsTypes {
		kinds[kind.GetType().String()] = "0.3.0"
	}
	taken := 0
	for kind, version := range kinds {
		if strings.Contains(kind, "<undefined") {
			continue // custom events have no type of their own
		}
		e, err := v04.NewCDEvent(kind, "0.4.1")
		if version == "0.3.0" {
			e, err = v03.NewCDEvent(kind, version)
		}
		if err != nil {
			t.Fatal(err)
		}
		e.SetSource("https://other.example.com")
		e.SetSubjectId("s")
		data, err := cdevents.AsJsonBytes(e)
		if err != nil {
			t.Fatal(err)
		}
		taken++
		id := w.submit(submission("jobs: {a: {await: {type: " + kind + ", where: subject = 's'}, outputs: {subject: \"${{ event.data.subject.id }}\", content: \"${{ toJSON(event.data.subject.content) }}\"}}}"))
		if taken%2 == 0 {
			w.send(oneEvent, fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"https://other.example.com","type":%q,"subject":"s","datacontenttype":"application/json","data":%s}`, e.GetId(), kind, data))
		} else {
			w.send("application/json", string(data), "Ce-Specversion", "1.0", "Ce-Id", e.GetId(), "Ce-Source", "https://other.example.com", "Ce-Type", kind, "Ce-Subject", "s")
		}
		job := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".a", ""), http.StatusOK)
		if job.State != "SUCCEEDED" || job.Outputs["subject"] != "s" || job.Outputs["content"] == "" || job.Outputs["content"] == "null" {
			t.Errorf("%s: the job that awaits it is %s: %v", kind, job.State, job.Outputs)
		}
	}
	if taken < 60 {
		t.Errorf("%d kinds were tried", taken)
	}
}
