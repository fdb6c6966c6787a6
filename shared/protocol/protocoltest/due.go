package protocoltest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

func (t *trial) overdue(n int, ps ...protocol.Partition) ([]string, time.Time) {
	t.Helper()
	due, next, err := t.Store.Overdue(t.Context(), ps, n)
	if err != nil {
		t.Fatalf("overdue: %v", err)
	}
	names := []string{}
	for _, d := range due {
		names = append(names, fmt.Sprintf("%s %s", d.Partition, d.Name))
	}
	return names, next
}

func (t *trial) wantDue(n int, ps []protocol.Partition, want []string, next time.Time) {
	t.Helper()
	got, at := t.overdue(n, ps...)
	if !slices.Equal(got, want) || !at.Equal(next) {
		t.Fatalf("due %q next %v, want %q next %v", got, at, want, next)
	}
}

var falling = []test{
	{"what is due comes earliest first, with the next time after now", func(t *trial) {
		now := t.moment().Now
		other := t.p + "/other"
		t.commit(protocol.Commit{Due: []protocol.Due{
			{Name: "late", At: now.Add(-time.Minute)},
			{Name: "later", At: now.Add(-time.Second)},
			{Name: "next", At: now.Add(time.Hour)},
			{Name: "after", At: now.Add(2 * time.Hour)},
		}})
		t.commit(protocol.Commit{Partition: other, Due: []protocol.Due{
			{Name: "latest", At: now.Add(-time.Hour)}, {Name: "now", At: now}, {Name: "far", At: now.Add(90 * time.Minute)},
		}})
		both := []protocol.Partition{t.p, other}
		here, there := string(t.p)+" ", string(other)+" "
		all := []string{there + "latest", here + "late", here + "later", there + "now"}
		t.wantDue(many, both, all, now.Add(time.Hour))
		t.wantDue(4, both, all, now.Add(time.Hour))
		t.wantDue(3, both, all[:3], now.Add(time.Hour))
		t.wantDue(1, both, all[:1], now.Add(time.Hour))
		t.wantDue(0, both, nil, now.Add(time.Hour))
		t.wantDue(-1, both, nil, now.Add(time.Hour))
		t.wantDue(many, []protocol.Partition{other}, []string{all[0], all[3]}, now.Add(90*time.Minute))
		t.wantDue(many, nil, nil, time.Time{})
	}},
	{"equal times go by partition and name", func(t *trial) {
		at := t.moment().Now.Add(-time.Minute)
		before := t.p + "!"
		for _, p := range []protocol.Partition{before, t.p} {
			t.commit(protocol.Commit{Partition: p, Due: []protocol.Due{{Name: "b", At: at}, {Name: "a/x", At: at}, {Name: "a", At: at}}})
		}
		here, there := string(t.p)+" ", string(before)+" "
		t.wantDue(5, []protocol.Partition{before, t.p},
			[]string{here + "a", here + "a/x", here + "b", there + "a", there + "a/x"}, time.Time{})
	}},
	{"an entry says when it was due", func(t *trial) {
		at := t.moment().Now.Add(-time.Minute)
		t.commit(protocol.Commit{Due: []protocol.Due{{Name: "run/1", At: at.Add(654 * time.Microsecond).In(time.FixedZone("", 3600))}}})
		due, _, err := t.Store.Overdue(t.Context(), []protocol.Partition{t.p}, many)
		if err != nil || len(due) != 1 || due[0].At != at || due[0].Partition != t.p || due[0].Name != "run/1" {
			t.Fatalf("%+v, %v", due, err)
		}
	}},
	{"an aggregate has one entry, and a zero time removes it", func(t *trial) {
		now := t.moment().Now
		set := func(at time.Time) { t.commit(protocol.Commit{Due: []protocol.Due{{Name: "run/1", At: at}}}) }
		here := []protocol.Partition{t.p}
		set(now.Add(-time.Minute))
		t.wantDue(many, here, []string{string(t.p) + " run/1"}, time.Time{})
		set(now.Add(time.Hour))
		t.wantDue(many, here, nil, now.Add(time.Hour))
		set(time.Time{})
		t.wantDue(many, here, nil, time.Time{})
		set(time.Time{})
		t.wantDue(many, here, nil, time.Time{})
	}},
	{"in one commit the last word on an aggregate counts", func(t *trial) {
		now := t.moment().Now
		t.commit(protocol.Commit{Due: []protocol.Due{
			{Name: "a", At: now.Add(-time.Hour)}, {Name: "a"}, {Name: "b"}, {Name: "b", At: now.Add(time.Hour)},
		}})
		t.wantDue(many, []protocol.Partition{t.p}, nil, now.Add(time.Hour))
	}},
	{"time makes entries due", func(t *trial) {
		at := t.moment().Now.Add(time.Hour)
		soon := t.moment().Now.Add(20 * time.Millisecond)
		t.commit(protocol.Commit{Due: []protocol.Due{{Name: "soon", At: soon}, {Name: "then", At: at}}})
		t.Pass(t.T, 20*time.Millisecond)
		t.wantDue(1, []protocol.Partition{t.p}, []string{string(t.p) + " soon"}, at)
	}},
}

