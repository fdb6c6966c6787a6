package api_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/client"
)

const (
	oneEvent   = "application/cloudevents+json"
	someEvents = "application/cloudevents-batch+json"
	deployed   = `{"specversion":"1.0","id":"7","source":"/shop","type":"com.example.deployed","subject":"prod","stage":"blue","data":{"n":3}}`
	gate       = `
jobs:
  staged:
    await: {type: com.example.deployed, where: "subject = 'prod' AND stage = 'blue'"}
    outputs: {stage: "${{ event.stage }}"}
  release:
    needs: staged
    name: release ${{ needs.staged.outputs.stage }} ${{ fromJSON(needs.staged.outputs.data).n }}
    steps: [{run: x}]
`
)

// send posts an event, and gives its receipts.
func (w *world) send(kind, body string, header ...string) []client.Receipt {
	w.t.Helper()
	rec := w.ask(http.MethodPost, "/v1/events", body, append([]string{"Content-Type", kind}, header...)...)
	return decode[client.Receipts](w.t, rec, http.StatusAccepted).Events
}

// TestEventWakesTheJob: by each of the three modes.
func TestEventWakesTheJob(t *testing.T) {
	for name, send := range map[string]func(w *world) []client.Receipt{
		"structured": func(w *world) []client.Receipt { return w.send(oneEvent+"; charset=UTF-8", deployed) },
		"batch": func(w *world) []client.Receipt {
			other := `{"specversion":"1.0","id":"8","source":"/shop","type":"other"}`
			return w.send(someEvents, "["+other+","+deployed+"]")[1:]
		},
		"binary": func(w *world) []client.Receipt {
			return w.send("application/json", `{"n":3}`, "Ce-Specversion", "1.0", "Ce-Id", "7", "Ce-Source", "/shop",
				"Ce-Type", "com.example.deployed", "Ce-Subject", "pr%6Fd", "Ce-Stage", "blue")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.submit(submission(gate))
			job := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".staged", ""), http.StatusOK)
			if job.State != "PENDING" || !strings.HasPrefix(job.Reason, "awaits the event com.example.deployed where subject = 'prod' AND stage = 'blue' until ") || len(job.Attempts) > 0 {
				t.Errorf("the job is %+v", job)
			}
			w.send(oneEvent, strings.NewReplacer(`"7"`, `"6"`, "blue", "green").Replace(deployed))
			first, again := send(w)[0], send(w)[0]
			if first.ID != "7" || first.Source != "/shop" || first.Delivery == "" || first.Duplicate || !again.Duplicate || again.Delivery != first.Delivery {
				t.Errorf("receipts %+v, then %+v", first, again)
			}
			run := decode[client.Run](t, w.ask(http.MethodGet, "/v1/pipelines/"+id, ""), http.StatusOK)
			if got := run.Jobs[0]; got.State != "SUCCEEDED" || got.Outputs["id"] != "7" || got.Outputs["data"] != `{"n":3}` || got.Outputs["stage"] != "blue" {
				t.Errorf("the job that waited is %+v", got)
			}
			if got := run.Jobs[1]; got.State != "PENDING" || got.Name != "release blue 3" {
				t.Errorf("the job after it is %+v", got)
			}
		})
	}
}

func TestTextIsReadable(t *testing.T) {
	w := newWorld(t)
	id := w.submit(submission("jobs: {a: {await: {type: x}}}"))
	w.send("text/plain; charset=utf-8", "über alles", "Ce-Specversion", "1.0", "Ce-Id", "7", "Ce-Source", "/shop", "Ce-Type", "x")
	job := decode[client.Job](t, w.ask(http.MethodGet, "/v1/jobs/"+id+".a", ""), http.StatusOK)
	if job.Outputs["data"] != "über alles" {
		t.Errorf("outputs %v", job.Outputs)
	}
}

