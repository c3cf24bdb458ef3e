// Package link finds the objects that a program is made of, as the dynamic
// linker of its image would, and binds its symbols.
//
// It reads the image, never the host. Where a CPU may make a difference
// (glibc-hwcaps) all that may be loaded is. What is missing is reported, not
// fatal: the rest can be analysed.
//
// Sources: ld.so(8), ldconfig(8), dlopen(3); "ELF symbol versioning" in LSB
// 5.0; for musl its documentation of environment and search paths.
package link

import (
	"debug/elf"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/profgen/profgen/internal/elfx"
)

// Files are the files of an image, by names without a leading slash.
type Files interface {
	// Resolve follows all symlinks and returns the file's one canonical name.
	Resolve(name string) (string, error)
	// Contents returns what is in a file. It may be shared: it is never changed.
	Contents(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
}

// Object is an ELF file of the image. There is one for each file.
type Object struct {
	Path string // canonical, without leading slash
	File *elfx.File

	seed    maphash.Seed // of all objects of a Linker
	once    sync.Once
	defined *index
}

// Linker loads objects, each once, for all programs. It may be used by several
// goroutines.
type Linker struct {
	files Files
	seed  maphash.Seed

	mu      sync.Mutex
	objects map[string]*loading
	names   map[string]resolution
	cache   func() map[string][]string // ld.so.cache: name → paths
	conf    func() []string            // folders of ld.so.conf
}

// loading is a file that was asked for.
type loading struct {
	path string
	once sync.Once
	obj  *Object
	err  error

	first   sync.Once
	outline *Outline
	unread  error
}

// resolution is what a name leads to.
type resolution struct {
	loading *loading
	err     error
}

// New returns a linker for the files of an image.
func New(files Files) *Linker {
	l := &Linker{files: files, seed: maphash.MakeSeed(), objects: map[string]*loading{}, names: map[string]resolution{}}
	l.cache = sync.OnceValue(l.readCache)
	l.conf = sync.OnceValue(l.readConf)
	return l
}

// Object returns the object that a name leads to.
func (l *Linker) Object(name string) (*Object, error) {
	o, err := l.loading(name)
	if err != nil {
		return nil, err
	}
	o.once.Do(func() {
		data, err := l.files.Contents(o.path)
		if err != nil {
			o.err = err
			return
		}
		f, err := elfx.Parse(data)
		if err != nil {
			o.err = fmt.Errorf("read ELF %s: %w", o.path, err)
			return
		}
		o.obj = &Object{Path: o.path, File: f, seed: l.seed}
		o.obj.defines() // it will be asked for, by one goroutine
	})
	return o.obj, o.err
}

// Outline is what an object says of how it is linked.
type Outline struct {
	Machine   elf.Machine
	Interp    string
	Needed    []string
	Undefined []string // symbols that others shall define
}

// Outline returns the outline of the object that a name leads to, without loading
// all of it.
func (l *Linker) Outline(name string) (*Outline, error) {
	o, err := l.loading(name)
	if err != nil {
		return nil, err
	}
	o.first.Do(func() {
		data, err := l.files.Contents(o.path)
		if err != nil {
			o.unread = err
			return
		}
		f, err := elfx.Outline(data)
		if err != nil {
			o.unread = fmt.Errorf("read ELF %s: %w", o.path, err)
			return
		}
		o.outline = &Outline{Machine: f.Machine, Interp: f.Interp, Needed: f.Dynamic.Needed}
		for i := range f.Symbols {
			if s := &f.Symbols[i]; !s.Defined && s.Name != "" {
				o.outline.Undefined = append(o.outline.Undefined, s.Name)
			}
		}
	})
	return o.outline, o.unread
}

// loading returns the one there is for a file.
func (l *Linker) loading(name string) (*loading, error) {
	l.mu.Lock()
	r, ok := l.names[name]
	l.mu.Unlock()
	if ok {
		return r.loading, r.err
	}
	real, err := l.files.Resolve(strings.TrimPrefix(name, "/"))
	l.mu.Lock()
	defer l.mu.Unlock()
	r.err = err
	if err == nil {
		if l.objects[real] == nil {
			l.objects[real] = &loading{path: real}
		}
		r.loading = l.objects[real]
	}
	l.names[name] = r
	return r.loading, r.err
}

// Program is a program with the objects that are loaded for it.
type Program struct {
	Exe    *Object
	Interp *Object // the dynamic linker; nil for static programs
	// Objects are all, in the order in which symbols are looked up: the program,
	// what is preloaded, what is needed breadth-first, and what was opened since.
	Objects []*Object
	Missing []Missing
	// Full says that there are more objects than are taken.
	Full bool

	linker  *Linker
	musl    bool
	env     []folder // of LD_LIBRARY_PATH
	started int      // how many of Objects are loaded when the program starts
	names   map[string]*Object
	paths   map[string]bool     // of Objects
	needers map[*Object]*Object // who brought an object in
}

// Missing is a library that is needed, and is not there or cannot be read.
type Missing struct {
	Needed, By string
	Err        error
}

// maxObjects bounds a program: real ones have a few hundred.
const maxObjects = 1 << 13

// Load returns a program with all that is loaded when it starts. env are the
// environment variables NAME=value of which LD_PRELOAD, LD_AUDIT and
// LD_LIBRARY_PATH matter. One that is there several times may have any of its
// values, or none: all that is found in one way or another is taken.
func (l *Linker) Load(name string, env []string) (*Program, error) {
	exe, err := l.Object(name)
	if err != nil {
		return nil, err
	}
	p := &Program{Exe: exe, linker: l, names: map[string]*Object{}, paths: map[string]bool{}, needers: map[*Object]*Object{}}
	p.add(exe, nil)
	p.env = libraryPath(values(env, "LD_LIBRARY_PATH"))
	if exe.File.Interp == "" {
		p.started = 1
		return p, nil
	}
	p.musl = strings.HasPrefix(path.Base(exe.File.Interp), "ld-musl-")
	if p.Interp, err = l.Object(exe.File.Interp); err != nil {
		p.Missing = append(p.Missing, Missing{exe.File.Interp, exe.Path, err})
	}
	preload := split(strings.Join(values(env, "LD_PRELOAD"), " "), ": ")
	if !p.musl {
		preload = append(preload, split(strings.Join(values(env, "LD_AUDIT"), ":"), ":")...)
	}
	if b, err := l.files.Contents("etc/ld.so.preload"); err == nil && !p.musl {
		preload = append(preload, split(string(b), ": \t\n")...)
	}
	for _, n := range preload {
		p.need(exe, n)
	}
	p.close(0)
	if p.Interp != nil {
		p.add(p.Interp, exe)
	}
	p.started = len(p.Objects)
	return p, nil
}

// values are what a variable may be; sorted.
func values(env []string, name string) []string {
	var out []string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func libraryPath(values []string) []folder {
	var out []folder
	for _, v := range values {
		for _, dir := range split(v, ":;") {
			out = append(out, folder{dir, len(values) > 1})
		}
	}
	return out
}

func split(s, at string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(at, r) })
}

