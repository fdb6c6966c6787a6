package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/relevo-ci/relevo/events"
)

// source is the import path of the package that is read.
var source = reflect.TypeFor[events.Envelope]().PkgPath()

// patterns of the strings that have a form of their own. A run's id may be a
// ULID or derived: both are 26 characters of Crockford's base 32.
var patterns = map[reflect.Type]string{
	reflect.TypeFor[events.Fence]():        `^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`,
	reflect.TypeFor[events.RunID]():        runIDPattern,
	reflect.TypeFor[events.OfferID]():      derivedPattern,
	reflect.TypeFor[events.AssignmentID](): derivedPattern,
	reflect.TypeFor[events.WorkerID]():     derivedPattern,
}

const (
	runIDPattern   = `^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$`
	derivedPattern = `^[0-9a-hjkmnp-tv-z]{26}$`
)

// sourceText is what reflection cannot see of package events.
type sourceText struct {
	comments map[string]string // by Type and Type.Field
	enums    map[string][]any  // values of the constants by their type's name
}

func readSource(dir string) (*sourceText, error) {
	// The extractor takes the import path of a file from its folder's path; the
	// base is therefore this package's, which dir leads up from.
	var r jsonschema.Reflector
	if err := r.AddGoComments(source+"/gen", dir, jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	src := &sourceText{comments: map[string]string{}, enums: map[string][]any{}}
	for key, text := range r.CommentMap {
		if name, ok := strings.CutPrefix(key, source+"."); ok {
			src.comments[name] = strings.Join(strings.Fields(text), " ")
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return nil, fmt.Errorf("read constants: %w", err)
		}
		src.readEnums(file)
	}
	return src, nil
}

// readEnums collects the string constants that are declared with a type.
func (src *sourceText) readEnums(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		typ, ok := spec.Type.(*ast.Ident)
		if !ok {
			return true
		}
		for _, value := range spec.Values {
			if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					src.enums[typ.Name] = append(src.enums[typ.Name], text)
				}
			}
		}
		return true
	})
}

// reflector makes schemas of Go types. Unknown fields are allowed everywhere: a
// newer sender may add some.
func (src *sourceText) reflector() *jsonschema.Reflector {
	return &jsonschema.Reflector{
		Anonymous:                 true,
		AllowAdditionalProperties: true,
		Mapper:                    src.mapType,
		LookupComment: func(t reflect.Type, field string) string {
			if t.PkgPath() != source {
				return ""
			}
			if field == "" {
				return src.comments[t.Name()]
			}
			return src.comments[t.Name()+"."+field]
		},
	}
}

// mapType is the schema of the types that JSON writes as strings of a form of
// their own; nil leaves a type to reflection.
func (src *sourceText) mapType(t reflect.Type) *jsonschema.Schema {
	if pattern, ok := patterns[t]; ok {
		return &jsonschema.Schema{Type: "string", Pattern: pattern}
	}
	if t.PkgPath() != source || t.Kind() != reflect.String {
		return nil
	}
	if values := src.enums[t.Name()]; len(values) > 0 {
		return &jsonschema.Schema{Type: "string", Enum: values}
	}
	one := uint64(1)
	return &jsonschema.Schema{Type: "string", MinLength: &one} // an id
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
