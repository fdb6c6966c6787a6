package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/registry"

	"github.com/relevo-ci/relevo/providers/conformance"
	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/provider"
)

// wanting is a launch in an image that has to be pulled.
func wanting(n int, image string) execution.Launch {
	l := conformance.Launch(n)
	l.Image = image
	return l
}

// prepares creates and wants the worker to wait for its image.
func prepares(t testing.TB, p *Provider, l execution.Launch) {
	t.Helper()
	st := create(t, p, l)
	if !strings.Contains(st.Preparing, "pulling image "+l.Image) || st.Running || st.AttemptRef != l.AttemptRef || st.Placement.Worker != l.Worker {
		t.Fatalf("Create gave %+v, want it to wait for %s", st, l.Image)
	}
}

func TestPull(t *testing.T) {
	h := newHub(t, "")
	p := secured(t, Config{Agent: conformance.StandIn(t), State: t.TempDir()})
	l, other := wanting(1, h.address+"/small:1"), wanting(2, h.address+"/small:1")
	prepares(t, p, l)
	prepares(t, p, l)
	prepares(t, p, other)
	<-h.asked
	if all, err := p.List(t.Context()); err != nil || len(all) != 2 || all[0].Preparing == "" || all[0].Running {
		t.Errorf("List gives %+v, %v: want two that wait", all, err)
	}
	close(h.gate)
	runs(t, p, l)
	runs(t, p, other)
	if st := create(t, p, l); !st.Running || st.Preparing != "" {
		t.Errorf("Create gave %+v, want it to run", st)
	}
	if len(h.asked) > 0 {
		t.Error("it was pulled twice")
	}
}

// runs waits until a worker that waited for its image runs.
func runs(t testing.TB, p *Provider, l execution.Launch) {
	t.Helper()
	eventually(t, "the worker runs", func() bool {
		all, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range all {
			if st.Placement.Worker == l.Worker && st.Running {
				return true
			}
		}
		return false
	})
}

// TestPullGoesOnAfterARestart ends a control plane while it pulls.
func TestPullGoesOnAfterARestart(t *testing.T) {
	h := newHub(t, "")
	p := secured(t, Config{Agent: conformance.StandIn(t)})
	l := wanting(1, h.address+"/small:1")
	before := open(t, p.cfg)
	prepares(t, before, l)
	<-h.asked
	before.Close()
	prepares(t, p, l)
	close(h.gate)
	runs(t, p, l)
}

func TestTerminateDuringThePull(t *testing.T) {
	h := newHub(t, "")
	p := secured(t, Config{Agent: conformance.StandIn(t)})
	l, stays := wanting(1, h.address+"/small:1"), wanting(2, h.address+"/small:1")
	prepares(t, p, l)
	prepares(t, p, stays)
	<-h.asked
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Fatal(err)
	}
	close(h.gate)
	runs(t, p, stays)
	if all, err := p.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("List gives %+v, %v: want the other worker alone", all, err)
	}

	alone := wanting(3, h.address+"/slow:1")
	prepares(t, p, alone)
	if err := p.Terminate(t.Context(), alone.Worker, alone.Fence); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pulls) > 0 || len(p.waiting) > 0 {
		t.Errorf("a pull goes on that nobody waits for: %v, %v", p.pulls, p.waiting)
	}
}

func TestCredentials(t *testing.T) {
	const password = "hush"
	h := newHub(t, password)
	close(h.gate)
	agent := conformance.StandIn(t)
	without := secured(t, Config{Agent: agent})
	changes := told(t, without)
	l := wanting(1, h.address+"/small:1")
	prepares(t, without, l)
	if c := <-changes; c.Failed == nil || !c.Failed.Permanent || !strings.Contains(c.Failed.Reason, "credentials") {
		t.Errorf("Watch told %+v, want a permanent failure that speaks of credentials", c)
	}
	with := secured(t, Config{
		Agent: agent,
		Credentials: func(_ context.Context, image string) (registry.AuthConfig, error) {
			if !strings.HasPrefix(image, h.address) {
				return registry.AuthConfig{}, errors.New("another registry")
			}
			return registry.AuthConfig{Username: "me", Password: password}, nil
		},
	})
	prepares(t, with, l)
	runs(t, with, l)
}

