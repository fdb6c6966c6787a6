package view_test

import (
	"testing"

	"github.com/relevo-ci/relevo/shared/view"
	"github.com/relevo-ci/relevo/shared/view/viewtest"
)

func TestMemory(t *testing.T) {
	viewtest.Run(t, func(*testing.T) view.Store { return view.NewMemory() })
}

func TestCursorsAreReadAsWritten(t *testing.T) {
	c := view.At(1234, "01ARZ3NDEKTSV4RRFFQ69G5FAV.a/b")
	if got, err := view.ParseCursor(string(c)); err != nil || got != c {
		t.Errorf("%v, %v", got, err)
	}
}

// FuzzParseCursor: what is read is what At writes, and the order of cursors is
// that of their rows.
func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"0000000001234/01ARZ3NDEKTSV4RRFFQ69G5FAV", "-1/x", "", "/", "0000000001234/", "9999999999999/é\n", "000000000123x/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := view.ParseCursor(s)
		if err == nil && string(c) != s {
			t.Errorf("%q is read as %q", s, c)
		}
	})
}

// FuzzName: an index's name is told from every other's and holds nothing that a
// store would stumble over.
func FuzzName(f *testing.F) {
	f.Add("a b", "a%20b")
	f.Add("\n", "=")
	f.Add("\xff", "\u00ff")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := view.Index{Field: "f", Value: a}, view.Index{Field: "f", Value: b}
		if (a == b) != (x.Name() == y.Name()) {
			t.Errorf("%q and %q are written %q and %q", a, b, x.Name(), y.Name())
		}
		for _, c := range []byte(x.Name()) {
			if c <= ' ' || c > '~' || c == ':' || c == '{' {
				t.Errorf("%q is written %q", a, x.Name())
			}
		}
		if len(a) <= 512 && view.ParseName(x.Name()) != x {
			t.Errorf("%q is read back as %q", a, view.ParseName(x.Name()).Value)
		}
	})
}
