package redis

import (
	"bytes"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/protocol"
)

func TestKeys(t *testing.T) {
	run, group := keysOf("p07"), keysOf(protocol.GroupPartition("100% {a}:b"))
	for got, want := range map[string]string{
		run.docs("run"): "relevo:{p07}:doc:run",
		run.inbox():     "relevo:{p07}:inbox",
		run.ledger():    "relevo:{p07}:ledger",
		run.outbox():    "relevo:{p07}:outbox",
		run.due():       "relevo:{p07}:due",
		run.queue():     "relevo:{p07}:queue",
		run.pruned():    "relevo:{p07}:pruned",
		group.queue():   "relevo:{group:100%25 %7Ba%7D:b}:queue",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// FuzzKeys: one partition, one hash tag; another one, another tag.
func FuzzKeys(f *testing.F) {
	f.Add("p07", "pool:linux", "run")
	f.Add("group:a}:doc:x", "group:a%7D:doc:x", "}")
	f.Fuzz(func(t *testing.T, a, b, kind string) {
		if a == "" || b == "" {
			return // Validate refuses it
		}
		x, y := keysOf(protocol.Partition(a)), keysOf(protocol.Partition(b))
		for _, key := range []string{x.docs(kind), x.inbox(), x.queue()} {
			if tag(key) != tag(x.ledger()) || tag(key) == "" {
				t.Errorf("%q has tag %q, the ledger %q", key, tag(key), tag(x.ledger()))
			}
		}
		if a != b && tag(x.ledger()) == tag(y.ledger()) {
			t.Errorf("%q and %q share the tag %q", a, b, tag(x.ledger()))
		}
	})
}

// tag is what Redis Cluster hashes of a key.
func tag(key string) string {
	_, rest, _ := strings.Cut(key, "{")
	inside, _, _ := strings.Cut(rest, "}")
	return inside
}

func TestIsRun(t *testing.T) {
	for p, want := range map[protocol.Partition]bool{
		"p00": true, "p09": true, "p63": true, "p64": false, "p99": false, "p7": false, "p007": false, "q07": false, "": false, "p/0": false,
	} {
		if isRun(p) != want {
			t.Errorf("%q: %t", p, !want)
		}
	}
}

func TestTooOld(t *testing.T) {
	for version, want := range map[string]bool{
		"5.0.14": true, "6.0.16": true, "6.2.0": false, "7.0.15": false, "10.1": false, "": false, "unstable": false,
	} {
		if tooOld(version) != want {
			t.Errorf("%q: %t", version, !want)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add("1|body")
	f.Add("0|")
	f.Add("|")
	f.Add("18446744073709551615|a|b")
	f.Fuzz(func(t *testing.T, value string) {
		d, err := document("run/1", value)
		if err != nil {
			return
		}
		version, _, _ := strings.Cut(value, "|")
		if d.Body == nil || version+"|"+string(d.Body) != value {
			t.Errorf("%q was read as version %d, body %q", value, d.Version, d.Body)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}` + "\n" + `{"specversion":"1.0","id":"2","source":"/s","type":"t"}`)
	f.Add("\n")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, lines string) {
		list, err := decode(lines)
		if err != nil {
			return
		}
		first, err := encode(list)
		if err != nil {
			t.Fatalf("%q cannot be encoded again: %v", lines, err)
		}
		again, err := decode(string(first))
		if err != nil {
			t.Fatalf("%q cannot be decoded again: %v", first, err)
		}
		if second, err := encode(again); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%q became %q, %v", first, second, err)
		}
	})
}
