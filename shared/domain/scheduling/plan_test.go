package scheduling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/scheduling"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func node(name string, cpu int64, labels ...string) scheduling.Node {
	return scheduling.Node{CapacityUpdated: events.CapacityUpdated{
		Node: events.NodeID(name), Labels: labels, Capacity: events.Resources{CPU: cpu, Memory: 8 << 30, Slots: 8},
	}}
}

func offer(name string, cpu int64, labels ...string) scheduling.Offer {
	o := scheduling.Offer{Queued: now}
	o.Offer, o.Name = events.OfferID(name), name
	o.Requirements = events.Requirements{Labels: labels, Resources: events.Resources{CPU: cpu, Slots: 1}}
	return o
}

// placed writes a plan as offer@node, in order.
func placed(p scheduling.Plan) string {
	var out []string
	for _, pl := range p.Placements {
		out = append(out, string(pl.Offer.Offer)+"@"+string(pl.Node.Node))
	}
	return strings.Join(out, " ")
}

// planCase is a queue and what the planner is to do with it.
type planCase struct {
	nodes  []scheduling.Node
	queue  []scheduling.Offer
	policy scheduling.Policy
	want   string
}

func planCases() map[string]planCase {
	region := node("eu", 4000)
	region.Attributes = map[string]string{"region": "eu"}
	tainted := node("gpu", 4000)
	tainted.Taints = []string{"gpu"}
	gone := node("gone", 4000)
	gone.Gone = true
	with := func(o scheduling.Offer, change func(*scheduling.Offer)) scheduling.Offer { change(&o); return o }
	return map[string]planCase{
		"in order": {[]scheduling.Node{node("n", 2000)}, []scheduling.Offer{offer("a", 1000), offer("b", 1000), offer("c", 1000)}, scheduling.Policy{}, "a@n b@n"},
		"fills the fullest": {
			[]scheduling.Node{node("big", 8000), node("small", 2000)},
			[]scheduling.Offer{offer("a", 1000)},
			scheduling.Policy{},
			"a@small",
		},
		"spreads": {
			[]scheduling.Node{node("big", 8000), node("small", 2000)},
			[]scheduling.Offer{offer("a", 1000)},
			scheduling.Policy{Score: scheduling.Spread},
			"a@big",
		},
		"by labels": {
			[]scheduling.Node{node("n", 4000, "linux"), node("w", 4000, "windows")},
			[]scheduling.Offer{offer("a", 1, "windows"), offer("b", 1, "linux")},
			scheduling.Policy{},
			"a@w b@n",
		},
		"a taint keeps away": {[]scheduling.Node{tainted}, []scheduling.Offer{offer("a", 1)}, scheduling.Policy{}, ""},
		"a toleration lets in": {
			[]scheduling.Node{tainted},
			[]scheduling.Offer{with(offer("a", 1), func(o *scheduling.Offer) { o.Requirements.Tolerations = []string{"gpu"} })},
			scheduling.Policy{},
			"a@gpu",
		},
		"required affinity": {
			[]scheduling.Node{node("us", 4000), region},
			[]scheduling.Offer{with(offer("a", 1), func(o *scheduling.Offer) {
				o.Requirements.Affinity = &events.Affinity{Required: map[string]string{"region": "eu"}}
			})},
			scheduling.Policy{},
			"a@eu",
		},
		"preferred affinity before packing": {
			[]scheduling.Node{node("us", 1000), region},
			[]scheduling.Offer{with(offer("a", 1), func(o *scheduling.Offer) {
				o.Requirements.Affinity = &events.Affinity{Preferred: []events.Preference{{Key: "region", Value: "eu", Weight: 1}}}
			})},
			scheduling.Policy{},
			"a@eu",
		},
		"a node that is gone": {[]scheduling.Node{gone}, []scheduling.Offer{offer("a", 1)}, scheduling.Policy{}, ""},
		"small ones pass a large one": {
			[]scheduling.Node{node("n", 1000)}, []scheduling.Offer{offer("large", 2000), offer("a", 1000)}, scheduling.Policy{}, "a@n",
		},
		"but not for ever": {
			[]scheduling.Node{node("n", 2000), node("busy", 500)},
			[]scheduling.Offer{with(offer("large", 1900), func(o *scheduling.Offer) { o.Queued = now.Add(-time.Hour) }), offer("a", 200)},
			scheduling.Policy{},
			"large@n a@busy",
		},
	}
}

func TestPlan(t *testing.T) {
	for name, c := range planCases() {
		t.Run(name, func(t *testing.T) {
			if got := placed(scheduling.Make(scheduling.Snapshot{Now: now, Nodes: c.nodes}, c.queue, c.policy)); got != c.want {
				t.Errorf("placed %q, want %q", got, c.want)
			}
		})
	}
}

