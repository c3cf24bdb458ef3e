package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
)

// libcap makes its system calls through two functions, with three and with six
// arguments, whose addresses it keeps in a structure that nobody else sees: so that
// libpsx can put functions there that make all threads do the same
// (libcap/cap_proc.c, struct syscaller_s; cap_set_syscall(3)). It calls them with
// numbers of its own; whatever else it calls through pointers counts as a call of
// theirs, and must have a number.
func (a *analysis) libcap() {
	a.explained = map[*link.Object]bool{}
	for _, u := range a.failed {
		o := u.Node.Func.Code.Object
		if a.explained[o] || !a.callsForLibcap(u) {
			continue
		}
		calls, ok := a.graph.Through(u)
		a.calls, a.explained[o] = append(a.calls, calls...), ok
	}
}

// callsForLibcap reports whether an unresolved system call is the one in such a
// function.
func (a *analysis) callsForLibcap(u graph.Unresolved) bool {
	o := u.Node.Func.Code.Object
	return strings.HasPrefix(path.Base(o.Path), "libcap.so.") && u.Site == u.Node.Func.Start && u.Node.Taken() && !u.Node.Escapes && u.Node.Func.Name() == "" &&
		slices.ContainsFunc(a.link.BindName("cap_set_syscall"), func(d link.Definition) bool { return d.Object == o })
}
