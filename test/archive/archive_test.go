package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/cold"
	"github.com/relevo-ci/relevo/shared/logs/logstest"
)

const aRun events.RunID = "01JABCDEFGHJKMNPQRSTVWXYZ0"

func ref(job string) events.AttemptRef {
	return events.AttemptRef{JobRef: events.JobRef{Run: aRun, Job: events.JobKey(job)}, Attempt: 1, Fence: events.Fence{Epoch: 1, Counter: 1}}
}

func open(t *testing.T, hot logs.Hot, address string, o cold.Options) *cold.Store {
	t.Helper()
	b, err := cold.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return cold.New(hot, b, o)
}

// TestSuite is what every store of logs holds, with the logs at the server.
func TestSuite(t *testing.T) {
	s := start(t)
	logstest.Run(t, func(t *testing.T) logs.Store {
		address, _ := s.bucket()
		return logstest.Eager{Moving: open(t, logs.NewMemory(1<<20), address, cold.Options{Chunk: 1000})}
	})
}

// read gives the text with marks where bytes are lost.
func read(t *testing.T, s logs.Store, r events.AttemptRef) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := logs.Each(t.Context(), s, r, 0, func(data []byte, lost *logs.Gap) (bool, error) {
		out.Write(data)
		if lost != nil {
			out.WriteString(lost.Mark())
		}
		return true, nil
	})
	return out.String(), err
}

var text = []byte(strings.Repeat("a line of a log\n", 20_000)) // 320 kB

// TestMoved: at the server a log is whole for a process that begins anew; one
// that is damaged there has a gap; a removed run leaves nothing.
func TestMoved(t *testing.T) {
	s := start(t)
	address, dir := s.bucket()
	hot := logs.NewMemory(1 << 20)
	first := open(t, hot, address, cold.Options{Chunk: 100_000})
	logstest.Written(t, first, ref("a"), text)
	logstest.Written(t, first, ref("b"), text)
	if n, err := first.Tidy(t.Context(), 10); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if used, _, err := hot.Room(t.Context()); used != 0 || err != nil {
		t.Errorf("%d bytes stay, %v", used, err)
	}
	if n := len(blobs(t, dir)); n != 10 {
		t.Errorf("%d blobs of two logs: %q", n, blobs(t, dir))
	}
	damaged := ""
	for _, path := range blobs(t, dir) {
		if strings.Contains(path, "/b-") && strings.Contains(path, "100000") {
			damaged = path
		}
	}
	if err := os.WriteFile(damaged, []byte("x"), 0o600); err != nil {
		t.Fatal(err, blobs(t, dir))
	}
	again := open(t, logs.NewMemory(1<<20), address, cold.Options{})
	if got, err := read(t, again, ref("a")); got != string(text) || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
	}
	lost := logs.Gap{From: 100_000, To: 200_000}
	want := string(text[:100_000]) + lost.Mark() + string(text[200_000:])
	if got, err := read(t, again, ref("b")); got != want || err != nil {
		t.Errorf("of what is damaged %d bytes, %v", len(got), err)
	}
	if err := again.Remove(t.Context(), aRun); err != nil {
		t.Fatal(err)
	}
	if left := blobs(t, dir); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// TestWhoIsNotLetIn: without the bucket, with wrong credentials or while the
// server is away logs stay where they are, and what is said of it tells no secret.
func TestWhoIsNotLetIn(t *testing.T) {
	s := start(t)
	address, _ := s.bucket()
	hot := logs.NewMemory(1 << 20)
	refused := func(what, address string) {
		t.Helper()
		store := open(t, hot, address, cold.Options{})
		n, err := store.Tidy(t.Context(), 10)
		if n != 0 || err == nil {
			t.Errorf("%s: moved %d, %v", what, n, err)
		}
		if said := fmt.Sprintf("%v %+v", err, err); strings.Contains(said, secret) || strings.Contains(said, "Signature=") {
			t.Errorf("%s: it tells %s", what, said)
		}
		if got, err := read(t, store, ref("a")); got != string(text) && err == nil {
			t.Errorf("%s: %d bytes and no error", what, len(got))
		}
	}
	logstest.Written(t, hot, ref("a"), text)
	refused("no bucket", s.of("other"))
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret+"x")
	refused("a wrong secret", address)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	refused("no credentials", address)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	s.down()
	refused("the server is away", address)
	s.up()
	store := open(t, hot, address, cold.Options{})
	if n, err := store.Tidy(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("when it is back: moved %d, %v", n, err)
	}
	if got, err := read(t, store, ref("a")); got != string(text) || err != nil {
		t.Errorf("then %d bytes, %v", len(got), err)
	}
}

// TestAddresses: what is wrong with one is said without it.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"s3://logs?h4x0r=1":              "unknown query parameter",
		"s3://logs?use_path_style=h4x0r": "invalid value",
		"s3://key:h4x0r@logs":            "credentials",
		"gs://logs-of-h4x0r":             `knows no "gs", only folders and file, mem, s3`,
	} {
		b, err := cold.Open(t.Context(), address)
		if err == nil {
			t.Errorf("%s is taken", address)
			_ = b.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "://logs") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
