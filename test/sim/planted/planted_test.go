package main

import (
	"strings"
	"testing"
)

// The table follows the source: every row says a text that stands there once.
func TestEveryBugCanBePlanted(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := &battery{root: root}
	seen := map[string]bool{}
	for _, bug := range Bugs() {
		if seen[bug.Name] || bug.Breaks == "" || len(bug.Edits) == 0 {
			t.Errorf("row %q: its name is there twice, or it lacks something", bug.Name)
		}
		seen[bug.Name] = true
		if _, err := b.apply(bug); err != nil {
			t.Error(err)
		}
	}
}

// A handful of the table, one of a kind; make planted plays all of it.
func TestPlantedBugsAreCaught(t *testing.T) {
	b, err := newBattery(t.Context(), 400)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	handful := []string{"holds-any-attempt", "two-workers-let-in", "puts-unchecked", "held-not-counted"}
	var bugs []Bug
	for _, bug := range Bugs() {
		for _, name := range handful {
			if bug.Name == name {
				bugs = append(bugs, bug)
			}
		}
	}
	if len(bugs) != len(handful) {
		t.Fatalf("%d of %d bugs are in the table", len(bugs), len(handful))
	}
	var table strings.Builder
	if err := Print(&table, b.plantAll(t.Context(), bugs, 2, func(Result) {})); err != nil {
		t.Errorf("%v\n%s", err, table.String())
	}
}
