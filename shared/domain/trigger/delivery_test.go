package trigger_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func emitter(function string, now time.Time) *events.Emitter {
	return &events.Emitter{Function: function, Now: now, Version: 1}
}

func arrival() trigger.Arrival {
	return trigger.Arrival{Source: "github", Sender: "72d3162e", Event: "push", Repository: "acme/app", Digest: "aa"}
}

func TestDeliveryID(t *testing.T) {
	a := arrival()
	same := a
	same.Digest, same.Event = "bb", "release" // the sender's id alone counts
	other, bare, bare2 := a, a, a
	other.Source = "gitea"
	bare.Sender, bare2.Sender, bare2.Digest = "", "", "bb"
	if a.ID() != same.ID() || a.ID() == other.ID() || bare.ID() == bare2.ID() || bare.ID() == a.ID() {
		t.Errorf("%s %s %s %s %s", a.ID(), same.ID(), other.ID(), bare.ID(), bare2.ID())
	}
}

func TestDeliveryGoesItsWay(t *testing.T) {
	em := emitter("webhook", noon)
	d := trigger.NewDelivery(em, arrival())
	first := em.Emitted()[0]
	got, err := events.Decode[events.DeliveryReceived](first)
	if err != nil || got.Data.Round != 1 || got.Data.Repository != "acme/app" || got.Data.Event != "push" || first.Subject != "delivery/"+string(d.ID) {
		t.Fatalf("%+v, %v", first, err)
	}
	if again := d.Again(0); again.ID != first.ID || !again.Time.Equal(first.Time) || string(again.Data) != string(first.Data) {
		t.Errorf("told again as %+v, it was %+v", again, first)
	}
	if d.Work(2, noon) || !d.Work(1, noon) || !d.Work(1, noon) || d.State != trigger.Working || d.Tries != 2 {
		t.Fatalf("%+v", d)
	}
	if d.Replay(emitter("api", noon), "alice") {
		t.Error("what is under way was replayed")
	}
	if !d.Defer(1, noon.Add(time.Minute), "the forge asked for time") || d.Work(1, noon.Add(time.Second)) || !d.Work(1, noon.Add(time.Minute)) {
		t.Fatalf("%+v", d)
	}
	ended := d.End(1, trigger.Ending{SHA: "abc", Outcomes: []trigger.Outcome{
		{File: "b.yaml", Result: trigger.Skipped, Reason: "paths"}, {File: "a.yaml", Result: trigger.Started, Run: "R"},
	}}, noon)
	if !ended || d.State != trigger.Done || d.Outcomes[0].File != "a.yaml" || d.SHA != "abc" || d.Event != "push" || !d.Due(time.Second, noon).IsZero() {
		t.Fatalf("%+v", d)
	}
	if d.End(1, trigger.Ending{Refused: true}, noon) || d.Defer(1, noon, "") || d.Work(1, noon) {
		t.Error("a round that is over goes on")
	}
	em = emitter("api", noon)
	if !d.Replay(em, "alice") || d.Round != 2 || d.State != trigger.Received || em.Emitted()[0].ID == first.ID || d.Asked.By != "alice" {
		t.Fatalf("%+v", d)
	}
	d.End(2, trigger.Ending{Refused: true, Reason: strings.Repeat("é", 1000), Outcomes: []trigger.Outcome{{File: "a.yaml", Result: trigger.Rejected, Reason: "a.yaml:1:2"}}}, noon)
	if d.State != trigger.Refused || len(d.Reason) > 1000 || !strings.HasSuffix(d.Reason, "é…") || d.Outcomes[0].Run != "R" {
		t.Errorf("%+v: the run that was started must stay named", d)
	}
}

func TestDeliveryRepeats(t *testing.T) {
	d := trigger.NewDelivery(emitter("webhook", noon), arrival())
	altered := arrival()
	altered.Digest = "bb"
	if !d.Repeat(arrival()) || d.Repeat(altered) || !d.Repeat(arrival()) || d.Repeats != 2 || d.Altered != 1 {
		t.Errorf("%+v", d)
	}
}

