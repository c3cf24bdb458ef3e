//go:build cgo && linux

package scmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	lib "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// Version returns the version of the libseccomp that is linked, as in "2.5.4".
func Version() (string, error) {
	major, minor, micro := lib.GetLibraryVersion()
	return fmt.Sprintf("%d.%d.%d", major, minor, micro), nil
}

// APILevel returns the level of libseccomp's API that the library and this
// kernel together have: seccomp_api_get(3). 0 is a library too old to tell.
func APILevel() (uint, error) {
	level, err := lib.GetAPI()
	if err != nil {
		return 0, fmt.Errorf("libseccomp: %w", err)
	}
	return level, nil
}

// Number returns the number that libseccomp has for a name on arch; known is
// false if this libseccomp has never heard of the name, on which runtimes skip
// its rules. A negative number is libseccomp's own, for a name that arch has no
// call for or makes through socketcall or ipc. x32 numbers are returned without
// abi.X32Bit.
func Number(arch abi.Arch, name string) (nr int, known bool, err error) {
	token, err := tokenOf(arch)
	if err != nil {
		return 0, false, err
	}
	call, err := lib.GetSyscallFromNameByArch(name, token)
	if errors.Is(err, lib.ErrSyscallDoesNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("resolve %q on %s: %w", name, arch, err)
	}
	nr = int(call)
	if arch == abi.X32 && nr >= 0 {
		nr &^= abi.X32Bit
	}
	return nr, true, nil
}

// Compile returns the program that s becomes on a kernel whose native ABI is
// native, whatever this machine is. It asks libseccomp for it as runc does:
// the native ABI is always part of the filter, rules that equal the default
// and names that libseccomp does not know are skipped, conditions of a rule
// that share an index become rules of their own, and other ABIs are killed,
// libseccomp's default. Flags, and a listener, do not change the program.
func Compile(s *specs.LinuxSeccomp, native abi.Arch) ([]bpf.RawInstruction, error) {
	f, def, err := newFilter(s, native)
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	defer f.Release()
	for i, r := range s.Syscalls {
		if err := addRule(f, r, def); err != nil {
			return nil, fmt.Errorf("compile seccomp profile: rule %d: %w", i+1, err)
		}
	}
	prog, err := export(f)
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	return prog, nil
}

// newFilter returns a filter without rules, to be released, and its default.
func newFilter(s *specs.LinuxSeccomp, native abi.Arch) (*lib.ScmpFilter, lib.ScmpAction, error) {
	def, err := action(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, 0, fmt.Errorf("default %w", err)
	}
	f, err := lib.NewFilter(def)
	if err != nil {
		return nil, 0, err
	}
	if err := setArches(f, s.Architectures, native); err != nil {
		f.Release()
		return nil, 0, err
	}
	// Above 32 names runc 1.5 asks for a binary tree over the numbers, and
	// does without where the library cannot. It changes the program, not its
	// answers.
	if names(s) > 32 {
		_ = f.SetOptimize(2)
	}
	return f, def, nil
}

func names(s *specs.LinuxSeccomp) int {
	n := 0
	for _, r := range s.Syscalls {
		n += len(r.Names)
	}
	return n
}

// setArches gives f the ABIs that it would have on a kernel with that native
// one. The filter starts with this machine's.
func setArches(f *lib.ScmpFilter, arches []specs.Arch, native abi.Arch) error {
	token, err := tokenOf(native)
	if err != nil {
		return err
	}
	want := map[lib.ScmpArch]bool{token: true}
	if err := f.AddArch(token); err != nil {
		return fmt.Errorf("architecture %q: %w", native, err)
	}
	for _, a := range arches {
		arch, ok := abi.BySCMP(a)
		if !ok {
			return fmt.Errorf("architecture %q: not one profgen knows", a)
		}
		token, err := tokenOf(arch)
		if err != nil {
			return err
		}
		want[token] = true
		if err := f.AddArch(token); err != nil {
			return fmt.Errorf("architecture %q: %w", a, err)
		}
	}
	if here, err := lib.GetNativeArch(); err != nil {
		return fmt.Errorf("native architecture: %w", err)
	} else if !want[here] {
		return f.RemoveArch(here)
	}
	return nil
}

