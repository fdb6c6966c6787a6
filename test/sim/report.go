package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

func (o *Outcome) add(p Outcome) {
	o.Events += p.Events
	o.Runs += p.Runs
	o.Elapsed += p.Elapsed
	for k, n := range p.Counts {
		o.Counts[k] += n
	}
}

func (o *Outcome) print(out io.Writer, seeds uint64, took time.Duration) {
	fmt.Fprintf(out, "%d seeds: %d runs, %d deliveries, %s of simulated time in %s\n",
		seeds, o.Runs, o.Events, o.Elapsed.Round(time.Hour), took.Round(100*time.Millisecond))
	for _, k := range slices.Sorted(maps.Keys(o.Counts)) {
		fmt.Fprintf(out, "  %9d  %s\n", o.Counts[k], k)
	}
}
