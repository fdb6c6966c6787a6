package scheduling_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

func emitter(id string) *events.Emitter {
	return &events.Emitter{Function: "test", Cause: events.Envelope{ID: id}, Now: now, Owner: "pool/p", Version: 1}
}

func pool(fixed bool, slots int64) *scheduling.Pool {
	p := scheduling.NewPool(scheduling.Root{ID: "p", Policy: scheduling.Policy{Fixed: fixed}}, scheduling.Settings{OfferTTL: time.Hour, Nudge: time.Minute})
	d := events.CapacityUpdated{Pool: "p", Node: "n", Capacity: events.Resources{CPU: 1000, Slots: slots}, Since: now}
	p.Declare(emitter("node"), events.Envelope{ID: "node"}, d)
	return p
}

func created(name string, labels ...string) events.OfferCreated {
	return events.OfferCreated{
		OfferRef: events.OfferRef{Pool: "p", Offer: events.OfferID(name)}, Name: name,
		Requirements: events.Requirements{Labels: labels, Resources: events.Resources{CPU: 100, Slots: 1}},
	}
}

func enqueue(p *scheduling.Pool, d events.OfferCreated) []events.Envelope {
	em := emitter("offer" + string(d.Offer))
	p.Enqueue(em, events.Envelope{ID: "e" + string(d.Offer)}, d)
	return em.Emitted()
}

func TestPoolPassesCapacityOn(t *testing.T) {
	p := pool(false, 1)
	if got := enqueue(p, created("a")); len(got) != 1 || got[0].Type != events.TypeAssignmentCreated {
		t.Fatalf("the first offer led to %v", got)
	}
	if got := enqueue(p, created("b")); len(got) != 0 {
		t.Fatalf("the second offer led to %v", got)
	}
	if got := enqueue(p, created("a")); len(got) != 0 {
		t.Fatalf("an offer that was placed led to %v", got)
	}
	em := emitter("release")
	if !p.Release(em, events.AssignmentFor("a")) || len(em.Emitted()) != 2 {
		t.Fatalf("release led to %v", em.Emitted())
	}
	if p.Release(em, events.AssignmentFor("a")) {
		t.Error("capacity was given back twice")
	}
	if len(p.Queue) != 0 || len(p.Held) != 1 {
		t.Errorf("%d queued, %d held", len(p.Queue), len(p.Held))
	}
}

func TestFixedPoolRefusesWhatNeverFits(t *testing.T) {
	if got := enqueue(pool(true, 1), created("a", "windows")); len(got) != 1 || got[0].Type != events.TypeOfferExpired {
		t.Errorf("led to %v", got)
	}
	if got := enqueue(pool(false, 1), created("a", "windows")); len(got) != 0 {
		t.Errorf("in a pool that may grow it led to %v", got)
	}
}

func TestOffersExpireAndAreWithdrawn(t *testing.T) {
	p := pool(false, 0)
	enqueue(p, created("a"))
	enqueue(p, created("b"))
	early := emitter("early")
	p.Expire(early, "a")
	late := emitter("late")
	late.Now = now.Add(time.Hour)
	p.Expire(late, "a")
	if len(early.Emitted()) != 0 || len(late.Emitted()) != 1 {
		t.Errorf("early %v, late %v", early.Emitted(), late.Emitted())
	}
	if !p.Withdraw(emitter("w"), "b", "cancelled") || p.Withdraw(emitter("w"), "b", "cancelled") {
		t.Error("an offer is withdrawn once")
	}
	if len(p.Queue) != 0 {
		t.Errorf("%d queued", len(p.Queue))
	}
}

func TestOlderDeclarationsChangeNothing(t *testing.T) {
	p := pool(false, 1)
	d := events.CapacityUpdated{Pool: "p", Node: "n", Gone: true, Since: now.Add(-time.Second)}
	if p.Declare(emitter("old"), events.Envelope{}, d) || p.Nodes["n"].Gone {
		t.Error("an older declaration counted")
	}
	d.Since = now.Add(time.Second)
	if !p.Declare(emitter("new"), events.Envelope{}, d) || !p.Nodes["n"].Gone {
		t.Error("a newer one did not")
	}
}

func TestAgainIsTheSameEvent(t *testing.T) {
	p := pool(false, 1)
	first := enqueue(p, created("a"))[0]
	again := p.Again(p.Held[events.AssignmentFor("a")])
	if again.ID != first.ID || string(again.Data) != string(first.Data) || again.Subject != first.Subject {
		t.Errorf("first %+v, again %+v", first, again)
	}
}

func TestRoute(t *testing.T) {
	r := scheduling.Pools{Rows: []scheduling.Route{{Pool: "gpu", Labels: []string{"linux", "gpu"}}}, Default: "rest"}
	for labels, want := range map[string]events.PoolID{`["gpu"]`: "gpu", `["linux","gpu"]`: "gpu", `["windows"]`: "rest"} {
		var l []string
		if err := json.Unmarshal([]byte(labels), &l); err != nil {
			t.Fatal(err)
		}
		if got := r.For(l); got != want {
			t.Errorf("%s goes to %s, want %s", labels, got, want)
		}
	}
	req := events.JobRequested{JobRef: events.JobRef{Run: "R", Job: "a"}, Attempt: 1}
	one := r.OfferEvent("job-requested", events.Envelope{ID: "x"}, req)
	two := r.OfferEvent("concurrency-acquired", events.Envelope{ID: "y"}, req)
	if one.ID != two.ID {
		t.Error("one offer has two events")
	}
	for _, labels := range [][]string{{"gpu"}, {"windows"}, nil} {
		req.Untrusted, req.Requirements.Labels, req.Pool = true, labels, ""
		if got := r.Offer(req).Pool; got != r.For(labels)+"-untrusted" || !got.IsUntrusted() {
			t.Errorf("a stranger's %v goes to %s", labels, got)
		}
		if req.Pool = "gpu"; r.Offer(req).Pool != "gpu-untrusted" {
			t.Errorf("a stranger's goes to %s, having named gpu", r.Offer(req).Pool)
		}
		if req.Pool = "gpu-untrusted"; r.Offer(req).Pool != req.Pool {
			t.Errorf("a stranger's goes to %s", r.Offer(req).Pool)
		}
	}
}
