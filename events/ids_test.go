package events_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/relevo-ci/relevo/events"
)

func TestParseFence(t *testing.T) {
	for _, c := range []struct {
		text string
		want events.Fence
		ok   bool
	}{
		{"", events.Fence{}, true},
		{"1.3", events.Fence{Epoch: 1, Counter: 3}, true},
		{"0.1", events.Fence{Counter: 1}, true},
		{"1.0", events.Fence{Epoch: 1}, true},
		{"4294967295.4294967295", events.Fence{Epoch: math.MaxUint32, Counter: math.MaxUint32}, true},
		{text: "0.0"}, // the zero fence has one form, the empty one
		{text: "01.3"},
		{text: "1.03"},
		{text: "+1.3"},
		{text: "-1.3"},
		{text: "1"},
		{text: "1."},
		{text: ".1"},
		{text: "."},
		{text: "1.2.3"},
		{text: "1.3 "},
		{text: "1_0.3"},
		{text: "4294967296.1"},
		{text: "1.4294967296"},
		{text: "0x1.3"},
		{text: "1,3"},
	} {
		got, err := events.ParseFence(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseFence(%q) = %+v, %v", c.text, got, err)
		}
		if err != nil && !errors.Is(err, events.ErrInvalid) {
			t.Errorf("ParseFence(%q): %v is no ErrInvalid", c.text, err)
		}
	}
}

// What is parsed is written as it was read, so that a fence in a key, a path or
// a container's label is the same fence everywhere.
func FuzzParseFence(f *testing.F) {
	for _, seed := range []string{"", "1.3", "0.0", "01.3", "4294967296.0", "1.3.5", "-1.2", "1e3.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fence, err := events.ParseFence(s)
		if err != nil {
			if !fence.IsZero() {
				t.Errorf("ParseFence(%q) = %v with the error %v", s, fence, err)
			}
			return
		}
		if fence.String() != s {
			t.Errorf("ParseFence(%q).String() = %q", s, fence.String())
		}
		raw, err := json.Marshal(fence)
		if err != nil {
			t.Fatal(err)
		}
		var back events.Fence
		if err := json.Unmarshal(raw, &back); err != nil || back != fence {
			t.Errorf("%s reads as %v, %v", raw, back, err)
		}
	})
}

func TestFenceInJSON(t *testing.T) {
	raw, err := json.Marshal(events.AttemptRef{})
	if err != nil || strings.Contains(string(raw), "fence") {
		t.Errorf("an attempt without a fence is %s, %v", raw, err)
	}
	for _, text := range []string{`1`, `"x"`, `{}`, `"1.01"`} {
		var f events.Fence
		if err := json.Unmarshal([]byte(text), &f); err == nil {
			t.Errorf("%s reads as the fence %v", text, f)
		}
	}
}

var fences = rapid.Custom(func(t *rapid.T) events.Fence {
	return events.Fence{Epoch: rapid.Uint32().Draw(t, "epoch"), Counter: rapid.Uint32().Draw(t, "counter")}
})

// Compare orders fences totally, epochs first.
func TestFenceCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, g := fences.Draw(t, "f"), fences.Draw(t, "g")
		want := 0
		if a, b := uint64(f.Epoch)<<32|uint64(f.Counter), uint64(g.Epoch)<<32|uint64(g.Counter); a < b {
			want = -1
		} else if a > b {
			want = 1
		}
		if got := f.Compare(g); got != want {
			t.Errorf("%v.Compare(%v) = %d, want %d", f, g, got, want)
		}
		if back, err := events.ParseFence(f.String()); back != f || err != nil {
			t.Errorf("%v is read as %v, %v", f, back, err)
		}
	})
}

// Parts are kept apart: the same text cut in two ways gives two ids.
func TestDeriveIDKeepsPartsApart(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789:ab/é")), 1, 24, -1)
	cut := func(t *rapid.T, s, label string) []string {
		var parts []string
		for _, at := range slices.Backward(rapid.SliceOfNDistinct(rapid.IntRange(0, len(s)), 0, 4, rapid.ID[int]).Draw(t, label)) {
			if at <= len(s) {
				parts = append([]string{s[at:]}, parts...)
				s = s[:at]
			}
		}
		return append([]string{s}, parts...)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "s")
		a, b := cut(t, s, "a"), cut(t, s, "b")
		if same := events.DeriveID(a...) == events.DeriveID(b...); same != slices.Equal(a, b) {
			t.Errorf("%q and %q: same id %t", a, b, same)
		}
	})
}

// The text between two parts cannot be forged by a part that looks like it.
func TestDeriveIDHard(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{},
		{""},
		{"", ""},
		{"a"},
		{"", "a"},
		{"a", ""},
		{"a", "b"},
		{"ab"},
		{"ab", ""},
		{"1:a"},
		{"1:a1:b"},
		{"a1:b"},
		{"a", "1:b"},
		{"0:"},
		{"0:0:"},
		{"12:", "a"},
		{"1", "2:a"},
	} {
		id := events.DeriveID(parts...)
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same id", parts, other)
		}
		seen[id] = parts
		if len(id) != 26 || strings.Trim(id, "0123456789abcdefghjkmnpqrstvwxyz") != "" {
			t.Errorf("DeriveID(%q) = %q is not 26 characters of Crockford's base 32", parts, id)
		}
	}
}

// Stored ids must be found again by every later version.
func TestDeriveIDIsFrozen(t *testing.T) {
	job := events.JobRef{Run: "01K8QWJ2M4N6P8R0S2T4V6X8ZA", Job: "test.0"}
	offer := events.OfferFor(job, 1)
	assignment := events.AssignmentFor(offer)
	for got, want := range map[string]string{
		events.DeriveID("cause", "job-requested", "0"): "vxpetspy0p6q5sdgrrgt81pbjr",
		string(offer):                        "7wk1ffttfac1zs9qdkpt8yxtk8",
		string(assignment):                   "dr451zrptt9bxs7e7js0708pcg",
		string(events.WorkerFor(assignment)): "z53vv30ksnmzhgmp1sjh93wc98",
	} {
		if got != want {
			t.Errorf("%q was %q", got, want)
		}
	}
}

func TestOffersDiffer(t *testing.T) {
	seen := map[events.OfferID]bool{}
	for _, run := range []events.RunID{"R", "R1"} {
		for _, job := range []events.JobKey{"1", "11", "test.0", "test.1"} {
			for attempt := range 12 {
				seen[events.OfferFor(events.JobRef{Run: run, Job: job}, attempt)] = true
			}
		}
	}
	if len(seen) != 2*4*12 {
		t.Errorf("%d offers have %d ids", 2*4*12, len(seen))
	}
}
