// Package scan derives what an image can do from its machine code: which
// system calls, with which arguments, its programs can make, and which other
// programs they can run. Nothing is executed, and no privilege is needed.
//
// In go the files of an image and its configuration, out comes evidence:
// Reachable facts with a witness each, and a Gap for whatever could not be
// seen. The facts are an upper bound: what runs may do less, never more,
// except where a Gap says so.
package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
	"github.com/profgen/profgen/internal/scan/program"
)

// Files are the files of an image, by names without a leading slash.
type Files interface {
	program.Files
	link.Files
}

// Options say what to scan.
type Options struct {
	Files    Files
	Config   program.Config
	Binaries []string // programs to scan, instead of those that Config starts
	// Plugins are objects to load besides those that are found, by the path of
	// the file.
	Plugins []string
	// Objects lists the ELF files of the image; nil if they are not known, as on
	// a host.
	Objects []string
	// Privileged lists the files that raise whoever runs them; nil if they are
	// not known, as on a host.
	Privileged []string
	// Progress is told what is done, if not nil.
	Progress func(done, total int, what string)
	// Phase is told what begins now, if not nil: one of the Phases.
	Phase func(string)
	// Relax is called, if not nil, when what was read of the files so far is not
	// about to be read again.
	Relax func()
	// Cache keeps what is found out about objects; nil for none.
	Cache Cache
}

// The phases of a scan, as Options.Phase is told of them. They take turns.
const (
	Link    = "link"    // objects are read and bound
	Reach   = "reach"   // functions are read, and what they reach follows
	Plugins = "plugins" // what is loaded at run time is looked for
	Values  = "values"  // numbers, arguments and names are traced back
)

func (s *scan) phase(name string) {
	if s.opt.Relax != nil {
		s.opt.Relax()
	}
	if s.opt.Phase != nil {
		s.opt.Phase(name)
	}
}

// Cache keeps bytes by key: what it gives back is what was put in, or nothing.
type Cache = graph.Cache

// maxPrograms bounds how many programs of one image are analysed.
const maxPrograms = 1024

// ErrNoProgram says that an image gives nothing to start from.
var ErrNoProgram = errors.New("no program to scan")

// Run scans.
func Run(ctx context.Context, opt Options) (evidence.Set, error) {
	s := &scan{
		opt:     opt,
		linker:  link.New(opt.Files),
		codes:   &graph.Codes{Cache: opt.Cache},
		image:   &objects{files: opt.Files, all: opt.Objects},
		finder:  program.New(opt.Files, opt.Config),
		scanned: map[string]bool{},
		said:    map[*elfx.File][]string{},
	}
	if err := s.first(); err != nil {
		return evidence.Set{}, err
	}
	for {
		if err := s.programs(ctx); err != nil {
			return evidence.Set{}, err
		}
		// Scripts that were found late may set variables of the dynamic linker.
		loader := s.finder.Result().Loader
		if slices.Equal(loader, s.loader) {
			s.codes.Save()
			return s.evidence()
		}
		s.loader, s.todo, s.done, s.gaps = loader, slices.Clone(s.all), nil, nil
	}
}

// programs analyses what is queued, and what that runs.
func (s *scan) programs(ctx context.Context) error {
	for len(s.todo) > 0 {
		next := s.todo[0]
		s.todo = s.todo[1:]
		if len(s.done) == maxPrograms {
			s.gaps = append(s.gaps, evidence.Gap{
				Kind: evidence.Unreadable, Where: next.Path,
				Detail: fmt.Sprintf("a program that may run is not analysed: there are more than %d", maxPrograms),
			})
			continue
		}
		if err := s.program(ctx, next); err != nil {
			if ctx.Err() != nil || len(s.done) == 0 && len(s.todo) == 0 {
				return fmt.Errorf("scan %s: %w", next.Path, err)
			}
			s.unread(next, err)
		}
	}
	return nil
}

// first queues what the image starts, or the binaries that were asked for.
func (s *scan) first() error {
	if len(s.opt.Binaries) == 0 {
		if err := s.finder.Start(); err != nil {
			return err
		}
		s.loader = s.finder.Result().Loader
		s.add(s.finder.Result().Programs)
		return nil
	}
	for _, b := range s.opt.Binaries {
		real, err := s.opt.Files.Resolve(b)
		if err != nil {
			return err
		}
		s.add([]program.Program{{Path: real, Why: "asked for"}})
	}
	return nil
}

