package profgen_test

import (
	"go/ast"
	"go/parser"
	"os"
	"regexp"
	"slices"
	"testing"
)

const (
	maxFileLines = 600
	p90FuncLines = 45
	maxMethods   = 3
	maxTargets   = 10
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

// An interface is what one consumer asks for, and that is little.
func TestInterfaces(t *testing.T) {
	for _, f := range handWritten(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethods {
				t.Errorf("%s: an interface of %d methods", f.fset.Position(n.Pos()), i.Methods.NumFields())
			}
			return true
		})
	}
}

// All that there is to do with the repository is seen at a glance.
func TestMakefile(t *testing.T) {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z-]+):.*## .`).FindAll(text, -1)
	all := regexp.MustCompile(`(?m)^\w[\w./%-]*:([^=]|$)`).FindAll(text, -1)
	if len(all) != len(targets) || len(all) > maxTargets {
		t.Errorf("%d targets, %d of them with a description; want at most %d, all with one", len(all), len(targets), maxTargets)
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
