package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// change plants a bug, or a part of one, in the code below a marker. The fewer names of the
// code it has in it, the longer it lasts: never, always and drop have none.
type change func(p place) ([]splice, error)

// splice is a change of a file's text.
type splice struct {
	from, to int // offsets
	text     string
}

// never makes a condition false. It changes the condition of an if, a for or a case, the
// first value of a return or an assignment, or an expression that has a line of its own.
// What the condition uses stays used, so that the program builds.
func never(p place) ([]splice, error) { return condition(p, "false && (") }

// always is as never, but makes the condition true.
func always(p place) ([]splice, error) { return condition(p, "true || (") }

func condition(p place, begin string) ([]splice, error) {
	var conditions []ast.Expr
	switch n := p.target.(type) {
	case *ast.IfStmt:
		conditions = []ast.Expr{n.Cond}
	case *ast.ForStmt:
		if n.Cond != nil {
			conditions = []ast.Expr{n.Cond}
		}
	case *ast.CaseClause:
		conditions = n.List
	case *ast.ReturnStmt:
		conditions = n.Results[:min(1, len(n.Results))]
	case *ast.AssignStmt:
		conditions = n.Rhs[:1]
	case ast.Expr:
		conditions = []ast.Expr{n}
	}
	if len(conditions) == 0 {
		return nil, fmt.Errorf("%T has no condition", p.target)
	}
	var all []splice
	for _, c := range conditions {
		from, to := p.file.offsets(c)
		all = append(all, splice{from, from, begin}, splice{to, to, ")"})
	}
	return all, nil
}

// drop leaves a statement out, with everything in it.
func drop(p place) ([]splice, error) {
	if _, ok := p.target.(ast.Stmt); !ok {
		return nil, fmt.Errorf("%T is not a statement", p.target)
	}
	return instead("")(p)
}

// instead puts other code in the place of the marked code.
func instead(text string) change {
	return func(p place) ([]splice, error) {
		from, to := p.file.offsets(p.target)
		return []splice{{from, to, text}}, nil
	}
}

// before puts a statement before the marked one.
func before(text string) change { return around(text+"\n", "") }

// after puts a statement behind the marked one.
func after(text string) change { return around("", "\n"+text) }

// around puts code before and behind the marked code.
func around(begin, end string) change {
	return func(p place) ([]splice, error) {
		from, to := p.file.offsets(p.target)
		return []splice{{from, from, begin}, {to, to, end}}, nil
	}
}

// swap puts one text in the place of another, which must be in the marked code exactly
// once.
func swap(old, new string) change {
	return func(p place) ([]splice, error) {
		from, to := p.file.offsets(p.target)
		text := p.file.text[from:to]
		if n := strings.Count(text, old); n != 1 {
			return nil, fmt.Errorf("what is marked has %q %d times, want once:\n%s", old, n, text)
		}
		from += strings.Index(text, old)
		return []splice{{from, from + len(old), new}}, nil
	}
}

// spliced returns a text with changes made. No two of them may overlap.
func spliced(text string, all []splice) (string, error) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b splice) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var b strings.Builder
	done := 0
	for _, s := range all {
		if s.from < done {
			return "", errors.New("two changes of the exhibit are in each other's text")
		}
		b.WriteString(text[done:s.from])
		b.WriteString(s.text)
		done = s.to
	}
	b.WriteString(text[done:])
	return b.String(), nil
}
