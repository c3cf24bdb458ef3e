package auditlog

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// task is a process or thread of a strace output.
type task struct {
	epoch   *epoch
	program evidence.Path     // that it runs; "" if that is not known
	cwd     *string           // shared by threads; "" if not known
	files   map[int]*openFile // shared by threads
	pending straceEvent
	forked  bool // its parent is known
}

// openFile is what a descriptor stands for.
type openFile struct {
	path evidence.Path
	kind string // of a socket: SOCK_STREAM
	port uint64 // that it is bound to
}

// epoch is one program in one or more tasks, from its exec on: its calls are of
// one ABI.
type epoch struct {
	calls  map[string]bool
	args   map[string][]evidence.Arg // by name and values
	any    map[string]bool           // made with arguments that are not known
	compat bool
	tasks  int // that run it
}

func newEpoch() *epoch {
	return &epoch{calls: map[string]bool{}, args: map[string][]evidence.Arg{}, any: map[string]bool{}, tasks: 1}
}

// leave is called when a task runs a program no more. Of the last one, its calls
// become facts: by then it is known whether it was a 32-bit one.
func (r *straceReader) leave(e *epoch) {
	if e.tasks--; e.tasks == 0 {
		e.facts(r.collector)
	}
}

// task returns the task of that number, which is new if it was not heard of; nil
// if there are too many.
func (r *straceReader) task(id string) *task {
	if t, ok := r.tasks[id]; ok {
		return t
	}
	if len(r.tasks) >= maxTasks {
		return nil
	}
	if len(r.tasks)+len(r.gone) == 0 {
		r.primary = id
	}
	t := &task{epoch: newEpoch(), cwd: new(string), files: map[int]*openFile{}}
	r.tasks[id] = t
	// A child may be heard of before the call that makes it comes back.
	if len(r.forking) == 1 {
		for parent := range r.forking {
			r.fork(parent, id, parent.pending.args)
		}
	}
	return t
}

// fork makes a task the child of another. What it did before that was known goes
// into the program of its parent.
func (r *straceReader) fork(parent *task, id string, share string) {
	child := r.task(id)
	if child == nil || child == parent || child.forked {
		return
	}
	child.forked = true
	if child.program == "" && child.epoch != parent.epoch {
		parent.epoch.join(child.epoch)
		child.epoch, child.program = parent.epoch, parent.program
		parent.epoch.tasks++
	}
	if *child.cwd == "" {
		child.cwd = parent.cwd
		if !strings.Contains(share, "CLONE_FS") {
			cwd := *parent.cwd
			child.cwd = &cwd
		}
	}
	if strings.Contains(share, "CLONE_FILES") && len(child.files) == 0 {
		child.files = parent.files
		return
	}
	for fd, f := range parent.files {
		if child.files[fd] == nil {
			child.files[fd] = f
		}
	}
}

// note notes that the program makes a call.
func (e *epoch) note(name string) { e.calls[name] = true }

func (e *epoch) anyArgs(name string) { e.any[name] = true }

const maxArgSets = 64 // of one call in a program; beyond it takes any

// noteArgs notes arguments of a call: of facts that list them all.
func (e *epoch) noteArgs(name string, args []evidence.Arg) {
	if args == nil || len(e.args) > maxArgSets*16 {
		e.anyArgs(name)
		return
	}
	e.args[fmt.Sprint(name, args)] = args
}

func (e *epoch) join(o *epoch) {
	maps.Copy(e.calls, o.calls)
	maps.Copy(e.args, o.args)
	maps.Copy(e.any, o.any)
	e.compat = e.compat || o.compat
}

// facts adds the program's calls. strace does not say in a file of which ABI they
// are, but calls that only a 32-bit kernel has, and the one that a 32-bit libc
// begins with, do.
func (e *epoch) facts(c *collector) {
	arch := c.opt.Native
	compat := compatOf(arch)
	only32 := func(name string) bool {
		_, ok := arch.Number(name)
		_, ok32 := compat.Number(name)
		return ok32 && (!ok || name == "set_thread_area")
	}
	if e.compat || slices.ContainsFunc(slices.Collect(maps.Keys(e.calls)), only32) {
		arch = compat
	}
	for name := range e.calls {
		nr, ok := arch.Number(name)
		if !ok {
			c.unknownName(arch, name)
			continue
		}
		f := evidence.Syscall{Arch: arch, Nr: nr, Phase: evidence.Start, Basis: evidence.Observed}
		f.Name, _ = arch.Name(nr)
		if e.any[name] || len(arch.Arguments(name)) == 0 && name != "clone3" {
			c.add(f)
			continue
		}
		for key, args := range e.args {
			if strings.HasPrefix(key, name+"[") {
				f.Args = args
				c.add(f)
			}
		}
	}
}

// compatOf is the 32-bit ABI of a kernel.
func compatOf(native abi.Arch) abi.Arch {
	if native == abi.AArch64 {
		return abi.ARM
	}
	return abi.X86
}

// unknownName notes a call whose name the tables do not have; strace calls one
// that it does not know itself syscall_0x1d3.
func (c *collector) unknownName(arch abi.Arch, name string) {
	if hex, ok := strings.CutPrefix(name, "syscall_0x"); ok {
		if nr, err := strconv.ParseUint(hex, 16, 32); err == nil {
			c.call(arch, uint32(nr), evidence.Start, evidence.Observed)
			return
		}
	}
	c.gap(evidence.UnknownSyscall, fmt.Sprintf("%s %s", arch, name), "a system call that no table knows", 1)
}
