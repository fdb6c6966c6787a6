package docker

import (
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/relevo-ci/relevo/providers/conformance"
)

// BenchmarkCreate measures Create beside Docker's own create and start of the
// same image. All take turns, so that they see the same machine; it reports
// the median of each in milliseconds.
func BenchmarkCreate(b *testing.B) {
	agent := conformance.StandIn(b)
	mounted := secured(b, Config{Agent: agent, State: b.TempDir()})
	copied := secured(b, Config{Agent: agent})
	bridged := secured(b, Config{Agent: agent, State: b.TempDir(), Network: "bridge"})
	ways := []struct {
		unit string
		run  func(n int) time.Duration
	}{
		{"raw-ms", func(int) time.Duration { return raw(b, mounted, "bridge") }},
		{"raw-own-network-ms", func(int) time.Duration { return raw(b, mounted, container.NetworkMode(mounted.cfg.Network)) }},
		{"bridge-ms", func(n int) time.Duration { return created(b, bridged, n) }},
		{"mounted-ms", func(n int) time.Duration { return created(b, mounted, n) }},
		{"copied-ms", func(n int) time.Duration { return created(b, copied, n) }},
	}
	took := make([][]time.Duration, len(ways))
	for n := 0; b.Loop(); n++ {
		for i := range ways {
			way := (n + i) % len(ways)
			took[way] = append(took[way], ways[way].run(n+1))
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, way := range ways {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, way.unit)
	}
}

// raw is what Docker needs.
func raw(b *testing.B, p *Provider, network container.NetworkMode) time.Duration {
	b.Helper()
	before := time.Now()
	made, err := p.cli.ContainerCreate(b.Context(), &container.Config{Image: testImage, Cmd: []string{"sleep", "1000"}},
		&container.HostConfig{NetworkMode: network}, nil, nil, "")
	if err != nil {
		b.Fatal(err)
	}
	if err := p.cli.ContainerStart(b.Context(), made.ID, container.StartOptions{}); err != nil {
		b.Fatal(err)
	}
	took := time.Since(before)
	if err := p.cli.ContainerRemove(b.Context(), made.ID, container.RemoveOptions{Force: true}); err != nil {
		b.Fatal(err)
	}
	return took
}

// created is what Create needs.
func created(b *testing.B, p *Provider, n int) time.Duration {
	b.Helper()
	l := conformance.Launch(n)
	before := time.Now()
	if _, err := p.Create(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	took := time.Since(before)
	if err := p.Terminate(b.Context(), l.Worker, l.Fence); err != nil {
		b.Fatal(err)
	}
	return took
}
