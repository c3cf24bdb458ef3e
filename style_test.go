package profgen_test

import (
	"go/ast"
	"go/parser"
	"slices"
	"testing"
)

const (
	maxFileLines = 600
	p90FuncLines = 45
)

// Nothing happens before main, so that tables and templates are what their
// expressions say and tests may run in any order.
func TestNoInit(t *testing.T) {
	for _, f := range handWritten(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init", f.fset.Position(fn.Pos()))
			}
		}
	}
}

func TestFileLength(t *testing.T) {
	for _, f := range handWritten(t) {
		if n := f.fset.File(f.ast.FileStart).LineCount(); n > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", f.name, n, maxFileLines)
		}
	}
}

// Nine functions in ten fit on a screen, in code and in tests each.
func TestFunctionLength(t *testing.T) {
	for _, tests := range []bool{false, true} {
		var all []length
		for _, f := range handWritten(t) {
			if f.test == tests {
				all = append(all, f.lengths()...)
			}
		}
		slices.SortFunc(all, func(a, b length) int { return a.lines - b.lines })
		if len(all) == 0 {
			continue
		}
		if p90 := all[len(all)*9/10]; p90.lines > p90FuncLines {
			t.Errorf("tests %t: one function in ten has %d lines or more; the longest are", tests, p90.lines)
			for _, l := range all[len(all)*9/10:] {
				t.Errorf("%4d %s", l.lines, l.where)
			}
		}
	}
}

// length is how many lines a function has, from its first to its last.
type length struct {
	lines int
	where string
}

func (s source) lengths() []length {
	var out []length
	for _, d := range s.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			from, to := s.fset.Position(fn.Pos()), s.fset.Position(fn.End())
			out = append(out, length{to.Line - from.Line + 1, from.String() + " " + fn.Name.Name})
		}
	}
	return out
}

func handWritten(t *testing.T) []source {
	t.Helper()
	return slices.DeleteFunc(sources(t, parser.ParseComments|parser.SkipObjectResolution), func(s source) bool {
		return ast.IsGenerated(s.ast)
	})
}
