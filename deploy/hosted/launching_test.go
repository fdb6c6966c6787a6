package hosted_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/deploy/hosted"
	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/providers/fake"
	"github.com/relevo-ci/relevo/shared/provider"
	store "github.com/relevo-ci/relevo/shared/redis"
	"github.com/relevo-ci/relevo/shared/state"
)

// cluster is a provider that knows its capacity and counts what it is asked.
type cluster struct {
	provider.Provider
	capacity events.Resources
	unsafe   error
	asked    []string
}

func (c *cluster) Secure(context.Context) error {
	c.asked = append(c.asked, "secure")
	return c.unsafe
}

func (c *cluster) Capacity(context.Context) (events.Resources, error) {
	c.asked = append(c.asked, "capacity")
	if c.capacity.Slots == 0 {
		return c.capacity, errors.New("no quota")
	}
	return c.capacity, nil
}

// open starts a service with the provider at hand, and ends it.
func (c *cluster) open(t *testing.T, url, service string) error {
	t.Helper()
	s, err := hosted.Open(t.Context(), settings(t, "RELEVO_REDIS_URL="+url, "RELEVO_WORKER_KEY=key", "K_SERVICE="+service), hosted.Options{
		Labels: []string{"linux"},
		Launching: func(installation string) (provider.Provider, error) {
			c.asked = append(c.asked, "open")
			if installation == "" {
				t.Error("the provider does not learn whose workers it makes")
			}
			return c, nil
		},
	})
	if err != nil {
		return err
	}
	return s.Close()
}

// TestOpensTheProviderWhereItIsNeeded: the other functions neither wait for it
// nor need its rights.
func TestOpensTheProviderWhereItIsNeeded(t *testing.T) {
	url := redis(t).URL()
	for service, want := range map[string][]string{
		"offer-created":      nil,
		"worker":             nil,
		"job-failed":         {"open"},
		"assignment-created": {"open", "secure"},
		"clock-ticked":       {"open", "capacity"},
	} {
		c := &cluster{Provider: fake.New(), capacity: events.Resources{Slots: 1}}
		if err := c.open(t, url, service); err != nil || !slices.Equal(c.asked, want) {
			t.Errorf("%s: asked for %q, want %q (%v)", service, c.asked, want, err)
		}
	}
	unsafe := &cluster{Provider: fake.New(), unsafe: errors.New("no network policy")}
	if err := unsafe.open(t, url, "assignment-created"); !errors.Is(err, unsafe.unsafe) {
		t.Errorf("it launches without isolation: %v", err)
	}
}

// TestTheClockDeclaresTheCapacity holds that the node is known after the clock
// woke, again when it changes, and that nothing is written otherwise.
func TestTheClockDeclaresTheCapacity(t *testing.T) {
	url := redis(t).URL()
	look := func() (events.Resources, time.Time) {
		s, err := store.Open(t.Context(), url, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		pool, _, err := (&state.Pools{Committer: &state.Committer{Store: s}}).Look(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		node := pool.Nodes["fake"]
		return node.Capacity, node.Since
	}
	tick := func(capacity events.Resources) {
		t.Helper()
		c := &cluster{Provider: fake.New(), capacity: capacity}
		if err := c.open(t, url, "clock-ticked"); err != nil {
			t.Fatal(err)
		}
	}
	tick(events.Resources{})
	if got, since := look(); !since.IsZero() {
		t.Fatalf("a node of unknown capacity is declared: %+v", got)
	}
	tick(events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 2})
	got, first := look()
	if got.Slots != 2 {
		t.Fatalf("declared %+v", got)
	}
	tick(events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 2})
	if _, again := look(); !again.Equal(first) {
		t.Error("what did not change is declared again")
	}
	tick(events.Resources{CPU: 1000, Memory: 1 << 30, Slots: 3})
	if got, _ := look(); got.Slots != 3 {
		t.Errorf("the change is not declared: %+v", got)
	}
}

// TestStrangersHaveAPoolWhereTheyHaveAProvider: it is declared with it, and
// withdrawn without.
func TestStrangersHaveAPoolWhereTheyHaveAProvider(t *testing.T) {
	url := redis(t).URL()
	start := func(apart bool) (asked []string) {
		t.Helper()
		own := &cluster{Provider: fake.New(), capacity: events.Resources{Slots: 2}}
		strangers := &cluster{Provider: named{fake.New()}, capacity: events.Resources{Slots: 1}}
		o := hosted.Options{Launching: func(string) (provider.Provider, error) { return own, nil }}
		if apart {
			o.Untrusted = func(string) (provider.Provider, error) { return strangers, nil }
		}
		for _, service := range []string{"assignment-created", "clock-ticked"} {
			s, err := hosted.Open(t.Context(), settings(t, "RELEVO_REDIS_URL="+url, "RELEVO_WORKER_KEY=key", "K_SERVICE="+service), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return strangers.asked
	}
	look := func(pool events.PoolID) map[events.NodeID]bool {
		t.Helper()
		s, err := store.Open(t.Context(), url, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p, _, err := (&state.Pools{Committer: &state.Committer{Store: s}}).Look(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		there := map[events.NodeID]bool{}
		for _, n := range p.Nodes {
			there[n.Node] = !n.Gone
		}
		return there
	}
	start(false)
	if got := look("default-untrusted"); len(got) != 0 {
		t.Errorf("strangers have %v though nobody said so", got)
	}
	if asked := start(true); !slices.Equal(asked, []string{"secure", "capacity"}) {
		t.Errorf("their provider is asked for %q", asked)
	}
	if got := look("default-untrusted"); len(got) != 1 || !got["apart"] {
		t.Errorf("strangers have %v", got)
	}
	start(false)
	if got := look("default-untrusted"); got["apart"] {
		t.Error("strangers' node outlives its setting")
	}
	if got := look("default"); len(got) != 1 || !got["fake"] {
		t.Errorf("the others have %v", got)
	}
}

// named is a provider by another name.
type named struct{ provider.Provider }

func (named) Name() string { return "apart" }
