package mask

// automaton finds every occurrence of many patterns in one pass over a stream
// (Aho and Corasick, 1975). It is never changed once it is in use.
type automaton struct {
	root  [256]int32 // the root's children, 0 where there is none
	nodes []node     // nodes[0] is the root
}

// node stands for a prefix of some pattern. Children form a list: below the
// first letters almost every node has one child, and secrets can be long.
type node struct {
	fail    int32 // the longest proper suffix that is a node too
	child   int32
	sibling int32
	depth   int32 // length of the prefix
	match   int32 // length of the longest pattern that ends here, 0: none
	letter  byte
	end     bool // a whole pattern
}

// with gives an automaton for more patterns.
func (a *automaton) with(patterns []string) *automaton {
	b := &automaton{nodes: []node{{}}}
	if a != nil {
		b.root = a.root
		b.nodes = append(make([]node, 0, len(a.nodes)+64), a.nodes...)
	}
	for _, p := range patterns {
		b.insert(p)
	}
	b.link()
	return b
}

func (a *automaton) insert(pattern string) {
	at := int32(0)
	for i := range len(pattern) {
		next := a.childOf(at, pattern[i])
		if next == 0 {
			next = int32(len(a.nodes))
			n := node{letter: pattern[i], depth: a.nodes[at].depth + 1, sibling: a.nodes[at].child}
			a.nodes = append(a.nodes, n)
			a.nodes[at].child = next
			if at == 0 {
				a.root[pattern[i]] = next
			}
		}
		at = next
	}
	a.nodes[at].end = at != 0
}

// link computes fail and match, parents before children.
func (a *automaton) link() {
	queue := make([]int32, 0, len(a.nodes))
	for c := a.nodes[0].child; c != 0; c = a.nodes[c].sibling {
		a.nodes[c].fail = 0
		queue = append(queue, c)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		n := &a.nodes[at]
		n.match = a.nodes[n.fail].match
		if n.end {
			n.match = n.depth
		}
		for c := n.child; c != 0; c = a.nodes[c].sibling {
			a.nodes[c].fail = a.step(n.fail, a.nodes[c].letter)
			queue = append(queue, c)
		}
	}
}

func (a *automaton) childOf(at int32, letter byte) int32 {
	if at == 0 {
		return a.root[letter]
	}
	c := a.nodes[at].child
	for c != 0 && a.nodes[c].letter != letter {
		c = a.nodes[c].sibling
	}
	return c
}

// step is the longest suffix of what was read, letter included, that is a node.
func (a *automaton) step(at int32, letter byte) int32 {
	for {
		if c := a.childOf(at, letter); c != 0 {
			return c
		}
		if at == 0 {
			return 0
		}
		at = a.nodes[at].fail
	}
}

// skip counts the bytes at the start of p that begin no pattern.
func (a *automaton) skip(p []byte) int {
	for i, b := range p {
		if a.root[b] != 0 {
			return i
		}
	}
	return len(p)
}
