package protocoltest

import (
	"time"

	"github.com/relevo-ci/relevo/shared/protocol"
)

var loading = []test{
	{"a document that is not there has version 0 and a nil body", func(t *trial) {
		d := t.load("run/none")[0]
		if d.ID != "run/none" || d.Version != 0 || d.Body != nil {
			t.Fatalf("%+v", d)
		}
	}},
	{"documents come in the order asked for", func(t *trial) {
		t.put("run/a", 1, "A")
		t.put("job/b", 1, "B")
		got := t.load("job/b", "run/none", "run/a", "job/b")
		want := []protocol.Doc{doc("job/b", 1, "B"), {ID: "run/none"}, doc("run/a", 1, "A"), doc("job/b", 1, "B")}
		t.equal("documents", got, want)
	}},
	{"the moment is UTC to the millisecond, and moves on", func(t *trial) {
		first := t.moment()
		if !first.Now.Equal(first.Now.Truncate(time.Millisecond)) || first.Now.Location() != time.UTC {
			t.Fatalf("now %v", first.Now)
		}
		if first.Epoch == 0 || first.Installation == "" {
			t.Fatalf("%+v", first)
		}
		t.Pass(t.T, 3*time.Millisecond)
		second := t.moment()
		if second.Now.Sub(first.Now) < 3*time.Millisecond {
			t.Fatalf("now %v, 3ms earlier %v", second.Now, first.Now)
		}
		if second.Epoch != first.Epoch || second.Installation != first.Installation {
			t.Fatalf("%+v, before %+v", second, first)
		}
	}},
	{"list gives every document of the kind in the order of ids", func(t *trial) {
		for _, id := range []protocol.DocID{"node/b", "node/a/2", "nodes/x", "node/a", "run/a", "node/B"} {
			t.put(id, 1, "of "+string(id))
		}
		got, err := t.Store.List(t.Context(), t.p, "node")
		if err != nil {
			t.Fatal(err)
		}
		t.equal("list", got, []protocol.Doc{
			doc("node/B", 1, "of node/B"), doc("node/a", 1, "of node/a"),
			doc("node/a/2", 1, "of node/a/2"), doc("node/b", 1, "of node/b"),
		})
	}},
	{"list of nothing is empty", func(t *trial) {
		if got, err := t.Store.List(t.Context(), t.p, "node"); err != nil || len(got) != 0 {
			t.Fatalf("%v, %v", got, err)
		}
	}},
	{"what is handed in or out belongs to the caller", func(t *trial) {
		body := []byte("before")
		t.commit(protocol.Commit{Puts: []protocol.Doc{{ID: "run/1", Version: 1, Body: body}}})
		copy(body, "BEFORE")
		copy(t.load("run/1")[0].Body, "BEFORE")
		listed, err := t.Store.List(t.Context(), t.p, "run")
		if err != nil {
			t.Fatal(err)
		}
		copy(listed[0].Body, "BEFORE")
		t.equal("body", t.load("run/1")[0].Body, "before")
	}},
}

var putting = []test{
	{"versions start at 1 and go up by one with each write", func(t *trial) {
		for v := uint64(1); v <= 11; v++ {
			t.put("run/1", v, "body")
			if got := t.load("run/1")[0].Version; got != v {
				t.Fatalf("version %d after write %d", got, v)
			}
		}
	}},
	{"one commit puts many documents of many kinds", func(t *trial) {
		t.commit(protocol.Commit{Puts: []protocol.Doc{doc("run/1", 1, "a"), doc("job/1", 1, "b"), doc("run/2", 1, "c")}})
		t.equal("documents", t.load("run/1", "job/1", "run/2"),
			[]protocol.Doc{doc("run/1", 1, "a"), doc("job/1", 1, "b"), doc("run/2", 1, "c")})
	}},
	{"a nil body deletes, an empty one does not", func(t *trial) {
		t.commit(protocol.Commit{Puts: []protocol.Doc{doc("run/1", 1, ""), doc("run/2", 1, "x")}})
		t.commit(protocol.Commit{Puts: []protocol.Doc{{ID: "run/2", Version: 2}}})
		got := t.load("run/1", "run/2")
		if got[0].Version != 1 || got[0].Body == nil || len(got[0].Body) != 0 {
			t.Fatalf("empty: %+v", got[0])
		}
		if got[1].Version != 0 || got[1].Body != nil {
			t.Fatalf("deleted: %+v", got[1])
		}
	}},
	{"a deleted document starts at 1 again", func(t *trial) {
		t.put("run/1", 1, "old")
		t.commit(protocol.Commit{Puts: []protocol.Doc{{ID: "run/1", Version: 2}}})
		t.refused(protocol.Commit{Puts: []protocol.Doc{doc("run/1", 3, "new")}}, protocol.ErrConflict)
		t.put("run/1", 1, "new")
		t.equal("document", t.load("run/1"), []protocol.Doc{doc("run/1", 1, "new")})
	}},
	{"deleting what is not there is no harm at version 1", func(t *trial) {
		t.commit(protocol.Commit{Puts: []protocol.Doc{{ID: "run/1", Version: 1}}})
		t.equal("document", t.load("run/1"), []protocol.Doc{{ID: "run/1"}})
	}},
	{"partitions are apart", func(t *trial) {
		t.put("run/1", 1, "here")
		other := *t
		other.p += "/other"
		if d := other.load("run/1")[0]; d.Version != 0 {
			t.Fatalf("%+v", d)
		}
	}},
	{"a commit of nothing is fine", func(t *trial) {
		before := t.dump()
		if r := t.commit(protocol.Commit{}); r.Record != "" || r.Duplicate || len(r.Emitted) != 0 {
			t.Fatalf("%+v", r)
		}
		t.same(before)
	}},
}
