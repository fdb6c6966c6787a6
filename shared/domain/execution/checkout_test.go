package execution_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

func TestReadCheckout(t *testing.T) {
	plain := execution.Checkout{Depth: 1, Clean: true, SparseCone: true}
	with := func(change func(*execution.Checkout)) execution.Checkout {
		in := plain
		change(&in)
		return in
	}
	for _, c := range []struct {
		name, value string
		want        execution.Checkout
	}{
		{"ref", "  ", plain},
		{"show-progress", "true", plain},
		{"fetch-depth", " 0 ", with(func(in *execution.Checkout) { in.Depth = 0 })},
		{"fetch-tags", "TRUE", with(func(in *execution.Checkout) { in.Tags = true })},
		{"clean", "false", with(func(in *execution.Checkout) { in.Clean = false })},
		{"submodules", "true", with(func(in *execution.Checkout) { in.Submodules = execution.OwnSubmodules })},
		{"submodules", "recursive", with(func(in *execution.Checkout) { in.Submodules = execution.AllSubmodules })},
		{"path", "a/./b/", with(func(in *execution.Checkout) { in.Path = "a/b" })},
		{"repository", "group/sub/name.go", with(func(in *execution.Checkout) { in.Repository = "group/sub/name.go" })},
		{"sparse-checkout", "a\n\n b/c \n", with(func(in *execution.Checkout) { in.Sparse = []string{"a", "b/c"} })},
	} {
		got, err := execution.ReadCheckout(map[string]string{c.name: c.value})
		if err != nil || !reflect.DeepEqual(got, c.want) || execution.WrongInput(c.name, c.value) != "" {
			t.Errorf("%s %q: %+v, %v", c.name, c.value, got, err)
		}
	}
	for _, c := range [][2]string{
		{"fetch-depth", "-1"},
		{"fetch-depth", "all"},
		{"fetch-tags", "yes"},
		{"clean", "0"},
		{"submodules", "deep"},
		{"path", "../x"},
		{"path", "/x"},
		{"path", "a/../../x"},
		{"repository", "name"},
		{"repository", "o/../r"},
		{"repository", "o/r?x"},
		{"repository", "https://x/o/r"},
		{"ref", "--upload-pack=x"},
		{"ref", "a b"},
		{"ref", "a..b"},
		{"ref", "a:b"},
		{"ref", "refs/heads/*"},
		{"ref", "main@{1}"},
	} {
		if _, err := execution.ReadCheckout(map[string]string{c[0]: c[1]}); !errors.Is(err, execution.ErrInput) || execution.WrongInput(c[0], c[1]) == "" {
			t.Errorf("%s %q is taken: %v", c[0], c[1], err)
		}
	}
}

// FuzzReadCheckout holds that what is taken cannot be an option of git's, nor a place
// outside of the workspace.
func FuzzReadCheckout(f *testing.F) {
	f.Add("main", "o/r", "sub", "a\nb")
	f.Add("--exec=x", "../..", "..", "-q")
	f.Fuzz(func(t *testing.T, ref, repository, path, sparse string) {
		in, err := execution.ReadCheckout(map[string]string{"ref": ref, "repository": repository, "path": path, "sparse-checkout": sparse})
		if err != nil {
			return
		}
		for _, s := range []string{in.Ref, in.Repository} {
			if strings.HasPrefix(s, "-") || strings.Contains(s, "..") && s == in.Ref || strings.Contains(s, "/../") {
				t.Errorf("%q is taken", s)
			}
		}
		if in.Path == ".." || strings.HasPrefix(in.Path, "../") || strings.HasPrefix(in.Path, "/") {
			t.Errorf("path %q is taken", in.Path)
		}
	})
}