func TestWrongEventsAreRefused(t *testing.T) {
	event := func(change ...string) string { return strings.NewReplacer(change...).Replace(deployed) }
	many := "[" + strings.Repeat(deployed+",", 100) + deployed + "]"
	for name, c := range map[string]struct {
		kind, body string
		header     []string
		status     int
		says       string
	}{
		"no kind":        {"", deployed, nil, 415, "events come as"},
		"plain JSON":     {"application/json", deployed, nil, 415, "events come as"},
		"form":           {"application/x-www-form-urlencoded", "a=b", nil, 415, "events come as"},
		"XML":            {"application/cloudevents+xml", "<event/>", []string{"Ce-Specversion", "1.0"}, 415, "events come as"},
		"charset":        {oneEvent + "; charset=latin1", deployed, nil, 415, "UTF-8"},
		"no JSON":        {oneEvent, "{", nil, 422, "this is no CloudEvent 1.0"},
		"no event":       {oneEvent, "{}", nil, 422, "this is no CloudEvent 1.0"},
		"array":          {oneEvent, "[]", nil, 422, "this is no CloudEvent 1.0"},
		"null":           {oneEvent, "null", nil, 422, "this is no CloudEvent 1.0"},
		"old":            {oneEvent, event("1.0", "9.9"), nil, 422, ""},
		"no id":          {oneEvent, event(`"7"`, `""`), nil, 422, ""},
		"ours":           {oneEvent, event("com.example.deployed", "dev.relevo.pipeline.await.matched.v1"), nil, 422, "Relevo's own"},
		"long":           {oneEvent, event("prod", strings.Repeat("x", 70_000)), nil, 413, "64 KiB"},
		"long id":        {oneEvent, event(`"7"`, `"`+strings.Repeat("x", 2000)+`"`), nil, 422, "it has 1 to 1024 bytes"},
		"huge":           {oneEvent, strings.Repeat(" ", 5<<20), nil, 413, "4 MiB"},
		"batch too long": {someEvents, many, nil, 413, "100 events"},
		"batch empty":    {someEvents, "[]", nil, 422, "empty"},
		"batch no array": {someEvents, deployed, nil, 400, "no JSON array"},
		"wrong in batch": {someEvents, "[" + deployed + ",{}]", nil, 422, "this is no CloudEvent 1.0"},
		"binary without": {"application/json", "{}", []string{"Ce-Specversion", "1.0"}, 422, "this is no CloudEvent 1.0"},
		"binary, ours":   {"", "", []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/x", "Ce-Type", "dev.relevo.x"}, 422, "Relevo's own"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := refused(t, w.ask(http.MethodPost, "/v1/events", c.body, append([]string{"Content-Type", c.kind}, c.header...)...), c.status)
			text, _ := json.Marshal(p)
			if !bytes.Contains(text, []byte(c.says)) {
				t.Errorf("%s does not say %q", text, c.says)
			}
			list, _, err := w.api.Doors.Deliveries(t.Context(), "", 10)
			if err != nil || len(list) > 0 {
				t.Errorf("kept %v, %v", list, err)
			}
		})
	}
}

func TestAnotherEventOfTheSameIDIsRefused(t *testing.T) {
	w := newWorld(t)
	w.send(oneEvent, deployed)
	refused(t, w.ask(http.MethodPost, "/v1/events", strings.Replace(deployed, "blue", "green", 1), "Content-Type", oneEvent), http.StatusConflict)
	w.send(oneEvent, strings.Replace(deployed, "/shop", "/other", 1))
}

func TestWhoMaySendEvents(t *testing.T) {
	sign := func(secret, body string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		return "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	const header = "X-Relevo-Signature-256"
	binary := []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/x", "Ce-Type", "x"}
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"nobody":             {nil, 401},
		"token":              {[]string{"Authorization", "Bearer t0ken"}, 202},
		"wrong token":        {[]string{"Authorization", "Bearer other"}, 401},
		"signed":             {[]string{header, sign("new", deployed)}, 202},
		"the older secret":   {[]string{header, sign("old", deployed)}, 202},
		"another secret":     {[]string{header, sign("guess", deployed)}, 401},
		"another body":       {[]string{header, sign("new", deployed+" ")}, 401},
		"half a signature":   {[]string{header, sign("new", deployed)[:40]}, 401},
		"no signature":       {[]string{header, "sha256="}, 401},
		"another hash":       {[]string{header, strings.Replace(sign("new", deployed), "256", "1", 1)}, 401},
		"headers not signed": {append([]string{header, sign("new", deployed), "Content-Type", "application/json"}, binary...), 401},
		"wrong, and a token": {[]string{"Authorization", "Bearer t0ken", header, sign("guess", deployed)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.api.Token, w.api.EventSecrets = "t0ken", []string{"new", "old"} })
			rec := w.ask(http.MethodPost, "/v1/events", deployed, append([]string{"Content-Type", oneEvent}, c.header...)...)
			if rec.Code != c.status {
				t.Errorf("status %d, want %d: %s", rec.Code, c.status, rec.Body)
			}
		})
	}
	w := newWorld(t, func(w *world) { w.api.Token, w.api.EventSecrets = "t0ken", []string{"new"} })
	for _, path := range []string{"GET /v1/events", "POST /v1/pipelines", "POST /v1/events/x"} {
		method, path, _ := strings.Cut(path, " ")
		if rec := w.ask(method, path, hello, header, sign("new", hello)); rec.Code != http.StatusUnauthorized {
			t.Errorf("%s %s with a signature: %d", method, path, rec.Code)
		}
	}
	if rec := newWorld(t, func(w *world) { w.api.Token = "t0ken" }).ask(http.MethodPost, "/v1/events", deployed, "Content-Type", oneEvent, header, sign("", deployed)); rec.Code != http.StatusUnauthorized {
		t.Errorf("signed with no secret: %d", rec.Code)
	}
}

