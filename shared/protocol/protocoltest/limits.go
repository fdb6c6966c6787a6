package protocoltest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/shared/protocol"
)

// odd are names that a careless encoding trips over.
var odd = []string{
	"", " ", "|", "1|", "{", "}", "{}", "%7B", "a}:run", "\x00", "\xff\xfe", "\r\n", "*", "-", "+", "(", "ü/ü", "\u2028",
	strings.Repeat("long", 10_000),
}

var limits = []test{
	{"a body of a mebibyte, and of every byte", func(t *trial) {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		big := bytes.Repeat(every, 4096)
		t.commit(protocol.Commit{Puts: []protocol.Doc{
			{ID: "run/big", Version: 1, Body: big}, {ID: "run/every", Version: 1, Body: every}, {ID: "run/bar", Version: 1, Body: []byte("7|x")},
		}})
		got := t.load("run/big", "run/every", "run/bar")
		if !bytes.Equal(got[0].Body, big) || !bytes.Equal(got[1].Body, every) || string(got[2].Body) != "7|x" {
			t.Fatal("a body came back changed")
		}
		t.commit(protocol.Commit{Puts: []protocol.Doc{{ID: "run/big", Version: 2, Body: big}}})
	}},
	{"an event of a mebibyte", func(t *trial) {
		e := t.envelopes("e")
		e[0].Data = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
		t.commit(protocol.Commit{Inbox: "test/1", Emitted: e})
		if got := t.commit(protocol.Commit{Inbox: "test/1"}).Emitted; text(got) != text(e) {
			t.Fatal("the event came back changed")
		}
	}},
	{"odd bytes in names", func(t *trial) {
		for i, name := range odd {
			p := t.p + protocol.Partition(fmt.Sprint("/", i, name))
			id := protocol.DocID("odd/" + name)
			c := protocol.Commit{
				Partition: p, Inbox: "test/" + name, Puts: []protocol.Doc{doc(id, 1, name)},
				Queue: []protocol.QueueOp{{Member: name, Score: 1}}, Due: []protocol.Due{{Name: name, At: t.moment().Now}},
			}
			t.commit(c)
			if r := t.commit(c); !r.Duplicate {
				t.Fatalf("%q: not remembered", name)
			}
			other := *t
			other.p = p
			t.equal("document", other.load(id), []protocol.Doc{doc(id, 1, name)})
			other.wantHead(many, []string{name}, 1)
			if due, _ := t.overdue(many, p); len(due) != 1 || due[0] != fmt.Sprintf("%s %s", p, name) {
				t.Fatalf("due %q", due)
			}
		}
	}},
	{"odd kinds", func(t *trial) {
		for _, name := range append(odd, "inbox", "ledger", "outbox", "due", "queue") {
			id := protocol.DocID(name)
			t.put(id, 1, name)
			listed, err := t.Store.List(t.Context(), t.p, id.Kind())
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, d := range listed {
				found = found || d.ID == id && string(d.Body) == name
			}
			if !found {
				t.Fatalf("%q is not listed in its kind %q", id, id.Kind())
			}
		}
	}},
	{"a partition is not another one's key", func(t *trial) {
		t.commit(protocol.Commit{Partition: "group:x}:doc:run", Puts: []protocol.Doc{doc("run/1", 1, "x")}})
		t.commit(protocol.Commit{Partition: "group:x%7D:doc:run", Puts: []protocol.Doc{doc("run/1", 1, "y")}})
		for p, want := range map[protocol.Partition]string{"group:x": "", "group:x}:doc:run": "x", "group:x%7D:doc:run": "y"} {
			other := *t
			other.p = p
			t.equal(string(p), other.load("run/1")[0].Body, want)
		}
	}},
	{"many entries in one commit", func(t *trial) {
		var c protocol.Commit
		var names []string
		for i := range 1000 {
			name := fmt.Sprintf("run/%04d", i)
			names = append(names, name)
			c.Puts = append(c.Puts, doc(protocol.DocID(name), 1, name))
			c.Queue = append(c.Queue, protocol.QueueOp{Member: name, Score: float64(i)})
			c.Due = append(c.Due, protocol.Due{Name: name, At: t.moment().Now})
		}
		c.Emitted = t.envelopes(names...)
		t.commit(c)
		t.wantHead(many, names, len(names))
		t.equal("events", ids(t.ledger("", many)), names)
	}},
}
