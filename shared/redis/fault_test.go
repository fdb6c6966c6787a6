package redis_test

import (
	"errors"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// unknown fails unless err leaves the outcome open.
func unknown(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, known := range []error{protocol.ErrConflict, protocol.ErrTooOld, protocol.ErrInvalid} {
		if errors.Is(err, known) {
			t.Fatalf("the outcome is said to be known: %v", err)
		}
	}
}

func TestReplyLost(t *testing.T) {
	p := startProxy(t, start(t, t.TempDir(), server.Options{}).URL())
	s := open(t, p.url)
	for i, lost := range []fault{
		{forward: true},                     // executed, then the connection breaks
		{forward: true, answer: "*2\r\n$2"}, // … in the middle of the answer
		{forward: false},                    // not executed
	} {
		commit(t, s, protocol.Commit{Partition: "pool:linux"}) // with the script loaded
		c := numbered(i)
		c.Epoch = moment(t, s).Epoch
		p.plant(lost)
		_, err := s.Commit(t.Context(), c)
		unknown(t, err)

		r := commit(t, s, c)
		if r.Duplicate != lost.forward || len(r.Emitted) != 1 || r.Emitted[0].ID != c.Emitted[0].ID {
			t.Fatalf("%d: repeated: %+v", i, r)
		}
		again := commit(t, s, c)
		if !again.Duplicate || again.Record != r.Record {
			t.Fatalf("%d: once more: %+v, before %+v", i, again, r)
		}
	}
}

func TestReplyLostWithoutAnInbox(t *testing.T) {
	p := startProxy(t, start(t, t.TempDir(), server.Options{}).URL())
	s := open(t, p.url)
	commit(t, s, protocol.Commit{Partition: "pool:linux"})
	c := numbered(1)
	c.Inbox = ""
	p.plant(fault{forward: true})
	_, err := s.Commit(t.Context(), c)
	unknown(t, err)
	if r, err := s.Commit(t.Context(), c); !errors.Is(err, protocol.ErrConflict) {
		t.Fatalf("repeated: %+v, %v", r, err)
	}
	ledger, err := s.Ledger(t.Context(), "pool:linux", "", 10)
	if err != nil || len(ledger) != 1 {
		t.Fatalf("%+v, %v", ledger, err)
	}
}

func TestServerCannotAnswer(t *testing.T) {
	p := startProxy(t, start(t, t.TempDir(), server.Options{}).URL())
	s := open(t, p.url)
	for i, answer := range []string{
		"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"BUSY Redis is busy running a script.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Errors writing to the AOF file",
		"MOVED 3999 127.0.0.1:6381",
		"NOREPLICAS Not enough good replicas to write.",
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"MASTERDOWN Link with MASTER is down",
	} {
		commit(t, s, protocol.Commit{Partition: "pool:linux"})
		c := numbered(i)
		p.plant(fault{answer: "-" + answer + "\r\n"})
		_, err := s.Commit(t.Context(), c)
		unknown(t, err)
		if r := commit(t, s, c); r.Duplicate {
			t.Fatalf("%s: committed all the same", answer)
		}

		reply := "-" + answer + "\r\n"
		p.plant(fault{at: "hmget", answer: reply + reply}) // the time, then the documents
		_, _, err = s.Load(t.Context(), "pool:linux", c.Puts[0].ID)
		unknown(t, err)
		if m := moment(t, s); m.Epoch != 1 {
			t.Fatalf("%s: %+v", answer, m)
		}
	}
}

func TestScriptsAreForgotten(t *testing.T) {
	srv := start(t, t.TempDir(), server.Options{})
	s := open(t, srv.URL())
	for i := range 3 {
		if r := commit(t, s, numbered(i)); r.Duplicate {
			t.Fatalf("%+v", r)
		}
		if err := admin(t, srv).ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicaPromoted takes a server's role away and gives it back: what it did
// in between is not known, so the epoch rises.
func TestReplicaPromoted(t *testing.T) {
	srv := start(t, t.TempDir(), server.Options{})
	s := open(t, srv.URL())
	commit(t, s, numbered(1))
	before := moment(t, s)
	// Connections that are open by then must not be trusted either.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				s.List(t.Context(), "p00", "run")
			}
		})
	}
	wg.Wait()

	c := admin(t, srv)
	if err := c.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(t.Context(), numbered(2))
	unknown(t, err)
	if err := c.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		stale := numbered(2)
		stale.Epoch = before.Epoch
		if r, err := s.Commit(t.Context(), stale); !errors.Is(err, protocol.ErrConflict) {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if m := moment(t, s); m.Epoch <= before.Epoch || m.Installation != before.Installation {
		t.Fatalf("%+v, before %+v", m, before)
	}
}

// admin gives a client of its own.
func admin(t *testing.T, srv *server.Server) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}