func TestApprovals(t *testing.T) {
	const source = "jobs:\n  first: {steps: [{run: x}]}\n  look: {await: {approval: true}, needs: first}\n  plain: {await: {type: x}}\n  after: {needs: look, steps: [{run: x}]}\n"
	w := newWorld(t)
	w.node("n1", 9)
	id := w.submit(submission(source))
	path := func(job, verb string) string { return fmt.Sprintf("/v1/jobs/%s.%s/%s", id, job, verb) }
	for _, p := range []string{path("look", "approve"), path("plain", "approve"), path("first", "refuse")} {
		refused(t, w.ask(http.MethodPost, p, ""), http.StatusConflict)
	}
	refused(t, w.ask(http.MethodPost, path("none", "approve"), ""), http.StatusNotFound)
	w.finish(0, "")
	for range 2 { // said twice
		job := decode[client.Job](t, w.ask(http.MethodPost, path("look", "approve"), `{"reason": "fine"}`), http.StatusOK)
		if job.State != "SUCCEEDED" || job.Outputs["by"] != "local" {
			t.Errorf("approved: %+v", job)
		}
	}
	refused(t, w.ask(http.MethodPost, path("look", "refuse"), ""), http.StatusConflict)

	id = w.submit(submission(source))
	w.finish(len(w.launches)-1, "")
	for range 2 {
		job := decode[client.Job](t, w.ask(http.MethodPost, path("look", "refuse"), `{"reason": "not today"}`), http.StatusOK)
		if job.State != "FAILED" || job.Reason != "refused by local: not today" {
			t.Errorf("refused: %+v", job)
		}
	}
	refused(t, w.ask(http.MethodPost, path("look", "approve"), ""), http.StatusConflict)
	if after := decode[client.Job](t, w.ask(http.MethodGet, strings.TrimSuffix(path("after", ""), "/"), ""), http.StatusOK); after.State != "SKIPPED" {
		t.Errorf("after the refusal: %+v", after)
	}
}

// FuzzEvents holds that no request makes the door fall over, and that what it
// takes is kept.
func FuzzEvents(f *testing.F) {
	f.Add(oneEvent, deployed, "")
	f.Add(someEvents, "["+deployed+"]", "")
	f.Add("application/json", "{}", "x")
	f.Add("text/plain", "\xff", "%zz")
	f.Fuzz(func(t *testing.T, kind, body, id string) {
		if strings.ContainsFunc(kind+id, func(c rune) bool { return c < ' ' || c > '~' }) {
			return // no HTTP header
		}
		w := newWorld(t)
		header := []string{"Content-Type", kind}
		if id != "" {
			header = append(header, "Ce-Specversion", "1.0", "Ce-Id", id, "Ce-Source", "/x", "Ce-Type", "x")
		}
		rec := w.ask(http.MethodPost, "/v1/events", body, header...)
		if rec.Code == http.StatusInternalServerError || rec.Code == http.StatusServiceUnavailable {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		kept, _, err := w.api.Doors.Deliveries(t.Context(), "", 1000)
		if err != nil || rec.Code != http.StatusAccepted && len(kept) > 0 || rec.Code == http.StatusAccepted && len(kept) == 0 {
			t.Fatalf("%d, kept %d (%v)", rec.Code, len(kept), err)
		}
	})
}
