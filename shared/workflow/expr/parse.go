package expr

import (
	"fmt"
	"math"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// tree is a compiled expression, and where its contexts and calls stand.
type tree struct {
	root *expression.Node
	at   map[*expression.Node]int
}

// parse compiles the tokens of one expression, the last of which is its end.
func parse(tokens []*actionlint.Token) (tree, *fault) {
	p := parser{tokens: tokens, at: map[*expression.Node]int{}}
	root, f := p.binary(1, 1)
	if f != nil {
		return tree{}, f
	}
	if p.peek().Kind != actionlint.TokenKindEnd {
		return tree{}, p.unexpected("an operator or the end of the expression")
	}
	if height(root) > expression.MaxDepth {
		return tree{}, tooDeep(tokens[0])
	}
	return tree{root, p.at}, nil
}

type parser struct {
	tokens []*actionlint.Token
	next   int
	at     map[*expression.Node]int
}

// binaryOps are the operators that stand between two operands; the higher
// rank binds tighter, and all group from the left.
var binaryOps = map[actionlint.TokenKind]struct {
	op   expression.Op
	rank int
}{
	actionlint.TokenKindOr:        {expression.Or, 1},
	actionlint.TokenKindAnd:       {expression.And, 2},
	actionlint.TokenKindEq:        {expression.Eq, 3},
	actionlint.TokenKindNotEq:     {expression.Ne, 3},
	actionlint.TokenKindLess:      {expression.Lt, 4},
	actionlint.TokenKindLessEq:    {expression.Le, 4},
	actionlint.TokenKindGreater:   {expression.Gt, 4},
	actionlint.TokenKindGreaterEq: {expression.Ge, 4},
}

// binary parses operands and the operators between them that have at least
// the rank. Depth counts what nests in the source; it bounds the recursion, for
// between two levels of it the rank can only rise four times.
func (p *parser) binary(rank, depth int) (*expression.Node, *fault) {
	if depth > expression.MaxDepth {
		return nil, tooDeep(p.peek())
	}
	left, f := p.not(depth)
	for f == nil {
		o, ok := binaryOps[p.peek().Kind]
		if !ok || o.rank < rank {
			return left, nil
		}
		p.next++
		var right *expression.Node
		if right, f = p.binary(o.rank+1, depth); f != nil {
			break
		}
		if left.Op == o.op && o.rank <= 2 { // a || b || c: one node, so that long rows stay flat
			left.Args = append(left.Args, right)
		} else {
			left = &expression.Node{Op: o.op, Args: []*expression.Node{left, right}}
		}
	}
	return nil, f
}

func (p *parser) not(depth int) (*expression.Node, *fault) {
	nots := 0
	for p.skip(actionlint.TokenKindNot) {
		nots++
	}
	n, f := p.postfix(depth)
	for ; f == nil && nots > 0; nots-- {
		n = &expression.Node{Op: expression.Not, Args: []*expression.Node{n}}
	}
	return n, f
}

// postfix parses a value and what is taken of it. As on GitHub, nothing can be
// taken of a literal, unless it stands in parentheses.
func (p *parser) postfix(depth int) (*expression.Node, *fault) {
	start := p.peek().Kind
	n, f := p.primary(depth)
	if f != nil || n.Op == expression.Lit && start != actionlint.TokenKindLeftParen {
		return n, f
	}
	for f == nil {
		taken := &expression.Node{Args: []*expression.Node{n}}
		switch {
		case p.skip(actionlint.TokenKindDot):
			f = p.property(taken)
		case p.skip(actionlint.TokenKindLeftBracket):
			f = p.index(taken, depth)
		default:
			return n, nil
		}
		n = taken
	}
	return nil, f
}

func (p *parser) property(n *expression.Node) *fault {
	name := p.peek().Value
	switch {
	case p.skip(actionlint.TokenKindStar):
		n.Op = expression.Star
	case p.skip(actionlint.TokenKindIdent):
		n.Op, n.Name = expression.Prop, name
	default:
		return p.unexpected("the name of a property, or *")
	}
	return nil
}

func (p *parser) index(n *expression.Node, depth int) *fault {
	n.Op = expression.Index
	if p.skip(actionlint.TokenKindStar) {
		n.Op = expression.Star
	} else {
		key, f := p.binary(1, depth+1)
		if f != nil {
			return f
		}
		n.Args = append(n.Args, key)
	}
	if !p.skip(actionlint.TokenKindRightBracket) {
		return p.unexpected("]")
	}
	return nil
}

func (p *parser) primary(depth int) (*expression.Node, *fault) {
	t := p.peek()
	switch t.Kind {
	case actionlint.TokenKindIdent:
		p.next++
		return p.identifier(t, depth)
	case actionlint.TokenKindLeftParen:
		p.next++
		n, f := p.binary(1, depth+1)
		if f == nil && !p.skip(actionlint.TokenKindRightParen) {
			return nil, p.unexpected(")")
		}
		return n, f
	case actionlint.TokenKindString:
		p.next++
		return literal(strings.ReplaceAll(t.Value[1:len(t.Value)-1], "''", "'")), nil
	case actionlint.TokenKindInt, actionlint.TokenKindFloat:
		number := expression.Number(t.Value)
		if math.IsNaN(number) || math.IsInf(number, 0) {
			return nil, &fault{t.Offset, fmt.Sprintf("%s is no number, or out of range", t.Value)}
		}
		p.next++
		return literal(number), nil
	}
	return nil, p.unexpected("a value")
}

func literal(v any) *expression.Node {
	return &expression.Node{Op: expression.Lit, Value: v}
}

func (p *parser) identifier(t *actionlint.Token, depth int) (*expression.Node, *fault) {
	if p.skip(actionlint.TokenKindLeftParen) {
		return p.call(t, depth)
	}
	switch t.Value {
	case "null":
		return literal(nil), nil
	case "true", "false":
		return literal(t.Value == "true"), nil
	}
	n := &expression.Node{Op: expression.Var, Name: strings.ToLower(t.Value)}
	p.at[n] = t.Offset
	return n, nil
}

func (p *parser) call(t *actionlint.Token, depth int) (*expression.Node, *fault) {
	n := &expression.Node{Op: expression.Call, Name: t.Value}
	if known, ok := expression.Function(t.Value); ok {
		n.Name = known.Name
	}
	p.at[n] = t.Offset
	if p.skip(actionlint.TokenKindRightParen) {
		return n, nil
	}
	for {
		arg, f := p.binary(1, depth+1)
		if f != nil {
			return nil, f
		}
		n.Args = append(n.Args, arg)
		switch {
		case p.skip(actionlint.TokenKindRightParen):
			return n, nil
		case !p.skip(actionlint.TokenKindComma):
			return nil, p.unexpected(", or )")
		}
	}
}

func (p *parser) peek() *actionlint.Token { return p.tokens[p.next] }

// skip goes on if the token is of the kind. The end is never skipped: peek
// always has a token.
func (p *parser) skip(kind actionlint.TokenKind) bool {
	if p.peek().Kind != kind {
		return false
	}
	p.next++
	return true
}

func (p *parser) unexpected(wanted string) *fault {
	t := p.peek()
	found := fmt.Sprintf("%q", t.Value)
	if t.Kind == actionlint.TokenKindEnd {
		found = "the end of the expression"
	}
	if len(p.tokens) == 1 {
		return &fault{t.Offset, "the expression is empty"}
	}
	return &fault{t.Offset, fmt.Sprintf("expected %s, found %s", wanted, found)}
}

func tooDeep(t *actionlint.Token) *fault {
	return &fault{t.Offset, fmt.Sprintf("the expression nests deeper than %d", expression.MaxDepth)}
}

// height counts the levels of a tree. Rows as long as a.b.c… nest in the tree
// but not in the source; MaxSource bounds them, and with them the recursion.
func height(n *expression.Node) int {
	below := 0
	for _, arg := range n.Args {
		below = max(below, height(arg))
	}
	return below + 1
}
