package pipeline

import (
	"fmt"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// Checkout is a step that fetches a repository: actions/checkout, done by the
// agent. What is not set is as Actions has it, but for credentials, which are
// never kept.
type Checkout struct {
	Repository *expression.Template `json:"repository,omitempty"` // owner/name; nil: the run's own
	Ref        *expression.Template `json:"ref,omitempty"`        // branch, tag, ref or commit
	Path       *expression.Template `json:"path,omitempty"`       // below the workspace
	FetchDepth *expression.Template `json:"fetchDepth,omitempty"` // nil: 1; 0: all
	FetchTags  *expression.Template `json:"fetchTags,omitempty"`
	Submodules *expression.Template `json:"submodules,omitempty"` // true, false or recursive
	Clean      *expression.Template `json:"clean,omitempty"`      // nil: true
	Sparse     *expression.Template `json:"sparse,omitempty"`     // a folder or pattern a line
	SparseCone *expression.Template `json:"sparseCone,omitempty"` // nil: true
}

// Inputs are those that are set, by the names that files give them.
func (c *Checkout) Inputs() map[string]*expression.Template {
	all := map[string]*expression.Template{
		"repository": c.Repository, "ref": c.Ref, "path": c.Path, "fetch-depth": c.FetchDepth,
		"fetch-tags": c.FetchTags, "submodules": c.Submodules, "clean": c.Clean,
		"sparse-checkout": c.Sparse, "sparse-checkout-cone-mode": c.SparseCone,
	}
	for name, t := range all {
		if t == nil {
			delete(all, name)
		}
	}
	return all
}

// Emit is a step that emits a CloudEvent of the user's own.
type Emit struct {
	Type    expression.Template  `json:"type"`
	Subject *expression.Template `json:"subject,omitempty"`
	Data    *Content             `json:"data,omitempty"`
}

// Content is a value with expressions in it, of any depth.
type Content struct {
	Kind   ContentKind          `json:"kind"`
	Text   *expression.Template `json:"text,omitempty"`
	Value  any                  `json:"value,omitempty"` // nil, bool or float64
	List   []Content            `json:"list,omitempty"`
	Fields []ContentField       `json:"fields,omitempty"`
}

// ContentKind says which part of a Content holds.
type ContentKind string

// The kinds.
const (
	ContentText   ContentKind = "text"
	ContentValue  ContentKind = "value"
	ContentList   ContentKind = "list"
	ContentObject ContentKind = "object"
)

// ContentField is one field of an object.
type ContentField struct {
	Name  string  `json:"name"`
	Value Content `json:"value"`
}

// Eval gives what encoding/json encodes. A text that is nothing but one
// expression gives its value: a number stays a number, an object an object. The
// texts may have at most so many bytes together.
func (c Content) Eval(env *expression.Env, most int) (any, error) {
	return c.eval(env, &most)
}

func (c Content) eval(env *expression.Env, left *int) (any, error) {
	switch c.Kind {
	case ContentText:
		return c.text(env, left)
	case ContentList:
		list := make([]any, 0, len(c.List))
		for _, item := range c.List {
			v, err := item.eval(env, left)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case ContentObject:
		object := make(map[string]any, len(c.Fields))
		for _, f := range c.Fields {
			v, err := f.Value.eval(env, left)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			object[f.Name] = v
		}
		return object, nil
	}
	return c.Value, nil
}

func (c Content) text(env *expression.Env, left *int) (any, error) {
	if c.Text == nil {
		return "", nil
	}
	v, err := c.Text.Value(env)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok {
		*left -= len(s)
	}
	if *left < 0 {
		return nil, fmt.Errorf("it is too large")
	}
	return v, nil
}

// Visit calls f with every template in the content.
func (c *Content) Visit(f func(*expression.Template)) {
	if c == nil {
		return
	}
	if c.Text != nil {
		f(c.Text)
	}
	for i := range c.List {
		c.List[i].Visit(f)
	}
	for i := range c.Fields {
		c.Fields[i].Value.Visit(f)
	}
}
