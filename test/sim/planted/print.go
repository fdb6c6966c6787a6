package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes the table of results. Its error counts the bugs that nobody
// caught or that could not be planted.
func Print(out io.Writer, results []Result) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tcaught by\tseeds\twhat it takes away")
	bad := 0
	for _, r := range results {
		by := r.Property()
		if r.Err != nil {
			by = "NOT PLANTED"
		} else if r.Seed == 0 {
			by = "NOBODY"
		}
		if r.Err != nil || r.Seed == 0 {
			bad++
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", r.Bug.Name, by, r.Played, r.Bug.Breaks)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			fmt.Fprintln(out, r.Err)
		}
	}
	fmt.Fprintf(out, "%d bugs planted, %d caught\n", len(results), len(results)-bad)
	if bad > 0 {
		return fmt.Errorf("%d bugs were not caught", bad)
	}
	return nil
}
