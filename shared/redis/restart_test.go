package redis_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/protocol"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
)

// crash kills the server at once and starts it again on what is on the disk.
func crash(t *testing.T, s *server.Server, dir string, o server.Options) *server.Server {
	t.Helper()
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir, o)
	if again.Adopted() {
		t.Fatalf("adopted %d after %d was killed", again.PID(), s.PID())
	}
	return again
}

func commit(t *testing.T, s *redis.Store, c protocol.Commit) protocol.Receipt {
	t.Helper()
	r, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func moment(t *testing.T, s *redis.Store) protocol.Moment {
	t.Helper()
	_, m, err := s.Load(t.Context(), "p00")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func event(id string) events.Envelope {
	return events.Envelope{ID: id, Source: "/relevo/test", Type: "t"}
}

func numbered(i int) protocol.Commit {
	return protocol.Commit{
		Partition: "pool:linux", Inbox: fmt.Sprint("test/", i),
		Puts:    []protocol.Doc{{ID: protocol.DocID(fmt.Sprint("run/", i)), Version: 1, Body: []byte("x")}},
		Emitted: []events.Envelope{event(strconv.Itoa(i))},
	}
}

func TestAcknowledgedCommitsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, server.Options{})
	s := open(t, srv.URL())
	before := moment(t, s)

	const n = 40
	var first []protocol.Receipt
	for i := range n {
		first = append(first, commit(t, s, numbered(i)))
	}
	crash(t, srv, dir, server.Options{})

	// The same store, and another process's, go on in the new life.
	for _, s := range []*redis.Store{s, open(t, srv.URL())} {
		after := moment(t, s)
		if after.Epoch <= before.Epoch || after.Installation != before.Installation {
			t.Fatalf("%+v, before the restart %+v", after, before)
		}
		for i := range n {
			if r := commit(t, s, numbered(i)); !r.Duplicate || r.Record != first[i].Record {
				t.Fatalf("commit %d was lost: %+v", i, r)
			}
		}
		docs, err := s.List(t.Context(), "pool:linux", "run")
		if err != nil || len(docs) != n {
			t.Fatalf("%d documents, %v", len(docs), err)
		}
	}
}

func TestNothingDecidedBeforeARestartIsWrittenAfterIt(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, server.Options{})
	s := open(t, srv.URL())
	c := numbered(1)
	c.Epoch = moment(t, s).Epoch

	crash(t, srv, dir, server.Options{})
	if r, err := s.Commit(t.Context(), c); !errors.Is(err, protocol.ErrConflict) {
		t.Fatalf("%+v, %v", r, err)
	}
	c.Epoch = moment(t, s).Epoch
	if r := commit(t, s, c); r.Duplicate {
		t.Fatal("the refused commit was remembered")
	}
	partitions, err := s.Partitions(t.Context())
	if err != nil || len(partitions) != protocol.RunPartitions+1 {
		t.Fatalf("%s, %v", partitions, err)
	}
}

func TestEpochIsKnownBeforeTheFirstCommitOfALife(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, server.Options{})
	a, b := open(t, srv.URL()), open(t, srv.URL())
	crash(t, srv, dir, server.Options{})
	c := numbered(1)
	c.Partition, c.Epoch = "p01", moment(t, a).Epoch
	commit(t, b, c) // b has yet to notice the restart
}

func TestEpochRisesAboveEveryFormerOneAfterARestore(t *testing.T) {
	// With less than an fsync a write, the raise itself may be lost.
	o := server.Options{Fsync: server.FsyncEverySecond}
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	srv := start(t, dir, o)
	s := open(t, srv.URL())
	commit(t, s, numbered(1))
	if out, err := exec.Command("cp", "-a", filepath.Join(dir, "appendonlydir"), backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	highest := moment(t, s).Epoch
	for range 2 {
		srv = crash(t, srv, dir, o)
		commit(t, s, protocol.Commit{Partition: "p01", Emitted: []events.Envelope{event("x")}})
		if e := moment(t, s).Epoch; e <= highest {
			t.Fatalf("epoch %d after %d", e, highest)
		}
		highest = moment(t, s).Epoch

		// What the last life wrote, its raise of the epoch included, is lost.
		if err := srv.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		restore(t, backup, filepath.Join(dir, "appendonlydir"))
		srv = start(t, dir, o)
		if e := moment(t, s).Epoch; e <= highest {
			t.Fatalf("restored to epoch %d after %d", e, highest)
		}
		highest = moment(t, s).Epoch
	}
}

func restore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestLivesOfOneServerShareTheEpoch(t *testing.T) {
	srv := start(t, t.TempDir(), server.Options{})
	a, b := open(t, srv.URL()), open(t, srv.URL())
	if x, y := moment(t, a), moment(t, b); x.Epoch != y.Epoch || x.Installation != y.Installation || x.Epoch != 1 {
		t.Fatalf("%+v and %+v", x, y)
	}
	c := open(t, start(t, t.TempDir(), server.Options{}).URL())
	if x, y := moment(t, a), moment(t, c); x.Installation == y.Installation {
		t.Fatalf("two installations are called %s", x.Installation)
	}
}

func TestServerIsGone(t *testing.T) {
	srv := start(t, t.TempDir(), server.Options{})
	s := open(t, srv.URL())
	if err := srv.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(t.Context(), numbered(1))
	if err == nil || errors.Is(err, protocol.ErrConflict) || errors.Is(err, protocol.ErrTooOld) {
		t.Fatal(err)
	}
	if _, err := redis.Open(t.Context(), srv.URL(), redis.Options{}); err == nil {
		t.Fatal("opened what is not there")
	}
	if _, err := redis.Open(t.Context(), "http://localhost", redis.Options{}); err == nil {
		t.Fatal("opened what is no Redis URL")
	}
}
