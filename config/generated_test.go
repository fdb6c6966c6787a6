package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/env.md and relevo.env again")

// TestGenerated holds the reference and the sample file against the structs.
func TestGenerated(t *testing.T) {
	comments := readComments(t)
	for file, want := range map[string][]byte{
		filepath.Join("..", "docs", "env.md"): reference(comments),
		"relevo.env":                          sample(comments),
	} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is out of date: go generate ./config (%v)", file, err)
		}
	}
}

// TestNames holds the convention: RELEVO_<CONTEXT>_<NAME>, but for what
// Knative, func, Docker and OpenTelemetry call their own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	comments := readComments(t)
	for _, s := range settings(&Config{}) {
		if seen[s.name] {
			t.Errorf("%s is there twice", s.name)
		}
		seen[s.name] = true
		foreign := []string{"PORT", "LISTEN_ADDRESS", "FUNCTION", "K_SERVICE", "K_SINK", "K_CE_OVERRIDES", "K_CA_CERTS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"}
		own := regexp.MustCompile(`^RELEVO_` + strings.ToUpper(s.group) + `_[A-Z_]+$`)
		if !own.MatchString(s.name) && !slices.Contains(foreign, s.name) {
			t.Errorf("%s of %s has no name that begins with its context's", s.name, s.group)
		}
		if comments[s.group+"."+s.member] == "" {
			t.Errorf("%s has no comment", s.name)
		}
	}
}

// readComments gives the comment of each struct, and of each field as
// Struct.Field, each in one line.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	var decls []ast.Decl
	for _, name := range []string{"config.go", "forges.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, file.Decls...)
	}
	line := func(group *ast.CommentGroup) string { return strings.Join(strings.Fields(group.Text()), " ") }
	comments := map[string]string{}
	for _, d := range decls {
		types, ok := d.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		for _, spec := range types.Specs {
			named := spec.(*ast.TypeSpec)
			comments[named.Name.Name] = line(types.Doc)
			for _, field := range named.Type.(*ast.StructType).Fields.List {
				comments[named.Name.Name+"."+field.Names[0].Name] = line(field.Doc)
			}
		}
	}
	return comments
}

func reference(comments map[string]string) []byte {
	var out bytes.Buffer
	out.WriteString(`<!-- Code generated from config/config.go by go generate; DO NOT EDIT. -->
# Environment variables

Every setting of every binary. A variable that is set and empty counts as
unset; all mistakes are reported at once. Of a secret, ` + "`<name>_FILE`" + ` may name a
file that holds it instead.
`)
	group := ""
	for _, s := range settings(&Config{}) {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&out, "\n## %s\n\n%s\n\n| variable | default | meaning |\n|---|---|---|\n", group, comments[group])
		}
		fallback, secret := "", ""
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		if s.secret {
			secret = " Secret."
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s%s |\n", s.name, fallback, strings.ReplaceAll(comments[s.group+"."+s.member], "|", `\|`), secret)
	}
	return out.Bytes()
}

func sample(comments map[string]string) []byte {
	var out bytes.Buffer
	out.WriteString("# Code generated from config.go by go generate; DO NOT EDIT.\n#\n# A file of settings, each with its default: copy it and take the # away from\n# what you change. Read it with `set -a; . ./relevo.env`, as Docker's --env-file\n# or systemd's EnvironmentFile. docs/env.md says more.\n")
	group := ""
	for _, s := range settings(&Config{}) {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&out, "\n# --- %s\n", comments[group])
		}
		fmt.Fprintf(&out, "# %s\n#%s=%s\n", comments[s.group+"."+s.member], s.name, s.fallback)
	}
	return out.Bytes()
}