// Open loads what dlopen(name), called by from, loads, and returns the object
// and all that it brings in besides. An object that was loaded already brings
// in nothing.
func (p *Program) Open(from *Object, name string) (*Object, []*Object, error) {
	if o := p.names[name]; o != nil {
		return o, nil, nil
	}
	found, err := p.search(from, name)
	if err != nil {
		return nil, nil, err
	}
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	n := len(p.Objects)
	for _, o := range found {
		p.add(o, from)
	}
	p.names[name] = found[0]
	p.close(n)
	return found[0], p.Objects[n:], nil
}

// Search is where Open would find name; false if nowhere.
func (p *Program) Search(from *Object, name string) (*Object, bool) {
	found, err := p.search(from, name)
	if err != nil || len(found) == 0 {
		return nil, false
	}
	return found[0], true
}

// Has reports whether an object of that path is loaded.
func (p *Program) Has(name string) bool { return p.paths[name] }

func (p *Program) add(o, by *Object) {
	if p.Has(o.Path) {
		return
	}
	p.Objects = append(p.Objects, o)
	p.paths[o.Path] = true
	p.needers[o] = by
	if n := o.File.Dynamic.Soname; n != "" && p.names[n] == nil {
		p.names[n] = o
	}
}

// close loads what the objects from the n-th on need, and what those need.
func (p *Program) close(n int) {
	warm := n
	for ; n < len(p.Objects); n++ {
		if n == warm {
			p.warm(p.Objects[n:])
			warm = len(p.Objects)
		}
		if len(p.Objects) >= maxObjects {
			p.Full = true
			return
		}
		for _, name := range p.Objects[n].File.Dynamic.Needed {
			p.need(p.Objects[n], name)
		}
	}
}

