package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/relevo-ci/relevo/deploy/inprocess"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/docker"
	"github.com/relevo-ci/relevo/shared/bus"
	"github.com/relevo-ci/relevo/shared/domain/expression"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/provider"
	"github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/redis/server"
	"github.com/relevo-ci/relevo/shared/workers"
)

// image is made by test/setup.
const image = "relevo-test/busybox"

// firstLine is P1.
func firstLine(ctx context.Context, b *bench) error {
	bin, err := b.binaries(ctx)
	if err != nil {
		return err
	}
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer func() { _ = cli.Close() }()
	r, stop, err := dockerRig(ctx, b, filepath.Join(bin, "relevo-agent"))
	if err != nil {
		return err
	}
	defer stop()
	spec := chain(1)
	spec.Jobs[0].Steps[0].Run = expression.Text("echo hi")
	ours := func(ctx context.Context) (float64, error) {
		var first float64
		began := time.Now()
		r.firstLog = func() { first = time.Since(began).Seconds() }
		err := r.play(ctx, spec, 1)
		if err == nil && first == 0 {
			err = errors.New("no log line came")
		}
		return first, err
	}
	theirs := func(ctx context.Context) (float64, error) { return rawDocker(ctx, cli) }
	return b.compare(ctx, "s", "relevo, to the first line kept", "raw create, start, first line", ours, theirs)
}

// logged is a rig whose jobs run in Docker.
type logged struct {
	*rig
	firstLog func()
}

func dockerRig(ctx context.Context, b *bench, agent string) (*logged, func(), error) {
	srv, err := b.redis(ctx, "p1", server.FsyncAlways)
	if err != nil {
		return nil, nil, err
	}
	store, err := redis.Open(ctx, srv.URL(), redis.Options{})
	if err != nil {
		return nil, nil, err
	}
	_, moment, err := store.Load(ctx, "p00")
	if err != nil {
		return nil, nil, err
	}
	sockets := filepath.Join(b.dir, "s")
	if err := os.MkdirAll(sockets, 0o700); err != nil {
		return nil, nil, err
	}
	p, err := docker.New(docker.Config{
		Installation: moment.Installation, Agent: agent, Image: image, State: filepath.Join(b.dir, "workers"),
		Sockets: sockets, SocketsAt: "/relevo/sockets",
	})
	if err != nil {
		return nil, nil, err
	}
	if err := p.Secure(ctx); err != nil {
		return nil, nil, err
	}
	r := &logged{rig: &rig{store: &counting{Store: store}, ends: map[events.RunID]chan events.Envelope{}}}
	r.host, err = inprocess.Start(ctx, inprocess.Options{
		Store: store, Logs: &noticing{Store: logs.NewMemory(64 << 20), r: r}, Providers: map[string]provider.Provider{"docker": p},
		Policy: pipeline.DefaultPolicy(), OfferTTL: time.Hour, Sockets: sockets,
		Workers: workers.Settings{
			Installation: moment.Installation, Key: []byte("bench"), Heartbeat: 10 * time.Second, Grace: 5 * time.Second,
			Report: map[string]string{"docker": "unix:///relevo/sockets/" + inprocess.SocketName}, Image: map[string]string{"docker": image},
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, nil, err
	}
	r.host.Tap(r.see)
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = r.host.Bus.Idle(ctx) // the last workers' removal
		_ = r.host.Close(ctx)
		_ = p.Close()
		_ = store.Close()
	}
	return r, stop, r.host.Declare(ctx, events.CapacityUpdated{
		Node: "bench", Provider: "docker", Since: time.Now(), Capacity: events.Resources{CPU: 4000, Slots: 4},
	})
}

// noticing tells when the first bytes of a log are kept.
type noticing struct {
	logs.Store
	r *logged
}

func (n *noticing) Append(ctx context.Context, ref events.AttemptRef, offset int64, data []byte) (int64, error) {
	size, err := n.Store.Append(ctx, ref, offset, data)
	if offset == 0 && err == nil && n.r.firstLog != nil {
		n.r.firstLog()
		n.r.firstLog = nil
	}
	return size, err
}

func rawDocker(ctx context.Context, cli *client.Client) (float64, error) {
	began := time.Now()
	c, err := cli.ContainerCreate(ctx, &container.Config{Image: image, Cmd: []string{"echo", "hi"}, AttachStdout: true}, nil, nil, nil, "")
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = cli.ContainerRemove(context.WithoutCancel(ctx), c.ID, container.RemoveOptions{Force: true})
	}()
	out, err := cli.ContainerAttach(ctx, c.ID, container.AttachOptions{Stream: true, Stdout: true})
	if err != nil {
		return 0, err
	}
	defer out.Close()
	if err := cli.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return 0, err
	}
	if _, err := bufio.NewReader(out.Reader).ReadByte(); err != nil {
		return 0, err
	}
	return time.Since(began).Seconds(), nil
}

