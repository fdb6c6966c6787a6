package workflow

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The limits of a file, before anything is made of it.
const (
	mostBytes = 1 << 20
	mostDepth = 64      // of nesting, aliases followed
	mostNodes = 100_000 // keys and values, aliases followed
	mostText  = 8 << 20 // bytes of them, aliases followed
)

// document reads src as a single YAML document and gives the root of its tree,
// or nil after reporting why not. Aliases in the tree are safe to follow: they
// are without cycles, and following all of them stays within the limits.
func document(src []byte, r *report) *yaml.Node {
	if !readable(src, r) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		syntax(src, err, r)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		r.add(second.Line, second.Column, "a file holds one pipeline: put the other one into a file of its own", "a second YAML document begins here")
		return nil
	} else if !errors.Is(err, io.EOF) {
		syntax(src, err, r)
		return nil
	}
	if len(doc.Content) != 1 {
		r.add(1, 1, "", "the file is empty")
		return nil
	}
	if !measured(doc.Content[0], r) {
		return nil
	}
	return doc.Content[0]
}

// readable checks the size and the characters. NEL, LS and PS are refused
// since YAML readers differ on whether they end a line.
func readable(src []byte, r *report) bool {
	if len(src) > mostBytes {
		r.add(1, 1, "move long scripts into files of their own", "the file is longer than %d bytes", mostBytes)
		return false
	}
	line, start := 1, 0
	for i := 0; i < len(src); {
		c, size := utf8.DecodeRune(src[i:])
		column := func() int { return utf8.RuneCount(src[start:i]) + 1 }
		switch {
		case c == '\n' || c == '\r' && (i+1 == len(src) || src[i+1] != '\n'):
			line, start = line+1, i+1
		case c == utf8.RuneError && size == 1:
			r.add(line, column(), "save the file as UTF-8", "the byte 0x%02x is not UTF-8", src[i])
			return false
		case c == 0:
			r.add(line, column(), "this does not look like a text file", "the file holds a NUL byte")
			return false
		case c < ' ' && c != '\t' && c != '\r', c == 0xFFFE, c == 0xFFFF,
			c == 0x85, c == 0x2028, c == 0x2029, c == 0xFEFF && i > 0:
			r.add(line, column(), "in double quotes it can be written as an escape", "the character %U is not allowed", c)
			return false
		}
		i += size
	}
	return true
}

// extent is how much there is of a node once aliases are followed.
type extent struct{ nodes, bytes, depth int }

// measured checks depth and number of nodes, aliases followed. An alias
// stands after its anchor, so that the anchor's extent is known when it is
// met; if it is not, the alias stands inside of what it repeats.
func measured(root *yaml.Node, r *report) bool {
	done := map[*yaml.Node]extent{}
	var measure func(n *yaml.Node, depth int) (extent, bool)
	measure = func(n *yaml.Node, depth int) (extent, bool) {
		if n.Kind == yaml.AliasNode {
			e, known := done[n.Alias]
			switch {
			case !known:
				r.add(n.Line, n.Column, "", "the alias *%s stands inside of what it repeats", n.Value)
			case depth+e.depth > mostDepth:
				tooDeep(n, r)
			default:
				return e, true
			}
			return e, false
		}
		e := extent{nodes: 1, bytes: len(n.Value), depth: 1}
		if depth >= mostDepth {
			tooDeep(n, r)
			return e, false
		}
		for _, c := range n.Content {
			inner, ok := measure(c, depth+1)
			if !ok {
				return e, false
			}
			e.nodes += inner.nodes
			e.bytes += inner.bytes
			e.depth = max(e.depth, inner.depth+1)
			if e.nodes > mostNodes {
				r.add(c.Line, c.Column, "use fewer aliases, or fewer and longer texts", "the file holds more than %d keys and values, aliases followed", mostNodes)
				return e, false
			}
			if e.bytes > mostText {
				r.add(c.Line, c.Column, "use fewer aliases", "the file holds more than %d MiB of text, aliases followed", mostText>>20)
				return e, false
			}
		}
		if n.Anchor != "" {
			done[n] = e
		}
		return e, true
	}
	_, ok := measure(root, 0)
	return ok
}

func tooDeep(n *yaml.Node, r *report) {
	r.add(n.Line, n.Column, "", "nested more than %d levels deep", mostDepth)
}

// follow gives what an alias stands for, and any other node as it is.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// bulk is how much there is of a node, aliases followed.
type bulk struct{ nodes, bytes int }

// size measures a node of a document that was measured.
func size(n *yaml.Node) bulk {
	n = follow(n)
	b := bulk{nodes: 1, bytes: len(n.Value)}
	for _, c := range n.Content {
		inner := size(c)
		b.nodes += inner.nodes
		b.bytes += inner.bytes
	}
	return b
}
