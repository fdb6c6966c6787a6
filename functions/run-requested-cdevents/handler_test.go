package runrequestedcdevents_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	v04 "github.com/cdevents/sdk-go/pkg/api/v04"

	"github.com/relevo-ci/relevo/events"
	clockticked "github.com/relevo-ci/relevo/functions/clock-ticked"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/state"
)

var story = []string{
	"pipelinerun queued PATH of change",
	"pipelinerun started PATH of queued",
	"taskrun .gate/0 started The gate PATH of started",
	"taskrun .a.0/1 started a PATH of started",
	"taskrun .a.0/1 finished a failure exit status 1 PATH of .a.0/1 started",
	"taskrun .a.0/2 started a PATH of started",
	"taskrun .a.0/2 finished a success PATH of .a.0/2 started",
	"taskrun .gate/0 finished The gate success PATH of .gate/0 started",
	"taskrun .last/1 started last PATH of started",
	"taskrun .last/1 finished last error evicted PATH of .last/1 started",
	"taskrun .last/2 started last PATH of started",
	"taskrun .last/2 finished last error evicted PATH of .last/2 started",
	"taskrun .last/3 started last PATH of started",
	"taskrun .last/3 finished last error evicted PATH of .last/3 started",
	"pipelinerun finished error last: evicted END of started",
}

