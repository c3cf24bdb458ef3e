package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/elfx"
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
		a.askAgain()
		a.phase(Reach)
		if err := a.graph.Run(ctx); err != nil {
			return err
		}
		if a.link.Full {
			a.gap(evidence.Unreadable, a.link.Exe.Path, "loads more objects than are analysed")
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
			switch {
			case !ok && c.N != 0:
				a.unknownSymbol(graph.Unresolved{Node: c.Node, Site: c.Site, Why: "is no string"})
			case ok && !a.symbols[name]:
				a.symbols[name] = true
				a.work++
			}
		}
		for _, u := range r.Unresolved {
			a.unknownSymbol(u)
		}
	}
	// Again, for those that objects have that were opened since.
	for _, name := range slices.Sorted(maps.Keys(a.symbols)) {
		a.graph.Symbol(name)
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
	missing := len(a.link.Missing)
	o, fresh, err := a.link.Open(from, name)
	a.unreadable(name, err)
	for _, m := range a.link.Missing[missing:] {
		a.unreadable(m.Needed, m.Err)
	}
	if err != nil {
		return
	}
	a.graph.Load(a.codes)
	for _, n := range fresh {
		a.graph.Initialise(n)
	}
	a.graph.Plugin(o)
}

// unreadable notes an object that dlopen may load and that was not analysed.
// dlopen fails too where there is no object, or none for this machine.
func (a *analysis) unreadable(name string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, elfx.ErrUnsupported) {
		a.gap(evidence.Unreadable, strings.TrimPrefix(name, "/"), fmt.Sprintf("may be loaded at run time, and is not analysed: %v", err))
	}
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
	g := evidence.Gap{
		Kind: evidence.UnresolvedDlopen, Where: where(o.Path, site),
		Detail: fmt.Sprintf("loads an object whose name %s; nothing in the image looks like a module of it", why),
	}
	modules := a.modulesFor(o)
	taken := a.loadable(modules)
	if refused := without(modules, taken); len(refused) > 0 {
		a.refused = append(a.refused, refusal{o, g.Where, why, refused})
	}
	a.take(o, taken)
	if len(taken) > 0 {
		g = takenInstead(g.Where, why, taken)
	}
	a.note(g)
}

// refusal is modules of an object that the dynamic linker refuses to open beside
// what is loaded so far.
type refusal struct {
	opener     *link.Object
	where, why string
	modules    []string
}

// askAgain takes modules that were refused and no longer are, now that more is
// loaded.
func (a *analysis) askAgain() {
	for i := range a.refused {
		r := &a.refused[i]
		if taken := a.loadable(r.modules); len(taken) > 0 {
			r.modules = without(r.modules, taken)
			a.take(r.opener, taken)
			a.note(takenInstead(r.where, r.why, taken))
		}
	}
}

func takenInstead(where, why string, taken []string) evidence.Gap {
	return evidence.Gap{
		Kind: evidence.UnresolvedDlopen, Where: where, Covered: true,
		Detail: fmt.Sprintf("loads an object whose name %s; taken instead: %s", why, folders(taken)),
	}
}

// take opens modules of an object.
func (a *analysis) take(o *link.Object, modules []string) {
	a.warm(modules)
	for _, m := range modules {
		a.open(o, "/"+m)
	}
}

// loadable returns the modules that the dynamic linker does not refuse, and those
// that cannot be read.
func (a *analysis) loadable(modules []string) []string {
	var objects []*link.Object
	for _, m := range modules {
		if o, err := a.linker.Object(m); err == nil {
			objects = append(objects, o)
		}
	}
	kept := a.link.Loadable(objects)
	return slices.DeleteFunc(slices.Clone(modules), func(m string) bool {
		o, err := a.linker.Object(m)
		return err == nil && !slices.Contains(kept, o)
	})
}

// without is a list less what another has.
func without(all, less []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(less, s) })
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
