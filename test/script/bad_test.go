package script

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// position is how every complaint about a file begins.
var position = regexp.MustCompile(`^[^:]+:[1-9][0-9]*:[1-9][0-9]*: .`)

// TestBadFilesAreRefusedWithPositions holds the files that are kept, and those
// that are made to hurt.
func TestBadFilesAreRefusedWithPositions(t *testing.T) {
	t.Parallel()
	kept, err := filepath.Glob("../testdata/bad/*.yaml")
	if err != nil || len(kept) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	s := newStage(t)
	names := []string{
		s.file("nested.yaml", "on: push\njobs: "+strings.Repeat("[", 200_000)),
		s.file("closed.yaml", "on: push\njobs: "+strings.Repeat("{a: ", 200_000)+"b"+strings.Repeat("}", 200_000)),
		s.file("indented.yaml", "on: push\njobs:\n"+indented(600)),
		s.file("bomb.yaml", aliasBomb(30)),
		s.file("wide.yaml", "on: push\njobs: {"+strings.Repeat("a: b, ", 300_000)+"}"),
		s.file("binary.yaml", "\x7fELF\x00\x01\xff\xfe"),
	}
	for _, path := range kept {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, s.file(filepath.Base(path), string(text)))
	}
	for _, name := range names {
		for _, command := range []string{"lint", "run"} {
			s.refused(command, name)
		}
	}
	s.clean()
}

// refused wants exit status 2 and nothing but positions.
func (s *stage) refused(command, name string) {
	s.t.Helper()
	p := s.start(command, name)
	if code := p.wait(); code != 2 {
		s.t.Errorf("%s %s: exit status %d, want 2", command, name, code)
	}
	text := p.out.String()
	if text == "" {
		s.t.Errorf("%s %s says nothing", command, name)
	}
	for line := range strings.Lines(text) {
		if !position.MatchString(line) || !strings.HasPrefix(line, name+":") {
			s.t.Errorf("%s %s: %.200q is not %s:line:column: message", command, name, line, name)
		}
	}
}

// indented nests mappings by indentation.
func indented(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

// aliasBomb doubles with every line.
func aliasBomb(lines int) string {
	var b strings.Builder
	b.WriteString("on: push\nenv:\n  a0: &a0 [x, x]\n")
	for i := 1; i < lines; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	b.WriteString("jobs: {a: {steps: [{run: echo hi}]}}\n")
	return b.String()
}

func TestUsageErrorsExitWithTwo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	good := s.file("good.yaml", "on: push\njobs: {a: {steps: [{run: echo hi}]}}\n")
	for want, args := range map[string][]string{
		"missing.yaml":      {"run", "missing.yaml"},
		"no pipeline file":  {"run"},
		"--provider":        {"run", good, "--provider"},
		"nowhere":           {"run", good, "--provider", "nowhere"},
		"has a":             {"run", good, "--job", "nothing"},
		"lose=":             {"run", good, "--chaos", "lose=101"},
		"payload.json":      {"run", good, "--payload", "payload.json"},
		"unknown flag":      {"run", good, "--frobnicate"},
		"unknown command":   {"frobnicate"},
		"no/such/folder":    {"run", good, "--events", "no/such/folder/out.jsonl"},
		"accepts at most 1": {"run", good, good},
	} {
		p := s.start(args...)
		if code := p.wait(); code != 2 {
			t.Errorf("relevo %s: exit status %d, want 2", strings.Join(args, " "), code)
		}
		p.prints(want)
	}
	s.clean()
}