// scan is one image being scanned.
type scan struct {
	opt     Options
	linker  *link.Linker
	codes   *graph.Codes
	image   *objects
	finder  *program.Finder
	scanned map[string]bool
	said    map[*elfx.File][]string // texts of objects
	all     []program.Program       // that were ever queued
	todo    []program.Program
	loader  []string // variables of the dynamic linker that scripts set
	done    []*analysis
	gaps    []evidence.Gap
}

// add queues programs that were not scanned yet.
func (s *scan) add(programs []program.Program) {
	for _, p := range programs {
		if !s.scanned[p.Path] {
			s.scanned[p.Path] = true
			s.all = append(s.all, p)
			s.todo = append(s.todo, p)
		}
	}
}

// unread notes a program that could not be analysed: an i386 one, a damaged one.
func (s *scan) unread(p program.Program, err error) {
	kind := evidence.Unreadable
	if errors.Is(err, elfx.ErrUnsupported) {
		kind = evidence.ForeignABI
	}
	s.gaps = append(s.gaps, evidence.Gap{Kind: kind, Where: p.Path, Detail: fmt.Sprintf("a program that may run is not analysed: %v", err)})
}

// analysis is one program of the image.
type analysis struct {
	*scan
	program program.Program
	link    *link.Program
	graph   *graph.Program

	work    int // grows with whatever is brought in
	opened  map[string]bool
	symbols map[string]bool
	unknown map[string]bool
	classed map[string]bool
	refused []refusal
	found   []evidence.Gap

	calls  []graph.Syscall
	failed []graph.Unresolved
	// explained are the objects with system calls that failed, and of which all
	// calls are known nevertheless: see libcap.
	explained map[*link.Object]bool
	set       evidence.Set // what came of it all
}

// program analyses one program and queues those that it can run.
func (s *scan) program(ctx context.Context, p program.Program) error {
	if s.opt.Progress != nil {
		s.opt.Progress(len(s.done), len(s.done)+len(s.todo)+1, p.Path)
	}
	a := &analysis{
		scan: s, program: p,
		opened: map[string]bool{}, symbols: map[string]bool{}, unknown: map[string]bool{}, classed: map[string]bool{},
	}
	a.phase(Link)
	if err := a.load(); err != nil {
		return err
	}
	a.phase(Reach)
	a.graph.Start()
	if err := a.graph.Run(ctx); err != nil {
		return err
	}
	a.phase(Plugins)
	for _, o := range s.opt.Plugins {
		a.open(a.link.Exe, "/"+o)
	}
	if err := a.plugins(ctx); err != nil {
		return err
	}
	a.phase(Values)
	a.graph.Done()
	a.calls, a.failed = a.graph.Syscalls()
	a.libcap()
	a.executes()
	s.done = append(s.done, a)
	// The graph of a large program is most of the memory that there is.
	a.facts()
	a.graph, a.calls, a.failed = nil, nil, nil
	return nil
}

func (a *analysis) load() error {
	lp, err := a.linker.Load(a.program.Path, slices.Concat(a.opt.Config.Env, a.loader))
	if err != nil {
		return err
	}
	a.link = lp
	a.graph = graph.New(lp, a.codes)
	for _, m := range lp.Missing {
		a.gap(evidence.Unreadable, m.By, fmt.Sprintf("needs %s: %v", m.Needed, m.Err))
	}
	for _, o := range lp.Objects {
		if a.codes.Get(o) == nil {
			a.gap(evidence.Unreadable, o.Path, "is code for "+o.File.Machine.String()+", which is not analysed")
		}
	}
	return nil
}

// gap notes what could not be seen.
func (a *analysis) gap(kind evidence.GapKind, where, detail string) {
	a.note(evidence.Gap{Kind: kind, Where: where, Detail: detail})
}

func (a *analysis) note(g evidence.Gap) {
	if !slices.Contains(a.found, g) {
		a.found = append(a.found, g)
	}
}
