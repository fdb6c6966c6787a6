package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/redis/server"
)

// parentEnv makes the test binary start a server in the folder that it names,
// say so and wait to be killed.
const parentEnv = "SERVER_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		s, err := server.Start(context.Background(), dir, server.Options{})
		fmt.Println(s.PID(), err)
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, dir string, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *server.Server) {
	t.Helper()
	if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func client(t *testing.T, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a "b" 'c' % ? # ü`)
	s := start(t, dir, server.Options{})
	if s.Adopted() {
		t.Fatal("adopted what nobody started")
	}
	c := client(t, s.URL())
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	config, err := c.ConfigGet(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"port": "0", "unixsocketperm": "700", "appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory": "0",
	} {
		if config[name] != want {
			t.Errorf("%s is %q, want %q", name, config[name], want)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	stop(t, s)
	stop(t, s) // twice does no harm
	if err := c.Get(t.Context(), "k").Err(); err == nil {
		t.Fatal("it answers after it was stopped")
	}
	again := start(t, dir, server.Options{Fsync: server.FsyncEverySecond})
	if v := c.Get(t.Context(), "k").Val(); v != "v" || again.Adopted() {
		t.Fatalf("%q, adopted %t", v, again.Adopted())
	}
}

func TestAdoptWhatAKilledParentLeft(t *testing.T) {
	dir := t.TempDir()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// The whole process group, as a terminal would.
	if err := syscall.Kill(-parent.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("the parent ended well")
	}

	s := start(t, dir, server.Options{Fsync: server.FsyncNever})
	if want := fmt.Sprintln(s.PID(), nil); !s.Adopted() || line != want {
		t.Fatalf("adopted %t: %q, the parent started %q", s.Adopted(), want, line)
	}
	c := client(t, s.URL())
	if got := c.ConfigGet(t.Context(), "appendfsync").Val()["appendfsync"]; got != "no" {
		t.Fatalf("appendfsync %s", got)
	}
	stop(t, s)
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) && !zombie(s.PID()) {
		t.Fatalf("%d still runs", s.PID())
	}
}

// zombie tells that a process has ended and waits for whoever inherited it.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// TestStopWithoutAFolder: whoever removes the folder before its owner is done
// leaves no server behind.
func TestStopWithoutAFolder(t *testing.T) {
	for _, gone := range []string{".", "redis.lock"} {
		dir := filepath.Join(t.TempDir(), "redis")
		s := start(t, dir, server.Options{})
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		stop(t, s)
		if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("without %s the server lives on: %v", gone, err)
		}
		stop(t, s)
	}
}

func TestManyStartOne(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	servers := make([]*server.Server, 5)
	errs := make([]error, len(servers))
	for i := range servers {
		wg.Go(func() { servers[i], errs[i] = server.Start(t.Context(), dir, server.Options{}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	defer stop(t, servers[0])
	own := 0
	for _, s := range servers {
		if s.PID() != servers[0].PID() || s.URL() != servers[0].URL() {
			t.Errorf("%d at %s, another is %d at %s", s.PID(), s.URL(), servers[0].PID(), servers[0].URL())
		}
		if !s.Adopted() {
			own++
		}
	}
	if own != 1 {
		t.Errorf("%d of them started one", own)
	}
}

func TestStartAfterAKill(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir, server.Options{})
	c := client(t, first.URL())
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir, server.Options{})
	if second.Adopted() || second.PID() == first.PID() {
		t.Fatalf("%d after %d", second.PID(), first.PID())
	}
	if v := client(t, second.URL()).Get(t.Context(), "k").Val(); v != "v" {
		t.Fatalf("%q", v)
	}
}

func TestStartFails(t *testing.T) {
	spoilt := t.TempDir()
	s := start(t, spoilt, server.Options{})
	stop(t, s)
	files, err := filepath.Glob(filepath.Join(spoilt, "appendonlydir", "*.manifest"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, text string
		options         server.Options
		is              error
	}{
		{name: "not installed", dir: t.TempDir(), options: server.Options{Binary: "redis-server-of-nobody"}, is: server.ErrNotInstalled, text: "install Redis"},
		{name: "bad append-only file", dir: spoilt, text: "manifest"},
		{name: "long path", dir: filepath.Join(t.TempDir(), strings.Repeat("x", 100)), text: "shorter"},
		{name: "a file in the place of the folder", dir: files[0], text: "not a directory"},
		{name: "bad option", dir: t.TempDir(), options: server.Options{Fsync: "sometimes"}, text: "ended at its start"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := server.Start(t.Context(), c.dir, c.options)
			if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
				t.Fatal(err)
			}
		})
	}
}

// TestStartGivesUp: a server that hangs is neither adopted nor started twice.
func TestStartGivesUp(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, server.Options{})
	if err := syscall.Kill(s.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := server.Start(ctx, dir, server.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

func TestEmbedded(t *testing.T) {
	e, err := server.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := client(t, e.URL()).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(e.URL(), "@")
	if err := client(t, "redis://"+address).Get(t.Context(), "k").Err(); err == nil {
		t.Fatal("it lets in whoever knows no password")
	}
}
