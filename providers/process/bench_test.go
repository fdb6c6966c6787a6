package process

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/relevo-ci/relevo/providers/conformance"
)

// BenchmarkCreate measures Create and Terminate beside the bare start of the
// same program, in turns; it reports the median of each in milliseconds.
func BenchmarkCreate(b *testing.B) {
	agent := conformance.StandIn(b)
	p := open(b, Config{Agent: agent, State: b.TempDir()})
	var raw, created, terminated []time.Duration
	for n := 1; b.Loop(); n++ {
		before := time.Now()
		cmd := exec.CommandContext(b.Context(), agent, "child", "mark", "plain")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		raw = append(raw, time.Since(before))
		if err := cmd.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = cmd.Wait() // killed
		l := conformance.Launch(n)
		before = time.Now()
		if _, err := p.Create(b.Context(), l); err != nil {
			b.Fatal(err)
		}
		created = append(created, time.Since(before))
		before = time.Now()
		if err := p.Terminate(b.Context(), l.Worker, l.Fence); err != nil {
			b.Fatal(err)
		}
		terminated = append(terminated, time.Since(before))
	}
	b.ReportMetric(0, "ns/op")
	for unit, took := range map[string][]time.Duration{"raw-ms": raw, "create-ms": created, "terminate-ms": terminated} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, unit)
	}
}