func (t *trial) wantHead(n int, members []string, length int) {
	t.Helper()
	got, l, err := t.Store.Head(t.Context(), t.p, n)
	if err != nil || !slices.Equal(got, members) || l != length {
		t.Fatalf("head %q of %d, %v; want %q of %d", got, l, err, members, length)
	}
}

var queueing = []test{
	{"lower scores come first, equal ones in the order of their bytes", func(t *trial) {
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{
			{Member: "m", Score: 2},
			{Member: "b", Score: 1},
			{Member: "a/1", Score: 1},
			{Member: "a", Score: 1},
			{Member: "minus", Score: -1e9},
			{Member: "fraction", Score: 1.5},
			{Member: "first", Score: math.Inf(-1)},
			{Member: "last", Score: math.Inf(1)},
			{Member: "large", Score: 1 << 53},
			{Member: "large too", Score: 1<<53 - 1},
		}})
		all := []string{"first", "minus", "a", "a/1", "b", "fraction", "m", "large too", "large", "last"}
		t.wantHead(many, all, len(all))
		t.wantHead(3, all[:3], len(all))
		t.wantHead(0, nil, len(all))
		t.wantHead(-1, nil, len(all))
	}},
	{"an empty queue", func(t *trial) { t.wantHead(5, nil, 0) }},
	{"a member stands once, at its last score", func(t *trial) {
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{{Member: "a", Score: 1}, {Member: "b", Score: 2}, {Member: "a", Score: 3}}})
		t.wantHead(many, []string{"b", "a"}, 2)
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{{Member: "a", Score: 0}}})
		t.wantHead(many, []string{"a", "b"}, 2)
	}},
	{"what is removed is gone", func(t *trial) {
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{{Member: "a", Score: 1}, {Member: "b", Score: 2}}})
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{{Member: "a", Score: 9, Remove: true}, {Member: "none", Remove: true}}})
		t.wantHead(many, []string{"b"}, 1)
		t.commit(protocol.Commit{Queue: []protocol.QueueOp{{Member: "b", Remove: true}, {Member: "a", Score: 4}, {Member: "a", Remove: true}}})
		t.wantHead(many, nil, 0)
	}},
}

var listing = []test{
	{"the run partitions are always there, then every other, sorted", func(t *trial) {
		for _, p := range []protocol.Partition{t.p + "/b", "p07", t.p + "/a", t.p + "/b", "p99"} {
			t.commit(protocol.Commit{Partition: p})
		}
		t.refused(protocol.Commit{Partition: t.p + "/refused", Puts: []protocol.Doc{doc("run/1", 7, "x")}}, protocol.ErrConflict)
		all, err := t.Store.Partitions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range protocol.RunPartitions {
			if want := protocol.Partition(fmt.Sprintf("p%02d", i)); all[i] != want {
				t.Fatalf("%d: %s, want %s", i, all[i], want)
			}
		}
		others := all[protocol.RunPartitions:]
		for _, p := range []protocol.Partition{t.p + "/a", t.p + "/b", t.p + "/refused", "p99"} {
			if !slices.Contains(others, p) {
				t.Errorf("%s is not listed in %s", p, others)
			}
		}
		if !slices.IsSorted(others) || len(slices.Compact(slices.Clone(others))) != len(others) {
			t.Errorf("not sorted, or listed twice: %s", others)
		}
	}},
	{"a run's partition is one of them", func(t *trial) {
		all, err := t.Store.Partitions(t.Context())
		if err != nil || !slices.Contains(all, protocol.PartitionOf("01JABC")) {
			t.Fatalf("%s, %v", all, err)
		}
	}},
}