func TestPullFails(t *testing.T) {
	h := newHub(t, "")
	p := secured(t, Config{Agent: conformance.StandIn(t)})
	changes := told(t, p)
	for n, want := range []struct {
		image     string
		permanent bool
	}{
		{h.address + "/small/none:1", true}, // the registry knows none
		{"localhost:1/none", false},         // nobody answers
	} {
		l := wanting(n+1, want.image)
		prepares(t, p, l)
		c := <-changes
		failure := c.Failed
		if failure == nil || c.AttemptRef != l.AttemptRef || c.Placement.Worker != l.Worker {
			t.Fatalf("Watch told %+v, want a failure", c)
		}
		if failure.Permanent != want.permanent || !strings.Contains(failure.Reason, want.image) || !strings.Contains(failure.Reason, "docker pull") {
			t.Errorf("image %s: got %+v", want.image, failure)
		}
	}
	if all, err := p.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("List gives %+v, %v after the failures", all, err)
	}
}

// TestPullFailsUnwatched has the next Create say what nobody was told.
func TestPullFailsUnwatched(t *testing.T) {
	p := secured(t, Config{Agent: conformance.StandIn(t)})
	l := wanting(1, "localhost:1/none")
	prepares(t, p, l)
	var failure *provider.Failure
	eventually(t, "Create says that the image did not come", func() bool {
		_, err := p.Create(t.Context(), l)
		return errors.As(err, &failure)
	})
	// Then it is tried again, and a watcher that comes late is told.
	prepares(t, p, l)
	eventually(t, "the pull ends", func() bool {
		all, err := p.List(t.Context())
		return err == nil && len(all) == 0
	})
	if c := <-told(t, p); c.Failed == nil || c.AttemptRef != l.AttemptRef {
		t.Errorf("Watch told %+v, want the failure", c)
	}
	if err := p.Terminate(t.Context(), l.Worker, l.Fence); err != nil {
		t.Error(err)
	}
}

func TestImagesThatCannotBe(t *testing.T) {
	p := open(t, Config{Installation: t.Name(), Agent: conformance.StandIn(t)})
	for _, image := range []string{"", "UPPER/case", "a b", "a:b:c", "../x"} {
		_, err := p.Create(t.Context(), wanting(1, image))
		var failure *provider.Failure
		if !errors.As(err, &failure) || !failure.Permanent {
			t.Errorf("image %q: Create gave %v, want a permanent failure", image, err)
		}
	}
}

func TestFollow(t *testing.T) {
	var have, all int64
	err := follow(strings.NewReader(`{"status":"Pulling from small","id":"1"}
		{"status":"Downloading","id":"a","progressDetail":{"current":10,"total":100}}
		{"status":"Downloading","id":"b","progressDetail":{"current":1,"total":50}}
		{"status":"Downloading","id":"a","progressDetail":{"current":60,"total":100}}
		{"status":"Download complete","id":"b","progressDetail":{}}
		{"status":"Status: Downloaded"}`), func(h, a int64) { have, all = h, a })
	if err != nil || have != 110 || all != 150 {
		t.Errorf("got %d of %d, %v; want 110 of 150", have, all, err)
	}
	err = follow(strings.NewReader(`{"status":"x"}{"errorDetail":{"message":"no"},"error":"no"}{"status":"y"}`), func(int64, int64) {})
	if err == nil || err.Error() != "no" {
		t.Errorf("got %v, want the daemon's error", err)
	}
	if err := follow(strings.NewReader(`{"status":`), func(int64, int64) {}); err == nil {
		t.Error("a pull that was cut off passes for complete")
	}
}

func FuzzFollow(f *testing.F) {
	f.Add([]byte(`{"status":"Downloading","id":"a","progressDetail":{"current":10,"total":100}}{"error":"no"}`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		err := follow(bytes.NewReader(stream), func(int64, int64) {})
		var first line
		if json.NewDecoder(bytes.NewReader(stream)).Decode(&first) == nil && first.Error != "" && err == nil {
			t.Errorf("%q: the daemon's error is lost", stream)
		}
	})
}