// runCommand is P2: the difference matters, so both times are printed.
func runCommand(ctx context.Context, b *bench) error {
	bin, err := b.binaries(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "two.yaml")
	if err := os.WriteFile(file, []byte("jobs: {a: {steps: [{run: echo one}, {run: echo two}]}}\n"), 0o600); err != nil {
		return err
	}
	command := func(name string, args ...string) once {
		return func(ctx context.Context) (float64, error) {
			return took(func() error { return exec.CommandContext(ctx, name, args...).Run() })
		}
	}
	ours, theirs, _, err := b.sample(ctx, command(filepath.Join(bin, "relevo"), "run", file), command("sh", "-c", "sh -c 'echo one'; sh -c 'echo two'"))
	if err != nil {
		return err
	}
	var more []float64
	for i := range ours {
		more = append(more, ours[i]-theirs[i])
	}
	fmt.Printf("    relevo run %s\n    sh -c      %s\n    more       %s (goal 60 ms)\n", spread(ours, "s"), spread(theirs, "s"), spread(more, "s"))
	return nil
}

// deliveries is P8: CPU time of this process, a delivery.
func deliveries(ctx context.Context, b *bench) error {
	const n = 20000
	payload := []byte(`{"run":"01J00000000000000000000000","job":"build"}`)
	broker := bus.New(bus.Options{Memory: 1 << 40})
	if err := broker.Subscribe(fn.Function{Name: "f", On: "t", Handle: func(context.Context, events.Envelope) ([]events.Envelope, error) { return nil, nil }}); err != nil {
		return err
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	ours := cpu(n, func() error {
		for i := range n {
			e := events.Envelope{ID: strconv.Itoa(i), Source: "/relevo/bench", Type: "t", Subject: "run/x/job/" + strconv.Itoa(i%64), Data: payload}
			if err := broker.Publish(ctx, e); err != nil {
				return err
			}
		}
		return broker.Idle(ctx)
	})
	theirs := cpu(n, func() error {
		for range n {
			resp, err := http.Post(srv.URL, "application/json", strings.NewReader(string(payload)))
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return nil
	})
	return b.compare(ctx, "µs CPU", "a delivery on the bus", "a loopback POST", ours, theirs)
}

func cpu(n int, f func() error) once {
	return func(context.Context) (float64, error) {
		var before, after syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
			return 0, err
		}
		if err := f(); err != nil {
			return 0, err
		}
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			return 0, err
		}
		spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
		return float64(spent.Microseconds()) / float64(n), nil
	}
}

// hostStart is P9.
func hostStart(ctx context.Context, b *bench) error {
	bin, err := b.binaries(ctx)
	if err != nil {
		return err
	}
	srv, err := b.redis(ctx, "p9", server.FsyncEverySecond)
	if err != nil {
		return err
	}
	ours := func(ctx context.Context) (float64, error) {
		return ready(ctx, "/healthz", func(addr string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, filepath.Join(bin, "relevo-host"))
			cmd.Env = append(os.Environ(), "LISTEN_ADDRESS="+addr, "FUNCTION=job-requested", "RELEVO_REDIS_URL="+srv.URL())
			return cmd
		})
	}
	theirs := func(ctx context.Context) (float64, error) {
		return ready(ctx, "/", func(addr string) *exec.Cmd { return exec.CommandContext(ctx, filepath.Join(bin, "empty"), addr) })
	}
	return b.compare(ctx, "s", "relevo-host, exec to ready", "empty net/http, exec to ready", ours, theirs)
}

// ready starts a program and asks it until it answers.
func ready(ctx context.Context, path string, program func(addr string) *exec.Cmd) (float64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return 0, err
	}
	cmd := program(addr)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for time.Since(began) < 10*time.Second && ctx.Err() == nil {
		resp, err := http.Get("http://" + addr + path)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 300 {
				return time.Since(began).Seconds(), nil
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
	return 0, fmt.Errorf("%s was not ready", cmd.Path)
}