// An offer that waited long keeps the nodes that it could use: nothing later
// takes them, so that it gets its turn.
func TestLongWaitReserves(t *testing.T) {
	held := scheduling.Held{AssignmentCreated: events.AssignmentCreated{Node: "n", Resources: events.Resources{CPU: 1500, Slots: 1}}}
	old := offer("large", 1000)
	old.Queued = now.Add(-time.Hour)
	plan := scheduling.Make(scheduling.Snapshot{Now: now, Nodes: []scheduling.Node{node("n", 2000)}, Held: []scheduling.Held{held}},
		[]scheduling.Offer{old, offer("a", 100)}, scheduling.Policy{})
	if len(plan.Placements) > 0 {
		t.Errorf("placed %s past the one that waits", placed(plan))
	}
	if r := plan.Unplaced[1].Reasons[0].Reason; !strings.HasPrefix(r, "kept for large") {
		t.Errorf("reason %q", r)
	}
}

func TestEveryRefusalHasItsReason(t *testing.T) {
	plan := scheduling.Make(scheduling.Snapshot{Now: now, Nodes: []scheduling.Node{node("n", 1000), node("m", 4000, "arm")}},
		[]scheduling.Offer{offer("a", 2000, "x64")}, scheduling.Policy{})
	if len(plan.Unplaced) != 1 || !plan.Unplaced[0].Never || len(plan.Unplaced[0].Reasons) != 2 {
		t.Fatalf("plan %+v", plan)
	}
	for _, r := range plan.Unplaced[0].Reasons {
		if r.Reason != `lacks the label "x64"` {
			t.Errorf("%s: %s", r.Node, r.Reason)
		}
	}
}

// What does not reach is told with how much there is, in units that people use.
func TestWhatIsScarce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		held, want events.Resources
		says       string
	}{
		{events.Resources{CPU: 3500}, events.Resources{CPU: 1000}, "has 0.5 of 4 cores free, the job asks for 1"},
		{events.Resources{}, events.Resources{CPU: 4500}, "has 4 cores in all, the job asks for 4.5"},
		{events.Resources{Memory: 7<<30 + 7}, events.Resources{Memory: 2 << 30}, "has 1024 of 8192 MiB of memory free, the job asks for 2048"},
		{events.Resources{}, events.Resources{GPU: 1}, "has 0 GPUs in all, the job asks for 1"},
		{events.Resources{Slots: 8}, events.Resources{Slots: 1}, "has 0 of 8 worker slots free, the job asks for 1"},
	} {
		o := offer("o", 0)
		o.Requirements.Resources = c.want
		held := scheduling.Held{AssignmentCreated: events.AssignmentCreated{Node: "n", Resources: c.held}}
		plan := scheduling.Make(scheduling.Snapshot{Now: now, Nodes: []scheduling.Node{node("n", 4000)}, Held: []scheduling.Held{held}}, []scheduling.Offer{o}, scheduling.Policy{})
		if len(plan.Unplaced) != 1 || plan.Unplaced[0].Reasons[0].Reason != c.says {
			t.Errorf("%+v, want %q", plan.Unplaced, c.says)
		}
	}
}

// S3 and the order of the queue, over random pools.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s scheduling.Snapshot
		s.Now = now
		for i := range rapid.IntRange(0, 5).Draw(t, "nodes") {
			n := node(fmt.Sprint("n", i), rapid.Int64Range(0, 4000).Draw(t, "cpu"))
			n.Capacity.Slots = rapid.Int64Range(0, 3).Draw(t, "slots")
			s.Nodes = append(s.Nodes, n)
		}
		var queue []scheduling.Offer
		for i := range rapid.IntRange(0, 12).Draw(t, "offers") {
			o := offer(fmt.Sprint("o", i), rapid.Int64Range(0, 3000).Draw(t, "ask"))
			o.Order, o.Priority = uint64(i), rapid.IntRange(-1, 1).Draw(t, "priority")
			queue = append(queue, o)
		}
		slices.SortFunc(queue, scheduling.Before)
		plan := scheduling.Make(s, queue, scheduling.Policy{})
		seen := map[events.OfferID]bool{}
		for _, p := range plan.Placements {
			s.Held = append(s.Held, scheduling.Held{AssignmentCreated: events.AssignmentCreated{Node: p.Node.Node, Resources: p.Offer.Requirements.Resources}})
			seen[p.Offer.Offer] = true
			if len(p.Passed) != len(s.Nodes)-1 {
				t.Fatalf("%s passed %d of %d nodes with a reason", p.Offer.Offer, len(p.Passed), len(s.Nodes))
			}
		}
		for id, f := range scheduling.Free(s) {
			if f.CPU < 0 || f.Slots < 0 || f.Memory < 0 {
				t.Fatalf("node %s has %+v left", id, f)
			}
		}
		if len(seen)+len(plan.Unplaced) != len(queue) {
			t.Fatalf("%d placed and %d not, of %d", len(seen), len(plan.Unplaced), len(queue))
		}
		// What was not placed fits nowhere in what is left (L2).
		again := scheduling.Make(s, unplaced(plan), scheduling.Policy{})
		if len(again.Placements) > 0 {
			t.Fatalf("%s would have fitted", placed(again))
		}
	})
}

func unplaced(p scheduling.Plan) []scheduling.Offer {
	var out []scheduling.Offer
	for _, u := range p.Unplaced {
		out = append(out, u.Offer)
	}
	return out
}
