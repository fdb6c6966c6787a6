package docker

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"

	"github.com/relevo-ci/relevo/providers/conformance"
)

// imageWith makes an image of the test image with another configuration.
func imageWith(t testing.TB, config container.Config) string {
	t.Helper()
	cli := daemon(t)
	config.Image = testImage
	made, err := cli.ContainerCreate(t.Context(), &config, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	name := "relevo-test/" + strings.ToLower(rand.Text())
	_, err = cli.ContainerCommit(t.Context(), made.ID, container.CommitOptions{Reference: name, Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{RemoveVolumes: true}); err != nil {
		t.Fatal(err)
	}
	removeImage(t, name)
	return name
}

// removeImage removes an image at the test's end, if it is there. The workers
// are to be made later, so that they are removed before.
func removeImage(t testing.TB, name string) {
	cli := daemon(t)
	t.Cleanup(func() {
		if _, err := cli.ImageRemove(context.WithoutCancel(t.Context()), name, image.RemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// TestUserOfTheImage runs as whom the image says, who alone can read the
// launch, and can write beside it and into the workspace.
func TestUserOfTheImage(t *testing.T) {
	agent := conformance.StandIn(t)
	for _, c := range []struct{ user, uid, state string }{
		{"nobody", "65534", t.TempDir()},
		{"nobody", "65534", ""},
		{"1234:5678", "1234", ""},
		{"0:0", "0", t.TempDir()},
	} {
		name := imageWith(t, container.Config{User: c.user})
		p := secured(t, Config{Agent: agent, Image: name, State: c.state})
		l := conformance.Launch(1, "show", "inspect", "write made")
		st := create(t, p, l)
		if text := prints(t, p, l, "ready"); !strings.Contains(text, "mode 600\n") {
			t.Errorf("user %s: the agent prints %s", c.user, text)
		}
		if got := inside(t, p, st.Handle, "cat", "/workspace/made"); got != "written by "+c.uid {
			t.Errorf("user %s: the workspace holds %q", c.user, got)
		}
	}
	t.Run("unknown", func(t *testing.T) {
		name := imageWith(t, container.Config{User: "stranger"})
		p := secured(t, Config{Agent: agent, Image: name})
		if _, err := p.Create(t.Context(), conformance.Launch(1)); err == nil || !strings.Contains(err.Error(), "stranger") {
			t.Errorf("Create gave %v", err)
		}
	})
}

// TestTheImagesProgramIsNotRun has an image that is made to be run otherwise.
func TestTheImagesProgramIsNotRun(t *testing.T) {
	name := imageWith(t, container.Config{
		Entrypoint: []string{"/bin/false"}, Cmd: []string{"x"}, WorkingDir: "/nowhere", StopSignal: "SIGUSR1",
		Healthcheck: &container.HealthConfig{Test: []string{"CMD", "false"}, Interval: 1e9},
		Volumes:     map[string]struct{}{"/data": {}}, Env: []string{"OF=image"},
	})
	p := secured(t, Config{Agent: conformance.StandIn(t), Image: name, State: t.TempDir()})
	changes := told(t, p)
	l := conformance.Launch(1, "env", "polite 7")
	st := create(t, p, l)
	if text := prints(t, p, l, "ready"); !strings.Contains(text, "OF=image") {
		t.Errorf("the image's environment is lost: %s", text)
	}
	c, err := p.cli.ContainerInspect(t.Context(), st.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if c.State.Health != nil {
		t.Errorf("the image's health check runs: %+v", c.State.Health)
	}
	data := ""
	for _, m := range c.Mounts {
		if m.Destination == "/data" {
			data = m.Name
		}
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Fatal(err)
	}
	if c := <-changes; c.Exit != 7 {
		t.Errorf("Watch told %+v, want the exit 7 of an agent that got SIGTERM", c)
	}
	volumes, err := p.cli.VolumeList(t.Context(), volume.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Volumes {
		if data == "" || v.Name == data {
			t.Errorf("the volume %q is left", data)
		}
	}
}
