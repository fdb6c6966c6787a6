// Command bench prints our measures as ratios taken in one run:
// ours and a reference in turn, A-B-B-A, with the reference against itself as
// a control. It asserts nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
)

// measure is one row of the table.
type measure struct {
	name, title string
	run         func(ctx context.Context, b *bench) error
}

var measures = []measure{
	{"P1", "trigger accepted to first log line, Docker, image present, against raw create and start", firstLine},
	{"P2", "relevo run of two echo steps, against sh -c of the same", runCommand},
	{"P3", "no-op pipelines through every function, fake provider", pipelines},
	{"P4", "assignments, against plain SET, per Redis CPU-second", assignments},
	{"P7", "job life cycles, against asynq tasks, same Redis", lifeCycles},
	{"P8", "CPU of a delivered event, against a loopback POST", deliveries},
	{"P9", "exec to ready of the function host, against an empty net/http program", hostStart},
	{"P12", "server-sent events to 1,000 subscribers, against raw writes of the same bytes, per CPU-second of the side that writes", streams},
	{"P13", "queries of lists and of a run through the API, against the same among 10,000 jobs", queries},
	{"P14", "store commits a job, relay and ledger included, heartbeats apart", commits},
}

func main() {
	only := flag.String("only", "", "measures to take, e.g. P2,P9; empty: all")
	pairs := flag.Int("pairs", 15, "pairs of runs a ratio is taken from")
	sizes := flag.String("jobs", "10000,100000,1000000", "how many jobs P13 is taken among; the first is the reference")
	address := flag.String("subscribe", "", "for P12's own use: where its subscribers connect to")
	request := flag.String("request", "", "for P12's own use: what they ask for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *address != "" {
		if err := readMany(ctx, *address, *request); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	b := &bench{pairs: *pairs, sizes: *sizes}
	defer b.close()
	fmt.Printf("%d cores, %s, %s; %d pairs a ratio, median with a 95 %% bootstrap interval\n",
		runtime.NumCPU(), runtime.Version(), kernel(), b.pairs)
	code := 0
	for _, m := range measures {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.name) {
			continue
		}
		fmt.Printf("\n%s  %s\n", m.name, m.title)
		before := pressure()
		if err := m.run(ctx, b); err != nil {
			fmt.Printf("    not measured: %v\n", err)
			code = 1
		}
		fmt.Printf("    cpu pressure %s before, %s after (avg10, some)\n", before, pressure())
	}
	if code != 0 {
		b.close()
		os.Exit(code)
	}
}