// TestTheStoryOfARun: whichever of the run's events are lost, and however often
// and in whatever order the others come, the same is told of it, each once.
func TestTheStoryOfARun(t *testing.T) {
	for name, heard := range map[string]func(all []events.Envelope) []events.Envelope{
		"all": func(all []events.Envelope) []events.Envelope { return all },
		"each twice": func(all []events.Envelope) []events.Envelope {
			return append(slices.Clone(all), all...)
		},
		"backwards": func(all []events.Envelope) []events.Envelope {
			all = slices.Clone(all)
			slices.Reverse(all)
			return all
		},
		"the last":  func(all []events.Envelope) []events.Envelope { return all[len(all)-1:] },
		"the first": func(all []events.Envelope) []events.Envelope { return all[:1] },
	} {
		d := newDesk(t, "https://ci.example.com/", events.RunRequested{Pipeline: "ci", Trigger: events.Trigger{Delivery: "d1"}})
		d.whole()
		var told []string
		ids := map[string]string{"": "change"}
		for _, e := range heard(d.all) {
			for _, out := range d.hears(e) {
				told = append(told, telling(t, out, ids))
				if read := valid(t, out); read.GetChainId() != "d1" || out.RunID != string(id) {
					t.Errorf("%s of the chain %q and the run %q", out.Type, read.GetChainId(), out.RunID)
				}
			}
		}
		want := slices.Clone(story)
		want[0] = "pipelinerun queued"
		if !slices.Equal(told, want) {
			t.Errorf("%s: told\n%s\nwant\n%s", name, strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestWhatIsCarriedOverIsNotToldAgain: it was told of by the run where it ran.
func TestWhatIsCarriedOverIsNotToldAgain(t *testing.T) {
	d := newDesk(t, "", events.RunRequested{
		RetryOf: "01J00000000000000000000000", Carried: map[events.JobKey]events.CarriedJob{
			"a.0":  {Carried: events.Carried{Run: "01J00000000000000000000000", Attempt: 2}, Name: "a"},
			"gate": {Carried: events.Carried{Run: "01J00000000000000000000000"}},
		},
	})
	d.do(func(r *pipeline.Run, em *events.Emitter) { r.Start(em) })
	d.attempt("last", events.Succeeded, "")
	var told []string
	for _, e := range d.all {
		for _, out := range d.hears(e) {
			told = append(told, telling(t, out, map[string]string{}))
		}
	}
	want := []string{
		"pipelinerun queued", "pipelinerun started PATH of", "taskrun .last/1 started last PATH of",
		"taskrun .last/1 finished last success PATH of", "pipelinerun finished success END of",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s", strings.Join(told, "\n"))
	}
}

// TestWhileItHappens: what is told at once is what is told in the end.
func TestWhileItHappens(t *testing.T) {
	var last []events.Envelope
	for _, public := range []string{"", "https://ci.example.com/"} {
		once, atOnce := newDesk(t, public, events.RunRequested{}), newDesk(t, public, events.RunRequested{})
		once.whole()
		want := once.hears(once.all[0])
		var got []events.Envelope
		atOnce.do(func(r *pipeline.Run, em *events.Emitter) { r.Start(em) })
		got = append(got, atOnce.hears(atOnce.all[0])...)
		atOnce.attempt("a.0", events.Failed, "exit status 1")
		got = append(got, atOnce.hears(atOnce.all[0])...)
		if len(got) != 5 {
			t.Errorf("told %d events", len(got))
		}
		for i, e := range got {
			if string(e.Data) != string(want[i].Data) || e.ID != want[i].ID {
				t.Errorf("told\n%s\nand in the end\n%s", e.Data, want[i].Data)
			}
		}
		last = want
	}
	for i, want := range []string{
		`{"pipelineName":"","url":"https://ci.example.com/v1/pipelines/` + string(id) + `"}`,
		`{"pipelineName":"","url":"https://ci.example.com/v1/pipelines/` + string(id) + `"}`,
		`{"taskName":"The gate","url":"https://ci.example.com/v1/jobs/` + string(id) + `.gate","pipelineRun":{"id":"` + string(id) + `","source":"https://ci.example.com"}}`,
	} {
		if !strings.Contains(string(last[i].Data), `"content":`+want+"}") {
			t.Errorf("%s\ndoes not say %s", last[i].Data, want)
		}
	}
}

// TestTheClockAsks: where the broker loses the run's events after it took them,
// and refuses what is told, the clock heals both, and then forgets.
func TestTheClockAsks(t *testing.T) {
	d := newDesk(t, "", events.RunRequested{})
	if got := d.hears(d.all[0]); len(got) != 1 {
		t.Fatalf("told %v", got)
	}
	d.whole() // unheard
	sent := map[string]int{}
	c := &clockticked.Clock{
		Runs: d.runs, Pools: &state.Pools{Committer: d.runs.Committer}, Groups: &state.Groups{Committer: d.runs.Committer}, Front: d.front,
		Publish: func(_ context.Context, es []events.Envelope) error {
			for _, e := range es {
				if strings.HasPrefix(string(e.Type), "dev.cdevents.") {
					sent[telling(t, e, map[string]string{})+" "+e.ID]++
				}
			}
			return nil
		},
		Direct: func(_ context.Context, e events.Envelope) error {
			if e.Type == events.TypeNewsRequested { // the others are lost
				d.hears(e)
			}
			return nil
		},
	}
	for range 30 {
		d.now = d.now.Add(10 * time.Second)
		if _, _, err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != len(story) {
		t.Errorf("%d events were sent in the end, want %d: %v", len(sent), len(story), sent)
	}
	for what, n := range sent {
		if n != 1 {
			t.Errorf("%s: sent %d times", what, n)
		}
	}
	left := func() (n int) {
		ps, err := d.front.Store.Partitions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ps {
			docs, err := d.front.Store.List(t.Context(), p, "news")
			if err != nil {
				t.Fatal(err)
			}
			n += len(docs)
		}
		return n
	}
	if left() != 1 {
		t.Errorf("it is remembered %d times", left())
	}
	for range 3 {
		d.now = d.now.Add(time.Hour)
		if _, _, err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left() != 0 {
		t.Error("it is remembered for ever")
	}
}

func TestRunThatIsGone(t *testing.T) {
	d := newDesk(t, "", events.RunRequested{})
	e := d.all[0]
	e.RunID = "other"
	if out := d.hears(e); len(out) > 0 {
		t.Errorf("%v", out)
	}
}

// TestChanges: of a pull request it tells once for each delivery, and the run
// that came of it leads back there.
func TestChanges(t *testing.T) {
	for action, want := range map[string]string{
		"opened": "created", "synchronize": "updated", "labeled": "updated", "closed": "abandoned", "merged": "merged", "assigned": "",
	} {
		h := trigger.Happening{
			Forge: "github", Event: "pull_request", Action: strings.Replace(action, "merged", "closed", 1),
			Repository: trigger.Repository{Name: "acme/shop", Link: "https://github.com/acme/shop"},
			Pull:       &trigger.Pull{Number: 7, Title: "Sell more", Merged: action == "merged"},
		}
		d := newDesk(t, "", events.RunRequested{Trigger: events.Trigger{Event: "pull_request", Delivery: arrived.ID(), PullRequest: 7}})
		if _, err := d.front.Receive(t.Context(), "webhook", arrived, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		res, err := d.front.Finish(t.Context(), events.Envelope{ID: "work"}, arrived.ID(), 1, trigger.Ending{Change: trigger.ChangeOf(arrived.ID(), h)})
		if err != nil {
			t.Fatal(err)
		}
		ids, told := map[string]string{}, []string{}
		for range 2 {
			for _, e := range append(res.Emitted, d.all...) {
				for _, out := range d.hears(e) {
					if read := valid(t, out); read.GetChainId() != string(arrived.ID()) {
						t.Errorf("chain %s", read.GetChainId())
					}
					told = append(told, telling(t, out, ids))
				}
			}
		}
		chain := []string{"change github/acme/shop/7 " + want, "pipelinerun queued PATH of github/acme/shop/7 " + want}
		if want == "" {
			chain = []string{"pipelinerun queued"}
		}
		if !slices.Equal(told, chain) {
			t.Errorf("%s is told as %q", action, told)
		}
	}
}

var arrived = trigger.Arrival{Source: "github", Sender: "1", Event: "pull_request"}

// TestThoseOfOthersComeIn: every event of the SDK's, whole; ours do not.
func TestThoseOfOthersComeIn(t *testing.T) {
	d := newDesk(t, "https://ci.example.com", events.RunRequested{})
	n := 0
	for _, kind := range v04.CDEventsTypes {
		if kind.GetType().Custom != "" {
			continue
		}
		n++
		body := example(t, kind)
		e := events.Envelope{ID: strconv.Itoa(n), Source: "https://other.example.com", Type: events.Type(kind.GetType().String()), Subject: "s", Time: d.now, Data: body}
		for range 2 {
			got := d.hears(e)
			if len(got) != 1 || got[0].Type != events.TypeDeliveryReceived {
				t.Fatalf("%s came to %v", e.Type, got)
			}
			in, err := events.Decode[events.DeliveryReceived](got[0])
			if err != nil {
				t.Fatal(err)
			}
			delivery, kept, err := d.front.Delivery(t.Context(), in.Data.Delivery)
			var back events.Envelope
			if err != nil || json.Unmarshal(kept, &back) != nil || string(back.Data) != string(body) || back.ID != e.ID || delivery.Event != string(e.Type) || delivery.Hops != 0 {
				t.Fatalf("%s was kept as %s, %+v, %v", e.Type, kept, delivery, err)
			}
		}
		e.Source, e.ID = "https://ci.example.com", "own"
		if got := d.hears(e); len(got) > 0 {
			t.Errorf("our own came to %v", got)
		}
	}
	if n < 40 {
		t.Errorf("the SDK has %d kinds", n)
	}
}

// example is a CDEvent of a kind, made by the SDK.
func example(t *testing.T, kind cdevents.CDEventV04) []byte {
	t.Helper()
	e, err := v04.NewCDEvent(kind.GetType().String(), "0.4.1")
	if err != nil {
		t.Fatal(err)
	}
	e.SetSource("https://other.example.com")
	e.SetSubjectId("s")
	raw, err := cdevents.AsJsonBytes(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// FuzzValid holds that no name or reason makes an event that is not valid.
func FuzzValid(f *testing.F) {
	f.Add("ci", "exit status 1", "https://ci.example.com", "d1", "https://git.example.com/a/b")
	f.Add("", "\xff\x00", "x y", "", "http://[::1]:x")
	f.Fuzz(func(t *testing.T, name, reason, public, delivery, link string) {
		if strings.ContainsFunc(public, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`%:[\]^{|}"<>`+"`", c) }) {
			public = "" // the settings refuse it
		}
		d := newDesk(t, public, events.RunRequested{Pipeline: name, Trigger: events.Trigger{Delivery: events.DeliveryID(delivery)}})
		d.do(func(r *pipeline.Run, em *events.Emitter) { r.Start(em) })
		d.attempt("a.0", events.Failed, reason)
		h := trigger.Happening{Forge: "f", Event: "pull_request", Action: "opened", Repository: trigger.Repository{Name: "a/" + name, Link: link}, Pull: &trigger.Pull{Number: 1, Title: reason}}
		change, err := events.New("c", "/relevo/x", "", d.now, trigger.ChangeOf(events.DeliveryID("d"+delivery), h))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range append(d.hears(d.all[0]), d.hears(change)...) {
			valid(t, e)
		}
	})
}