// warm reads what objects need, on all processors, before each is asked for.
func (p *Program) warm(objects []*Object) {
	asked := map[string]bool{}
	var group sync.WaitGroup
	for _, o := range objects {
		for _, name := range o.File.Dynamic.Needed {
			if !asked[name] && p.names[name] == nil {
				asked[name] = true
				group.Go(func() { p.search(o, name) })
			}
		}
	}
	group.Wait()
}

func (p *Program) need(by *Object, name string) {
	if p.names[name] != nil {
		return
	}
	if p.musl && p.Interp != nil && muslItself(name) {
		p.names[name] = p.Interp
		p.add(p.Interp, by)
		return
	}
	found, err := p.search(by, name)
	if len(found) == 0 {
		if err == nil {
			err = fs.ErrNotExist
		}
		p.Missing = append(p.Missing, Missing{name, by.Path, err})
		return
	}
	for _, o := range found {
		p.add(o, by)
	}
	p.names[name] = found[0]
}

// muslItself reports whether a name means musl, whose linker is its libc.
func muslItself(name string) bool {
	if strings.HasPrefix(name, "libc.musl-") {
		return true
	}
	base, ok := strings.CutSuffix(name, ".so")
	switch base {
	case "libc", "libpthread", "librt", "libm", "libdl", "libutil", "libxnet":
		return ok
	}
	return false
}

// search returns what a name can mean to an object: one object, or several of
// which the CPU picks one. The error says why a file of that name cannot be it.
func (p *Program) search(from *Object, name string) ([]*Object, error) {
	if strings.Contains(name, "/") {
		o, err := p.fits(p.expand(from, name))
		if o == nil {
			return nil, err
		}
		return []*Object{o}, nil
	}
	f := &finding{program: p, machine: from.File.Machine, name: name}
	for _, dir := range p.folders(from) {
		if f.in(dir.path) && !dir.maybe {
			return f.found, nil
		}
	}
	if !p.musl && f.cached() {
		return f.found, nil
	}
	for _, dir := range p.standard() {
		if f.in(dir) {
			return f.found, nil
		}
	}
	if len(f.found) > 0 {
		return f.found, nil
	}
	return nil, f.err
}

// finding is a search for a library by its name.
type finding struct {
	program *Program
	machine elf.Machine
	name    string
	found   []*Object
	err     error // why a file of that name is not it, of the first
}

func (f *finding) try(file string) bool {
	o, err := f.program.fits(file)
	if o != nil {
		f.found = append(f.found, o)
	} else if f.err == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, elfx.ErrUnsupported) {
		f.err = err
	}
	return o != nil
}

// in looks into a folder, and reports whether the search ends there.
func (f *finding) in(dir string) bool {
	any := false
	for _, sub := range hwcaps(f.machine) {
		any = f.try(path.Join(dir, sub, f.name)) || any
	}
	return any
}

// cached looks into ld.so.cache, which has what is for some CPUs first.
func (f *finding) cached() bool {
	any := false
	for _, file := range f.program.linker.cache()[f.name] {
		if !f.try(file) {
			continue
		}
		any = true
		if !strings.Contains(file, "/glibc-hwcaps/") {
			break
		}
	}
	return any
}

// hwcaps are the folders below a library folder that hold what is for some
// CPUs only, and "" for all others: ld.so(8), "Legacy" ones left out.
func hwcaps(m elf.Machine) []string {
	if m == elf.EM_X86_64 {
		return []string{"", "glibc-hwcaps/x86-64-v4", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v2"}
	}
	return []string{""}
}

// fits returns the object at a path if it can be part of the program.
func (p *Program) fits(name string) (*Object, error) {
	o, err := p.linker.Object(name)
	if err != nil {
		return nil, err
	}
	if o.File.Machine != p.Exe.File.Machine {
		return nil, fmt.Errorf("%s is for %v: %w", o.Path, o.File.Machine, elfx.ErrUnsupported)
	}
	return o, nil
}
