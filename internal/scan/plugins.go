package scan

import (
	"context"
	"fmt"
	"github.com/profgen/profgen/gen/evidence"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
)

// maxRounds bounds how often plugins may bring in further plugins.
const maxRounds = 16

// plugins loads what the program may load at run time, to a fix-point: names
// given to dlopen, names given to dlsym, and where a name is not known, the
// modules that the image has for whoever asked.
func (a *analysis) plugins(ctx context.Context) error {
	for range maxRounds {
		before := a.work
		a.askDlopen()
		a.askDlsym()
		a.classes()
		a.phase(Reach)
		if err := a.graph.Run(ctx); err != nil {
			return err
		}
		a.phase(Plugins)
		if a.work == before {
			return nil
		}
	}
	a.gap(evidence.UnresolvedDlopen, a.link.Exe.Path, "plugins of plugins of plugins: not followed any further")
	return nil
}

// live returns the functions behind an exported name that can run.
func (a *analysis) live(name string) []*graph.Node {
	var out []*graph.Node
	for _, d := range a.link.BindName(name) {
		if n := a.graph.Node(d.Object, d.Symbol.Value); n != nil {
			out = append(out, n)
		}
	}
	return out
}

// parameter resolves the i-th parameter of an exported function.
func (a *analysis) parameter(name string, i int) graph.Result {
	var out graph.Result
	for _, n := range a.live(name) {
		r := a.graph.Parameter(n, i)
		out.Constants = append(out.Constants, r.Constants...)
		out.Unresolved = append(out.Unresolved, r.Unresolved...)
	}
	return out
}

// text is the string at the address that a constant is; false if it is none.
func text(c graph.Constant) (string, bool) {
	s, ok := c.Node.Func.Code.File.CString(uint64(c.N))
	return s, ok && s != ""
}

func (a *analysis) askDlopen() {
	for _, call := range []string{"dlopen", "dlmopen"} {
		i := strings.Count(call, "m") // dlmopen's first parameter is the namespace
		r := a.parameter(call, i)
		for _, c := range r.Constants {
			if name, ok := text(c); ok {
				a.open(c.Node.Func.Code.Object, name)
			} else if c.N != 0 {
				a.unknownPlugin(c.Node, c.Site, "is no string")
			}
		}
		for _, u := range r.Unresolved {
			a.unknownPlugin(u.Node, u.Site, u.Why)
		}
	}
}

func (a *analysis) askDlsym() {
	for _, call := range []string{"dlsym", "dlvsym"} {
		r := a.parameter(call, 1)
		for _, c := range r.Constants {
			name, ok := text(c)
			if ok && !a.symbols[name] {
				a.symbols[name] = true
				a.work++
				a.graph.Symbol(name)
			}
		}
		for _, u := range r.Unresolved {
			a.unknownSymbol(u)
		}
	}
}

// open loads what dlopen(name) from an object would load.
func (a *analysis) open(from *link.Object, name string) {
	key := from.Path + "\x00" + name
	if a.opened[key] {
		return
	}
	a.opened[key] = true
	a.work++
	o, fresh, err := a.link.Open(from, name)
	if err != nil {
		// A name that is not there is nothing that could be loaded.
		return
	}
	a.graph.Load(a.codes)
	for _, n := range fresh {
		a.graph.Initialise(n)
	}
	a.graph.Plugin(o)
}

// unknownPlugin takes everything that the image has for an object that loads
// something whose name is not known.
func (a *analysis) unknownPlugin(n *graph.Node, site uint64, why string) {
	o := n.Func.Code.Object
	if a.unknown[o.Path] {
		return
	}
	a.unknown[o.Path] = true
	a.work++
	taken := a.modulesFor(o)
	a.warm(taken)
	for _, m := range taken {
		a.open(o, "/"+m)
	}
	g := evidence.Gap{
		Kind: evidence.UnresolvedDlopen, Where: where(o.Path, site),
		Detail: fmt.Sprintf("loads an object whose name %s; nothing in the image looks like a module of it", why),
	}
	if len(taken) > 0 {
		g.Detail = fmt.Sprintf("loads an object whose name %s; taken instead: %s", why, folders(taken))
		g.Covered = true
	}
	a.note(g)
}

func (a *analysis) unknownSymbol(u graph.Unresolved) {
	a.gap(evidence.UnresolvedDlopen, where(u.Node.Func.Code.Object.Path, u.Site), "asks dlsym for a name that "+u.Why+"; what plugins export is taken, and nothing else")
}

// folders sums up paths by their folder.
func folders(paths []string) string {
	count := map[string]int{}
	for _, p := range paths {
		count[path.Dir(p)]++
	}
	var out []string
	for d, n := range count {
		out = append(out, fmt.Sprintf("%d of %s", n, d))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func where(object string, addr uint64) string { return fmt.Sprintf("%s+%#x", object, addr) }
