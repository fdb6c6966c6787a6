// Command planted tries the simulator itself: it plants bugs in the production
// functions, one at a time, and plays seeds until a property breaks. A bug that
// nothing catches fails the battery: either the simulator does not provoke it,
// or the auditor does not look.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
)

func main() {
	seeds := flag.Uint64("seeds", 6000, "how many seeds a bug may survive")
	only := flag.String("bugs", "", "plant the bugs whose names match this")
	side := flag.Int("j", runtime.GOMAXPROCS(0), "how many bugs side by side")
	verbose := flag.Bool("v", false, "print what broke, and as it breaks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *seeds, *only, *side, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, seeds uint64, only string, side int, verbose bool) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	b, err := newBattery(ctx, seeds)
	if err != nil {
		return err
	}
	defer func() { _ = b.close() }()
	var bugs []Bug
	for _, bug := range Bugs() {
		if match.MatchString(bug.Name) {
			bugs = append(bugs, bug)
		}
	}
	tell := func(Result) {}
	if verbose {
		tell = func(r Result) { fmt.Printf("%s: seed %d: %s %v\n", r.Bug.Name, r.Seed, r.Fault, r.Err) }
	}
	return Print(os.Stdout, b.plantAll(ctx, bugs, side, tell))
}
