package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// once takes one reading: seconds, CPU-seconds, or whatever both sides share.
type once func(ctx context.Context) (float64, error)

// sample takes readings of a and of b in turn, A-B-B-A, and of b against b.
func (b *bench) sample(ctx context.Context, a, ref once) (ours, theirs, control []float64, err error) {
	take := func(f once, into *[]float64) {
		if err != nil {
			return
		}
		var v float64
		if v, err = f(ctx); err == nil {
			*into = append(*into, v)
		}
	}
	var warm []float64
	take(a, &warm)
	take(ref, &warm)
	for range b.pairs {
		take(a, &ours)
		take(ref, &theirs)
		take(ref, &control)
		if i := len(ours); i < b.pairs {
			take(ref, &theirs)
			take(a, &ours)
			take(ref, &control)
		}
		if len(ours) >= b.pairs {
			break
		}
	}
	return ours, theirs, control, err
}

// compare prints the ratio of a to ref, pair by pair, with its control.
func (b *bench) compare(ctx context.Context, unit, what, reference string, a, ref once) error {
	ours, theirs, control, err := b.sample(ctx, a, ref)
	if err != nil {
		return err
	}
	fmt.Printf("    %-34s %s\n    %-34s %s\n", what, spread(ours, unit), reference, spread(theirs, unit))
	fmt.Printf("    ratio %s   control %s\n", interval(ratios(ours, theirs)), interval(ratios(control, theirs)))
	return nil
}

func ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		out = append(out, a[i]/b[i])
	}
	return out
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// interval is the median and where 95 of 100 medians of resamples lie.
func interval(v []float64) string {
	r := rand.New(rand.NewPCG(1, 2))
	var medians []float64
	for range 1000 {
		resample := make([]float64, len(v))
		for i := range resample {
			resample[i] = v[r.IntN(len(v))]
		}
		medians = append(medians, median(resample))
	}
	slices.Sort(medians)
	return fmt.Sprintf("%.2f [%.2f, %.2f]", median(v), medians[25], medians[974])
}

func spread(v []float64, unit string) string {
	s := slices.Sorted(slices.Values(v))
	return fmt.Sprintf("%s (%s to %s)", amount(median(v), unit), amount(s[0], unit), amount(s[len(s)-1], unit))
}

func amount(v float64, unit string) string {
	if unit == "s" {
		return time.Duration(v * float64(time.Second)).Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%.4g %s", v, unit)
}

// pressure is the share of the last ten seconds in which something waited for
// a CPU.
func pressure() string {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return "unknown"
	}
	for f := range strings.FieldsSeq(string(text)) {
		if v, ok := strings.CutPrefix(f, "avg10="); ok {
			return v + " %"
		}
	}
	return "unknown"
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown kernel"
	}
	return "Linux " + strings.TrimSpace(string(text))
}