// addRule adds one rule for each name that libseccomp knows. Numbers are this
// machine's: libseccomp translates them for every ABI of the filter.
func addRule(f *lib.ScmpFilter, r specs.LinuxSyscall, def lib.ScmpAction) error {
	act, err := action(r.Action, r.ErrnoRet)
	if err != nil || act == def {
		return err
	}
	alternatives, err := conditions(r.Args)
	if err != nil {
		return err
	}
	for _, name := range r.Names {
		call, err := lib.GetSyscallFromName(name)
		if err != nil {
			continue
		}
		if len(alternatives) == 0 {
			if err := f.AddRule(call, act); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for _, conds := range alternatives {
			if err := f.AddRuleConditional(call, act, conds); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// conditions returns the alternatives that the conditions of a rule make up:
// one, or one for each condition if two have the same index.
func conditions(args []specs.LinuxSeccompArg) ([][]lib.ScmpCondition, error) {
	var all []lib.ScmpCondition
	var single [][]lib.ScmpCondition
	seen, repeated := map[uint]bool{}, false
	for _, a := range args {
		op, err := operator(a.Op)
		if err != nil {
			return nil, err
		}
		c, err := lib.MakeCondition(a.Index, op, a.Value, a.ValueTwo)
		if err != nil {
			return nil, fmt.Errorf("condition on argument %d: %w", a.Index, err)
		}
		all = append(all, c)
		single = append(single, []lib.ScmpCondition{c})
		repeated = repeated || seen[a.Index]
		seen[a.Index] = true
	}
	if repeated || len(all) == 0 {
		return single, nil
	}
	return [][]lib.ScmpCondition{all}, nil
}

// export returns the program of f. The library writes it to a file only, in
// versions before 2.6.
func export(f *lib.ScmpFilter) ([]bpf.RawInstruction, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if err := f.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("export program: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	// struct sock_filter, include/uapi/linux/filter.h, as this machine has it.
	var prog []bpf.RawInstruction
	for ; len(b) >= 8; b = b[8:] {
		prog = append(prog, bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:]),
		})
	}
	return prog, nil
}

func tokenOf(a abi.Arch) (lib.ScmpArch, error) {
	switch a {
	case abi.X8664:
		return lib.ArchAMD64, nil
	case abi.X86:
		return lib.ArchX86, nil
	case abi.X32:
		return lib.ArchX32, nil
	case abi.AArch64:
		return lib.ArchARM64, nil
	case abi.ARM:
		return lib.ArchARM, nil
	}
	return lib.ArchInvalid, fmt.Errorf("architecture %q: not one profgen knows", a)
}

// action translates as runc does: without an errnoRet the number is EPERM.
func action(a specs.LinuxSeccompAction, errnoRet *uint) (lib.ScmpAction, error) {
	code := int16(unix.EPERM)
	if errnoRet != nil {
		code = int16(*errnoRet)
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return lib.ActKillThread, nil
	case specs.ActKillProcess:
		return lib.ActKillProcess, nil
	case specs.ActErrno:
		return lib.ActErrno.SetReturnCode(code), nil
	case specs.ActTrace:
		return lib.ActTrace.SetReturnCode(code), nil
	case specs.ActTrap:
		return lib.ActTrap, nil
	case specs.ActAllow:
		return lib.ActAllow, nil
	case specs.ActLog:
		return lib.ActLog, nil
	case specs.ActNotify:
		return lib.ActNotify, nil
	}
	return lib.ActInvalid, fmt.Errorf("action %q: unknown", a)
}

func operator(op specs.LinuxSeccompOperator) (lib.ScmpCompareOp, error) {
	switch op {
	case specs.OpEqualTo:
		return lib.CompareEqual, nil
	case specs.OpNotEqual:
		return lib.CompareNotEqual, nil
	case specs.OpLessThan:
		return lib.CompareLess, nil
	case specs.OpLessEqual:
		return lib.CompareLessOrEqual, nil
	case specs.OpGreaterEqual:
		return lib.CompareGreaterEqual, nil
	case specs.OpGreaterThan:
		return lib.CompareGreater, nil
	case specs.OpMaskedEqual:
		return lib.CompareMaskedEqual, nil
	}
	return lib.CompareInvalid, fmt.Errorf("operator %q: unknown", op)
}
