// Command sim plays the production functions on a seeded broker, with faked
// time and a fake provider, and holds the invariants after every event.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	seeds := flag.Uint64("seeds", 2000, "how many seeds to play, each twice")
	first := flag.Uint64("first", 1, "the first seed")
	verbose := flag.Bool("v", false, "print what happens (with -seeds 1)")
	stop := flag.Bool("stop", true, "stop at the first fault")
	flag.Parse()
	os.Exit(battery(*first, *seeds, *verbose, *stop))
}

// battery plays seeds on all cores and prints the faults by kind.
func battery(first, seeds uint64, verbose, stop bool) int {
	began := time.Now()
	var next, failed atomic.Uint64
	var mu sync.Mutex
	total := Outcome{Counts: map[string]int{}}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= seeds || (stop && failed.Load() > 0) {
					return
				}
				o := playTwice(first+i, verbose)
				mu.Lock()
				total.add(o)
				if o.Fault != "" {
					failed.Add(1)
					fmt.Printf("seed %d: %s\n", first+i, o.Fault)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total.print(min(next.Load(), seeds), time.Since(began))
	if failed.Load() > 0 {
		fmt.Printf("%d seeds FAILED\n", failed.Load())
		return 1
	}
	return 0
}

func playTwice(seed uint64, verbose bool) Outcome {
	f := Draw(seed)
	f.Verbose = verbose
	o := Play(seed, f, memoryBacking)
	f.Verbose = false
	if again := Play(seed, f, memoryBacking); o.Fault == "" && again.Trace != o.Trace {
		o.Fault = "the seed played differently the second time"
	}
	return o
}
