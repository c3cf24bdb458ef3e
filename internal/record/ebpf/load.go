//go:build linux && (amd64 || arm64)

package ebpf

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// New loads the programs and attaches them; they record nothing until
// [Recorder.Follow] or [Recorder.Attach]. The error wraps [ErrUnavailable] if
// the kernel or the user's privileges are to blame.
func New(opts Options) (*Recorder, error) {
	spec, err := loadRecorder()
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF programs: %w", err)
	}
	for name, size := range opts.mapSizes {
		spec.Maps[name].MaxEntries = size
	}
	if !opts.Files {
		maps.DeleteFunc(spec.Maps, func(name string, _ *ebpf.MapSpec) bool { return slices.Contains(fileMaps(), name) })
	}
	r := &Recorder{opts: opts, progs: map[string]*ebpf.Program{}, missing: map[string]error{}}
	if err := r.load(spec); err != nil {
		r.Close()
		return nil, explain(err)
	}
	return r, nil
}

// capPrograms are the ways to see capability checks, the best first: programs
// of which all are needed.
func capPrograms() [][]string {
	return [][]string{{recorderProgOnCap}, {recorderProgOnCapable}, {recorderProgOnCapableAsked, recorderProgOnCapableAnswered}}
}

// filePrograms returns the programs that see files. One of them does
// on_sys_exit's work too.
func filePrograms() []string {
	return []string{recorderProgOnSysExitFiles, recorderProgOnExecFiles, recorderProgOnSignal}
}

// fileMaps returns the maps that only they use.
func fileMaps() []string {
	return []string{recorderMapFilespecs, recorderMapDrafts, recorderMapSent, recorderMapMissed, recorderMapEvents, recorderMapMeetings}
}

func (r *Recorder) load(spec *ebpf.CollectionSpec) error {
	required := []string{recorderProgOnFork, recorderProgOnExec, recorderProgOnSysEnter}
	coll, err := ebpf.NewCollection(only(spec, required...))
	if err != nil {
		return err
	}
	r.maps = coll.Maps
	maps.Copy(r.progs, coll.Programs)
	for i := range uint32(2) {
		if err := r.maps[recorderMapArgspecs].Put(i, argspecs(i)); err != nil {
			return fmt.Errorf("say which arguments to record: %w", err)
		}
		if !r.opts.Files {
			continue
		}
		if err := r.maps[recorderMapFilespecs].Put(i, filespecs(i)); err != nil {
			return fmt.Errorf("say which calls name files: %w", err)
		}
	}
	for _, name := range required {
		if err := r.attach(name); err != nil {
			return err
		}
	}
	r.loadOptionals(spec)
	if r.opts.SeeRefused {
		// The map is there once a program that uses it is.
		if m := r.maps[recorderMapDenials]; m != nil {
			if r.denials, err = newDenials(m); err != nil {
				return err
			}
		}
	}
	if r.opts.Files {
		r.stream, err = newStream(r.maps[recorderMapEvents])
	}
	return err
}

// loadOptionals loads the programs that a recorder can do without, one by one.
// What a kernel takes is found out by trying: no file or version number tells.
func (r *Recorder) loadOptionals(spec *ebpf.CollectionSpec) {
	for _, way := range capPrograms() {
		if r.capsSeen = r.loadAll(spec, way); r.capsSeen {
			break
		}
	}
	r.loadAll(spec, []string{recorderProgOnTask})
	for _, name := range filePrograms() {
		if r.opts.Files {
			r.loadAll(spec, []string{name})
		}
	}
	if _, ok := r.progs[recorderProgOnSysExitFiles]; r.opts.SeeRefused && !ok {
		r.loadAll(spec, []string{recorderProgOnSysExit})
	}
}

// loadAll reports whether all of the programs could be loaded and attached.
func (r *Recorder) loadAll(spec *ebpf.CollectionSpec, names []string) bool {
	for _, name := range names {
		if err := r.loadOptional(spec, name); err != nil {
			r.missing[name] = cause(err)
			return false
		}
	}
	return true
}

// loadOptional loads and attaches one more program on the maps of the others.
func (r *Recorder) loadOptional(spec *ebpf.CollectionSpec, name string) error {
	if slices.Contains(r.opts.without, name) {
		return ErrUnavailable
	}
	coll, err := ebpf.NewCollectionWithOptions(only(spec, name), ebpf.CollectionOptions{MapReplacements: r.maps})
	if err != nil {
		return err
	}
	defer coll.Close()
	r.progs[name] = coll.DetachProgram(name)
	if err := r.attach(name); err != nil {
		r.progs[name].Close()
		delete(r.progs, name)
		return err
	}
	return nil
}

func (r *Recorder) attach(name string) error {
	var l link.Link
	var err error
	switch p := r.progs[name]; name {
	case recorderProgOnTask:
		r.tasks, err = link.AttachIter(link.IterOptions{Program: p})
		l = r.tasks
	case recorderProgOnCapableAsked:
		l, err = link.Kprobe(capableSymbol, p, nil)
	case recorderProgOnCapableAnswered:
		l, err = link.Kretprobe(capableSymbol, p, nil)
	default:
		l, err = link.AttachTracing(link.TracingOptions{Program: p})
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", name, err)
	}
	r.links = append(r.links, l)
	return nil
}

// capableSymbol is the function that all questions for a capability go through,
// but for some of the kernel's own: security/security.c.
const capableSymbol = "security_capable"

// only returns a copy of spec with just the named programs.
func only(spec *ebpf.CollectionSpec, names ...string) *ebpf.CollectionSpec {
	out := spec.Copy()
	maps.DeleteFunc(out.Programs, func(name string, _ *ebpf.ProgramSpec) bool {
		return !slices.Contains(names, name)
	})
	return out
}