func TestDeliveryIsBounded(t *testing.T) {
	d := trigger.NewDelivery(emitter("webhook", noon), arrival())
	var many []trigger.Outcome
	for i := range 1000 {
		many = append(many, trigger.Outcome{File: strings.Repeat("x", i), Result: trigger.Skipped})
	}
	d.End(1, trigger.Ending{Outcomes: many}, noon)
	if len(d.Outcomes) != 256 {
		t.Errorf("%d outcomes", len(d.Outcomes))
	}
}

// TestDeliveryProperties: whatever comes in whatever order, states move along
// their way, rounds rise, and a run that was started stays named.
func TestDeliveryProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := trigger.NewDelivery(emitter("webhook", noon), arrival())
		started := map[string]events.RunID{}
		asked := map[string]bool{d.Again(0).ID: true}
		t.Repeat(map[string]func(*rapid.T){
			"work":  func(t *rapid.T) { d.Work(rapid.IntRange(1, 4).Draw(t, "round"), noon) },
			"defer": func(t *rapid.T) { d.Defer(rapid.IntRange(1, 4).Draw(t, "round"), noon, "later") },
			"end": func(t *rapid.T) {
				o := trigger.Outcome{File: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "file"), Result: trigger.Skipped}
				if rapid.Bool().Draw(t, "starts") {
					o.Result, o.Run = trigger.Started, events.RunID("run of "+o.File)
				}
				if d.End(rapid.IntRange(1, 4).Draw(t, "round"), trigger.Ending{Outcomes: []trigger.Outcome{o}}, noon) && o.Run != "" {
					started[o.File] = o.Run
				}
			},
			"replay": func(t *rapid.T) {
				final, em := d.State.Final(), emitter("api", noon)
				if d.Replay(em, "") != final || final != (len(em.Emitted()) == 1) {
					t.Fatalf("replayed in state %s", d.State)
				}
				if final {
					id := em.Emitted()[0].ID
					if asked[id] || d.Again(0).ID != id {
						t.Fatalf("the event of round %d is that of another", d.Round)
					}
					asked[id] = true
				}
			},
			"": func(t *rapid.T) {
				if d.State.Final() != d.Due(time.Minute, noon).IsZero() {
					t.Fatalf("%s is due %v", d.State, d.Due(time.Minute, noon))
				}
				for _, o := range d.Outcomes {
					if want := started[o.File]; o.Run != want {
						t.Fatalf("%s started %q, not %q", o.File, want, o.Run)
					}
				}
			},
		})
	})
}

func TestHeaders(t *testing.T) {
	kept := trigger.Headers(map[string][]string{
		"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/1"}, "X-GitHub-Event": {"push", "b"},
		"X-GitHub-Delivery": {"72d3162e"}, "X-Gitlab-Event": {"Push Hook"}, "X-Gitlab-Webhook-UUID": {"u"}, "X-Event-Key": {"repo:push"}, "Ce-Type": {"com.x"},
		"X-Request-Id": {strings.Repeat("x", 5000)}, "X-Hook-Uuid": {},
		"Authorization": {"Bearer s3cret"}, "Proxy-Authorization": {"s3cret"}, "Cookie": {"s3cret"}, "Set-Cookie": {"s3cret"},
		"X-Hub-Signature": {"s3cret"}, "X-Hub-Signature-256": {"s3cret"}, "X-GitHub-Signature": {"s3cret"}, "X-Gitlab-Token": {"s3cret"},
		"X-Gitea-Signature": {"s3cret"}, "X-Gogs-Signature": {"s3cret"}, "X-Api-Key": {"s3cret"}, "X-Event-Secret": {"s3cret"},
		"Ce-Authtoken": {"s3cret"}, "X-Forwarded-For": {"1.2.3.4"}, "Whatever": {"s3cret"}, "X-Request-Password": {"s3cret"},
	})
	want := map[string]string{
		"content-type": "application/json", "user-agent": "GitHub-Hookshot/1", "x-github-event": "push",
		"x-github-delivery": "72d3162e", "x-gitlab-event": "Push Hook", "x-gitlab-webhook-uuid": "u", "x-event-key": "repo:push", "ce-type": "com.x",
		"x-request-id": kept["x-request-id"],
	}
	if !reflect.DeepEqual(kept, want) || len(kept["x-request-id"]) > 1024 {
		t.Errorf("%v", kept)
	}
	if again := trigger.Headers(map[string][]string{"x-github-event": {"push"}}); again["x-github-event"] != "push" {
		t.Error("what was kept is not kept again")
	}
}
