// Command sim plays the production functions on a seeded broker, with faked
// time and a fake provider, and holds the invariants after every event.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	seeds := flag.Uint64("seeds", 20000, "how many seeds to play, each twice")
	first := flag.Uint64("first", 1, "the first seed")
	verbose := flag.Bool("v", false, "print what happens (with -seeds 1)")
	stop := flag.Bool("stop", true, "stop at the first fault")
	once := flag.Bool("once", false, "play each seed once")
	strict := flag.Bool("strict", false, "provoke also what the functions are known not to hold")
	redisURL := flag.String("redis", "", "play each seed the second time in the empty Redis at this URL")
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // faults are what is meant to happen
	debug.SetGCPercent(400)
	b := Battery{First: *first, Seeds: *seeds, Once: *once, Stop: *stop, Change: func(f *Faults) {
		f.Verbose, f.Strict = *verbose, *strict
	}}
	if *redisURL == "" {
		os.Exit(b.Run(os.Stdout))
	}
	b, closing, err := onRedis(context.Background(), *redisURL, b)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	status := b.Run(os.Stdout)
	if err := closing(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 2
	}
	os.Exit(status)
}

// Battery is a number of seeds to be played.
type Battery struct {
	First, Seeds uint64
	Once         bool // else each seed twice, and alike
	Stop         bool // at the first fault
	Change       func(f *Faults)
	Side         int // seeds side by side; 0: one per processor
	// Again opens the store that a seed is played in the second time; nil: in
	// memory too.
	Again func(clock func() time.Time) backing
}

// Run plays the seeds on all cores and prints the faults by kind. It gives the
// exit status.
func (b Battery) Run(out io.Writer) int {
	began := time.Now()
	var next, failed atomic.Uint64
	var mu sync.Mutex
	total := Outcome{Counts: map[string]int{}}
	var wg sync.WaitGroup
	for range cmp.Or(b.Side, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for !b.Stop || failed.Load() == 0 {
				i := next.Add(1) - 1
				if i >= b.Seeds {
					return
				}
				o := b.play(b.First + i)
				mu.Lock()
				total.add(o)
				if o.Fault != "" {
					failed.Add(1)
					fmt.Fprintf(out, "seed %d: %s\n", b.First+i, o.Fault)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total.print(out, min(next.Load(), b.Seeds), time.Since(began))
	if n := failed.Load(); n > 0 {
		fmt.Fprintf(out, "%d seeds FAILED\n", n)
		return 1
	}
	return 0
}

func (b Battery) play(seed uint64) Outcome {
	f := Draw(seed)
	if b.Change != nil {
		b.Change(&f)
	}
	o := Play(seed, f, memoryBacking)
	if b.Once || o.Fault != "" {
		return o
	}
	f.Verbose = false
	open := memoryBacking
	if b.Again != nil {
		open = b.Again
	}
	if again := Play(seed, f, open); again.Trace != o.Trace {
		o.Fault = "the seed played differently the second time: " + again.Fault
	}
	return o
}
