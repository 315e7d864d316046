package flows

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// whereNames rewrites a condition's tree: the words of whereWords become fields of
// whereEnv, dotted names become positions in its Values, and what could cost without
// bound is refused. It visits children before their parents.
type whereNames struct {
	names   []string
	outcome bool
	scans   int
	inner   bool
	marks   map[ast.Node]*mark // nodes that stand for (part of) an attribute's name
	wrong   []*whereFault
}

// mark says what a node stands for while its parents are still to be seen.
type mark struct {
	path []string // the dotted name so far
	bare bool     // written without "attributes": needs a dot
	at   file.Location
	last bool // the name was added for this mark alone
}

type whereFault struct {
	at   file.Location
	what string
}

func (f *whereFault) whereError(source string) *whereError {
	e := (&file.Error{Location: f.at}).Bind(file.NewSource(source))
	return &whereError{max(e.Line, 1), e.Column + 1, "`where`: " + f.what}
}

// first is the leftmost fault, once the whole tree was visited.
func (n *whereNames) first() *whereFault {
	for _, m := range n.marks {
		if problem := m.problem(); problem != "" {
			n.wrong = append(n.wrong, &whereFault{m.at, problem})
		}
	}
	n.marks = nil
	if len(n.wrong) == 0 {
		return nil
	}
	return slices.MinFunc(n.wrong, func(a, b *whereFault) int { return a.at.From - b.at.From })
}

// problem is what is wrong with a name that no parent made longer.
func (m *mark) problem() string {
	switch {
	case len(m.path) == 0:
		return "`attributes` alone says nothing; write attributes.NAME or attributes[\"NAME\"]"
	case !m.bare:
		return ""
	}
	hint := didYouMean(m.path[0], whereWords)
	if len(m.path) > 1 && hint == "" {
		return ""
	}
	if hint == "" {
		hint = fmt.Sprintf("; for an attribute write attributes.%[1]s, for a text \"%[1]s\"", shortened(m.path[0]))
	}
	return fmt.Sprintf("unknown name `%s`; there are %s%s", shortened(m.path[0]), quoted(whereWords), hint)
}

func (n *whereNames) refuse(node ast.Node, format string, args ...any) {
	n.wrong = append(n.wrong, &whereFault{node.Location(), fmt.Sprintf(format, args...)})
}

// Visit implements ast.Visitor.
func (n *whereNames) Visit(node *ast.Node) {
	switch v := (*node).(type) {
	case *ast.IdentifierNode:
		n.identifier(node, v)
	case *ast.MemberNode:
		n.member(node, v)
	case *ast.BinaryNode:
		n.binary(node, v)
	case *ast.BuiltinNode:
		n.builtin(node, v)
	case *ast.CallNode:
		delete(n.marks, v.Callee)
		n.refuse(v, "no such function; there are %s", quoted(whereFunctions))
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		n.refuse(v, "`let` and `;` are not taken; write one condition")
	}
}

func (n *whereNames) identifier(node *ast.Node, v *ast.IdentifierNode) {
	fields := map[string]string{"name": "Name", "system": "System", "outcome": "Outcome", "duration": "Duration"}
	if field, ok := fields[v.Value]; ok {
		n.outcome = n.outcome || v.Value == "outcome"
		ast.Patch(node, &ast.IdentifierNode{Value: field})
		return
	}
	m := &mark{at: v.Location()}
	if v.Value != "attributes" {
		m.bare, m.path = true, []string{v.Value}
	}
	n.stand(node, m)
}

func (n *whereNames) member(node *ast.Node, v *ast.MemberNode) {
	m := n.marks[v.Node]
	if m == nil {
		return
	}
	property, ok := v.Property.(*ast.StringNode)
	if !ok {
		return // an index into a list, say
	}
	delete(n.marks, v.Node)
	if m.last {
		n.names = n.names[:len(n.names)-1]
	}
	n.stand(node, &mark{path: append(slices.Clone(m.path), property.Value), bare: m.bare, at: m.at})
}

// stand replaces a node by the value of the attribute that a mark names. A longer name
// replaces it again.
func (n *whereNames) stand(node *ast.Node, m *mark) {
	i := 0
	if m.problem() == "" {
		known := len(n.names)
		i = n.position(strings.Join(m.path, "."))
		m.last = i == known
	}
	ast.Patch(node, &ast.MemberNode{Node: &ast.IdentifierNode{Value: "Values"}, Property: &ast.IntegerNode{Value: i}})
	if n.marks == nil {
		n.marks = map[ast.Node]*mark{}
	}
	n.marks[*node] = m
}

func (n *whereNames) binary(node *ast.Node, v *ast.BinaryNode) {
	if scans(v.Operator) {
		n.scans++
	}
	switch v.Operator {
	case "..":
		n.refuse(v, "ranges are not taken; compare with >= and <=")
	case "matches":
		if _, ok := v.Right.(*ast.StringNode); !ok {
			n.refuse(v, "`matches` needs a pattern written out as text")
		}
	case "in":
		m := n.marks[v.Right]
		name, ok := v.Left.(*ast.StringNode)
		if m == nil || len(m.path) > 0 || !ok {
			return
		}
		delete(n.marks, v.Right)
		n.stand(&v.Left, &mark{path: []string{name.Value}, at: v.Location()})
		ast.Patch(node, &ast.BinaryNode{Operator: "!=", Left: v.Left, Right: &ast.NilNode{}})
	}
}

func (n *whereNames) builtin(node *ast.Node, v *ast.BuiltinNode) {
	if v.Name == "duration" {
		if len(v.Arguments) != 1 {
			n.refuse(v, "`duration` takes one text, as duration(\"15m\")")
			return
		}
		text, ok := v.Arguments[0].(*ast.StringNode)
		if !ok {
			n.refuse(v, "write the duration out, as duration(\"15m\")")
			return
		}
		d, err := ParseDuration(text.Value)
		if err != nil {
			n.refuse(v, "%s", err)
			return
		}
		ast.Patch(node, &ast.ConstantNode{Value: d})
		return
	}
	n.scans++
	for i := range v.Arguments {
		if p, ok := v.Arguments[i].(*ast.PredicateNode); ok {
			loops := &loopFinder{}
			ast.Walk(&p.Node, loops)
			n.inner = n.inner || loops.beyond && loops.scans
			if loops.found {
				n.refuse(v, "a loop inside a loop is not taken")
			}
		}
	}
}

// loopFinder looks into a loop for others, and for what is beyond its elements.
type loopFinder struct{ found, beyond, scans bool }

// scans says of an operator that it may go through a whole value.
func scans(operator string) bool {
	return slices.Contains([]string{"matches", "contains", "startsWith", "endsWith", "in", "+"}, operator)
}

func (l *loopFinder) Visit(node *ast.Node) {
	switch v := (*node).(type) {
	case *ast.PredicateNode:
		l.found = true
	case *ast.BuiltinNode:
		l.scans = true
	case *ast.BinaryNode:
		l.scans = l.scans || scans(v.Operator)
	case *ast.IdentifierNode:
		l.beyond = l.beyond || v.Value == "Values" || v.Value == "Name" || v.Value == "System"
	}
}
