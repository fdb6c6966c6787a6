package trigger_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// The examples of the cheat sheet for filter patterns in Actions'
// documentation, and beside them names that each pattern must not match.
var cheatSheet = []struct {
	patterns  string
	matches   string
	otherwise string
}{
	// Branches and tags.
	{"feature/*", "feature/my-branch feature/your-branch", "feature/beta-a/my-branch feature features/x"},
	{"feature/**", "feature/beta-a/my-branch feature/your-branch feature/mona/the/octocat", "feature my/feature/x"},
	{"main", "main", "main2 amain main/x"},
	{"releases/mona-the-octocat", "releases/mona-the-octocat", "releases/mona-the-octocat2"},
	{"*", "main releases", "all/the/branches"},
	{"**", "all/the/branches every/tag main", ""},
	{"*feature", "mona-feature feature ver-10-feature", "feature-x mona/feature"},
	{"v2*", "v2 v2.0 v2.9", "v1 av2 v2/x"},
	{"v[12].[0-9]+.[0-9]+", "v1.10.1 v2.0.0", "v3.0.0 v1x10.1 v1.10 v1..1 v1.10.1-rc"},
	// Paths.
	{"*", "README.md server.rb", "docs/README.md"},
	{"*.jsx?", "page.js page.jsx", "page.jsxx dir/page.js"},
	{"**", "all/the/files.md", ""},
	{"*.js", "app.js index.js", "js/index.js app.jsx"},
	{"**.js", "index.js js/index.js src/js/app.js", "src/js/app.ts"},
	{"docs/*", "docs/README.md docs/file.txt", "docs/mona/octocat.txt docs"},
	{"docs/**", "docs/README.md docs/mona/octocat.txt", "a/docs/README.md docsx"},
	{"docs/**/*.md", "docs/README.md docs/mona/hello-world.md docs/a/markdown/file.md", "docs/a/file.txt README.md"},
	{"**/docs/**", "docs/hello.md dir/docs/my-file.txt space/docs/plan/space.doc", "mydocs/hello.md docs"},
	{"**/README.md", "README.md js/README.md", "js/MYREADME.md README.md/x"},
	{"**/*src/**", "a/src/app.js my-src/code/js/app.js", "src srcs/app.js"},
	{"**/*-post.md", "my-post.md path/their-post.md", "post.md my-post.mdx"},
	{"**/migrate-*.sql", "migrate-10909.sql db/migrate-v1.0.sql db/sept/migrate-v1.sql", "db/migrate.sql"},
	{"*.md !README.md", "hello.md", "README.md docs/hello.md"},
	{"*.md !README.md README*", "hello.md README.md README.doc", "docs/hello.md"},
	// Negation, by the examples of on.push.branches and on.push.paths.
	{"releases/** !releases/**-alpha", "releases/10 releases/beta/mona", "releases/10-alpha releases/beta/3-alpha main"},
	{"sub-project/** !sub-project/docs/**", "sub-project/index.js sub-project/src/index.js", "sub-project/docs/readme.md"},
	{"!releases/**", "", "releases/1 main"}, // one at least must let in
	// Characters taken by the letter.
	{`a\*b`, "a*b", "aXb ab"},
	{`\!a`, "!a", "a"},
	{"[CB]at", "Cat Bat", "at Rat cat"},
	{"[1-2]00", "100 200", "300 -00"},
	{"[a-z0-9]+", "abc9", "ABC a-b"},
	{"[-a]x", "-x ax", "bx"},
	{"a.b", "a.b", "axb"},
	{"(a|b)", "(a|b)", "a b"},
	{"a+b?", "a ab aab", "b abb"},
	{"é+", "é éé", "e"},
	// What the compiler refuses, taken by the letter.
	{"?a+", "?a ?aa", "a"},
	{"[abc", "[abc", "a"},
	{"[]a]", "[]a]", "]"},
	{"*?", "a?", "ab"},
	{`a\`, `a\`, "a"},
}

func TestCheatSheet(t *testing.T) {
	for _, c := range cheatSheet {
		patterns := strings.Fields(c.patterns)
		for _, name := range strings.Fields(c.matches) {
			if !trigger.Filter(patterns, name) {
				t.Errorf("%q lets %q out", patterns, name)
			}
		}
		for _, name := range strings.Fields(c.otherwise) {
			if trigger.Filter(patterns, name) {
				t.Errorf("%q lets %q in", patterns, name)
			}
		}
	}
}

func FuzzMatches(f *testing.F) {
	for _, c := range cheatSheet {
		f.Add(c.patterns, c.matches)
	}
	f.Add("[^a-\xff]", "\xff")
	f.Add("[[:alpha:]]", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		trigger.Matches(pattern, name) // whatever it says, it says
		pattern = strings.TrimLeft(pattern, "!")
		if strings.ContainsAny(pattern, `*?+[]\`) || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		for _, p := range []string{pattern, pattern + "**", "**" + pattern, pattern + "**/" + pattern} {
			plain := strings.ReplaceAll(p, "**", name)
			if !trigger.Matches(p, plain) {
				t.Errorf("%q does not match %q", p, plain)
			}
		}
	})
}
