//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// maxScripts is how many interpreters the kernel follows from one to the next.
const maxScripts = 5

// watchExec notes which program is to be run, and what the kernel loads with it.
func watchExec(e *event) {
	if e.t.phase < started {
		e.b.reconsider(e.n.pid)
	}
	first := e.t.phase < started // the image's, or the command's, own
	if e.t.phase == inRuntime {
		e.phase = e.r.enter(e.t, namespace(int(e.n.pid), "mnt"))
	}
	a, flags := pathArg{noFD, 0}, uint64(0)
	if e.name == "execveat" {
		a, flags = pathArg{0, 1}, e.n.args[4]
	}
	if e.phase < started {
		return
	}
	e.named(a, flags, func(v view, name string) {
		by := ""
		if !first {
			by, _ = v.link("exe")
		}
		v.exec(name, by, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	})
	e.t.creds = nil
}

// exec notes a program, run by another, and its interpreters.
func (v view) exec(name, by string, follow bool) {
	s, ok := v.resolve(name, follow)
	if !ok {
		return
	}
	if errno := v.executable(s); errno != 0 {
		v.note(s, use{perms: "x"}, errno)
		return
	}
	next, script := v.interpreter(s.path)
	v.note(s, loaded(script), 0)
	if !valid(v.e.fd, v.e.n) {
		return
	}
	v.e.r.fact(evidence.Executed{Path: evidence.Path(s.path), By: evidence.Path(by), Phase: v.e.phase.evidence(), Basis: evidence.Observed})
	v.privileges(s)
	for n := 0; next != "" && n < maxScripts; n++ {
		if s, ok = v.resolve(next, true); !ok || s.errno != 0 {
			return
		}
		if !script { // the ELF interpreter, which has none
			v.note(s, use{perms: "rm"}, 0)
			return
		}
		next, script = v.interpreter(s.path)
		v.note(s, loaded(script), v.executable(s))
	}
}

// loaded is what is done to a program that is run: a script is read by its
// interpreter, an ELF file is mapped.
func loaded(script bool) use {
	if script {
		return use{perms: "rx"}
	}
	return use{perms: "rmx"}
}

// executable tells what the kernel will say to an exec.
func (v view) executable(s spot) unix.Errno {
	switch {
	case s.errno != 0:
		return s.errno
	case s.kind() == evidence.Symlink:
		return unix.ELOOP
	case s.kind() != evidence.Regular:
		return unix.EACCES
	}
	return v.e.creds().permits(s, mayExec)
}

// privileges notes a program that would have run with more privileges than it
// did.
func (v view) privileges(s spot) {
	if !v.e.b.nnp {
		return
	}
	set := s.st.Mode&unix.S_ISUID != 0 && s.st.Uid != v.e.creds().uid || s.st.Mode&unix.S_ISGID != 0 && s.st.Gid != v.e.creds().gid
	if !set {
		file, err := v.file(s.path)
		if err != nil {
			return
		}
		defer file.Close()
		n, err := unix.Fgetxattr(int(file.Fd()), "security.capability", nil)
		set = err == nil && n > 0
	}
	if set {
		v.e.r.gap(evidence.Refused, s.path, "a set-user-ID program, or one with file capabilities, ran without them: recording without root takes no_new_privs; record as root to see it with them")
	}
}

// file opens a file of the workload's for reading.
func (v view) file(name string) (*os.File, error) {
	fd, err := unix.Openat2(v.root, name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// interpreter returns what the kernel loads to run a program: what a script names
// in its first line, or the ELF interpreter; "" for none.
func (v view) interpreter(name string) (path string, script bool) {
	file, err := v.file(name)
	if err != nil {
		return "", false // a program may be executable and not readable
	}
	defer file.Close()
	line := make([]byte, 256) // BINPRM_BUF_SIZE: include/uapi/linux/binfmts.h
	n, err := io.ReadFull(file, line)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", false
	}
	if rest, ok := bytes.CutPrefix(line[:n], []byte("#!")); ok {
		rest, _, _ = bytes.Cut(rest, []byte("\n"))
		if fields := bytes.Fields(rest); len(fields) > 0 {
			return string(bytes.TrimRight(fields[0], "\x00")), true
		}
		return "", false
	}
	return elfInterpreter(file), false
}

// elfInterpreter returns what PT_INTERP of a program names, as the kernel reads it
// (fs/binfmt_elf.c), of either word size; "" for none.
func elfInterpreter(file io.ReaderAt) string {
	const headers, ptInterp = 128, 3
	var head [64]byte
	if n, _ := file.ReadAt(head[:], 0); n < 52 || string(head[:4]) != "\x7fELF" {
		return ""
	}
	le := binary.LittleEndian
	wide := head[4] == 2
	table, size, count := int64(le.Uint32(head[28:])), int64(32), int(le.Uint16(head[44:]))
	if wide {
		table, size, count = int64(le.Uint64(head[32:])), 56, int(le.Uint16(head[56:]))
	}
	for i := range int64(min(count, headers)) {
		var ph [56]byte
		if _, err := file.ReadAt(ph[:size], table+i*size); err != nil || table < 0 {
			return ""
		}
		if le.Uint32(ph[:]) != ptInterp {
			continue
		}
		at, length := int64(le.Uint32(ph[4:])), uint64(le.Uint32(ph[16:]))
		if wide {
			at, length = int64(le.Uint64(ph[8:])), le.Uint64(ph[32:])
		}
		name := make([]byte, min(length, pathMax))
		if _, err := file.ReadAt(name, at); err != nil || at < 0 {
			return ""
		}
		return unix.ByteSliceToString(name)
	}
	return ""
}
