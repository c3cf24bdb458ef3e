package program

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What a script exports, all that it starts inherits. Who starts whom in the end
// is not followed: what any script exports, every other may have inherited.

// inherit notes a variable of the environment that some script sets.
func (f *Finder) inherit(name string, value arg, derived bool) {
	v := f.inherited[name]
	if v == nil {
		v = &variable{}
		f.inherited[name] = v
	}
	part := &v.base
	if derived {
		part = &v.derived
	}
	n := len(part.list)
	part.add(args{value})
	f.stale = f.stale || len(part.list) != n
}

// exports notes what a script gives to others.
func (w *walker) exports() {
	for name, v := range w.vars {
		if w.exported[name] || w.exported[everything] {
			for _, a := range v.base.list {
				w.f.inherit(name, a.join(), false)
			}
			for _, a := range v.derived.list {
				w.f.inherit(name, a.join(), true)
			}
		}
	}
}

// everything stands in walker.exported for all names: set -a.
const everything = "*"

// declared notes the names that a declaration exports: export NAME, declare -x NAME.
func (w *walker) declared(n *syntax.DeclClause) {
	exports := n.Variant.Value == "export"
	for _, a := range n.Args {
		if a.Naked && a.Value != nil {
			lit := a.Value.Lit()
			exports = exports || strings.HasPrefix(lit, "-") && strings.Contains(lit, "x")
		}
	}
	for _, a := range n.Args {
		if exports && a.Name != nil {
			w.exported[a.Name.Value] = true
		}
	}
}

// exportBuiltin is the same for commands that only become declarations by
// expansion.
func (w *walker) exportBuiltin(name string, list args) {
	exports := name == "export"
	for _, a := range list {
		exports = exports || strings.HasPrefix(a.text, "-") && strings.Contains(a.text, "x")
	}
	for _, a := range list {
		if variable, _, _ := strings.Cut(a.text, "="); exports && variable != "" {
			w.exported[variable] = true
		}
	}
}

// exportsAll reports whether the arguments of set make it export what is set from
// then on.
func exportsAll(list args) bool {
	return slices.ContainsFunc(list, func(a arg) bool {
		return a.text == "allexport" || len(a.text) > 1 && a.text[0] == '-' && a.text[1] != '-' && strings.Contains(a.text, "a")
	})
}

// folders splits the values of PATH.
func folders(list []args) []string {
	var out []string
	for _, a := range list {
		dirs := strings.Split(a.join().text, ":")
		if a.join().open {
			dirs = dirs[:len(dirs)-1]
		}
		out = append(out, dirs...)
	}
	return out
}

// inheritedPath are the directories that scripts add to PATH.
func (f *Finder) inheritedPath() []string {
	if v := f.inherited["PATH"]; v != nil {
		return folders(v.all())
	}
	return nil
}
