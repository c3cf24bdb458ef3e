package verify

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/scmp"
)

// Evaluation says that a seccomp file answers as the policy that it was made of
// wants.
type Evaluation struct {
	Points   int    `json:"points"`   // system calls asked, with arguments
	Programs int    `json:"programs"` // distinct filters: a reading of the file, on a native ABI
	By       string `json:"by"`       // who made them: "libseccomp 2.5.4"
	// Skipped are names that this libseccomp does not know. Runtimes that are
	// linked with it skip their rules, so that they answer the default.
	Skipped []string `json:"skipped"`
}

// Difference is an answer of a seccomp file that is not the policy's.
type Difference struct {
	Reader seccomp.Consumer // whose reading of the file
	Arch   abi.Arch
	Nr     uint32
	Args   [6]uint64
	Want   policy.Answer
	Got    specs.LinuxSeccompAction
	Errno  uint
}

// Error names the call, and both answers.
func (d *Difference) Error() string {
	name, ok := d.Arch.Name(d.Nr)
	if !ok {
		name = "unknown call"
	}
	return fmt.Sprintf("the seccomp profile as %s reads it answers %s (%s %d) with arguments %#x by %s %d, the policy by %s: this is a bug in profgen, please report it with the evidence",
		d.Reader, name, d.Arch, d.Nr, d.Args, d.Got, d.Errno, d.Want)
}

// natives are the ABIs of the kernels that profiles are compiled for.
func natives() []abi.Arch { return []abi.Arch{abi.X8664, abi.AArch64} }

// Evaluate proves that the seccomp file means the policy p. The file is read as
// Docker, Podman and containerd each read it, compiled by libseccomp for x86-64
// and for arm64, and the program is run for every number of every ABI of that
// kernel that has a name, for numbers that no kernel has, and for argument values
// around those of every rule, with and without high halves. Each answer has to
// be the policy's; the error is a [*Difference] if one is not.
//
// In a build without libseccomp gen/seccomp.Evaluate, which is tested to agree
// with it, takes its place.
func Evaluate(p policy.Policy, file []byte) (Evaluation, error) {
	parsed, err := seccomp.ParseFile(file)
	if err != nil {
		return Evaluation{}, err
	}
	version, err := scmp.Version()
	e := evaluator{judge: p.Judge(), cases: casesOf(p, parsed), with: err == nil}
	e.out = Evaluation{By: "profgen", Skipped: []string{}}
	if e.with {
		e.out.By = "libseccomp " + version
		if err := e.skip(parsed); err != nil {
			return Evaluation{}, err
		}
	}
	kernels := make([][]program, len(natives()))
	for i, native := range natives() {
		if kernels[i], err = e.programs(parsed, native); err != nil {
			return Evaluation{}, err
		}
		e.out.Programs += len(kernels[i])
	}
	if err := e.compareAll(kernels); err != nil {
		return Evaluation{}, err
	}
	return e.out, nil
}

// compareAll asks the programs of all kernels, each kernel's by a goroutine.
func (e *evaluator) compareAll(kernels [][]program) error {
	points, errs := make([]int, len(kernels)), make([]error, len(kernels))
	var group sync.WaitGroup
	for i, programs := range kernels {
		group.Go(func() { points[i], errs[i] = e.onKernel(programs, natives()[i]) })
	}
	group.Wait()
	for i, err := range errs {
		if e.out.Points += points[i]; err != nil {
			return err
		}
	}
	return nil
}

type evaluator struct {
	judge *policy.Judge
	cases cases
	with  bool // libseccomp
	out   Evaluation
}

// skip finds the names that libseccomp does not know.
func (e *evaluator) skip(f *seccomp.File) error {
	for _, r := range f.Syscalls {
		for _, name := range r.AllNames() {
			_, known, err := scmp.Number(abi.X8664, name)
			if err != nil {
				return err
			}
			if !known {
				e.out.Skipped = append(e.out.Skipped, name)
			}
		}
	}
	slices.Sort(e.out.Skipped)
	e.out.Skipped = slices.Compact(e.out.Skipped)
	return nil
}

// program is a reading of the file as a filter.
type program struct {
	reader seccomp.Consumer
	answer answerFunc
}

// programs are the readings of f for a kernel. Most often they are one and the
// same.
func (e *evaluator) programs(f *seccomp.File, native abi.Arch) ([]program, error) {
	var seen []*specs.LinuxSeccomp
	var out []program
	for _, c := range seccomp.Consumers() {
		s, err := f.Read(c, seccomp.Host{Native: native})
		if err != nil {
			return nil, fmt.Errorf("read the seccomp profile as %s: %w", c, err)
		}
		if slices.ContainsFunc(seen, func(o *specs.LinuxSeccomp) bool { return sameProfile(o, s) }) {
			continue
		}
		seen = append(seen, s)
		answer, err := e.compile(s, native)
		if err != nil {
			return nil, err
		}
		out = append(out, program{c, answer})
	}
	return out, nil
}

// onKernel evaluates programs on a kernel, and returns how many questions that
// were.
func (e *evaluator) onKernel(programs []program, native abi.Arch) (points int, err error) {
	for _, p := range programs {
		for _, arch := range abi.Arches() {
			if row, _ := arch.Row(); row.Native == native {
				n, err := e.compare(p.reader, arch, p.answer)
				if points += n; err != nil {
					return points, err
				}
			}
		}
	}
	return points, nil
}

type answerFunc func(abi.Arch, uint32, [6]uint64) (specs.LinuxSeccompAction, uint, error)

// compile returns what answers for a profile on a kernel.
func (e *evaluator) compile(s *specs.LinuxSeccomp, native abi.Arch) (answerFunc, error) {
	if !e.with {
		return func(arch abi.Arch, nr uint32, args [6]uint64) (specs.LinuxSeccompAction, uint, error) {
			action, errno := seccomp.Evaluate(s, arch, nr, args)
			return action, errno, nil
		}, nil
	}
	program, err := compileWithin(compileTimeout, s, native)
	if err != nil {
		return nil, err
	}
	return program.Answer, nil
}

// compare asks for every call of an ABI.
func (e *evaluator) compare(reader seccomp.Consumer, arch abi.Arch, answer answerFunc) (points int, err error) {
	for _, nr := range numbers(arch) {
		name, _ := arch.Name(nr)
		skipped := slices.Contains(e.out.Skipped, name)
		for _, args := range e.cases.of(name) {
			points++
			got, errno, err := answer(arch, nr, args)
			if err != nil {
				return points, err
			}
			want := e.judge.Answer(arch, nr, args)
			if skipped && want != policy.Kill {
				want = policy.ENOSYS
			}
			if !means(want, got, errno) {
				return points, &Difference{reader, arch, nr, args, want, got, errno}
			}
		}
	}
	return points, nil
}

// means reports whether an action with its number is that answer.
func means(want policy.Answer, got specs.LinuxSeccompAction, errno uint) bool {
	switch want {
	case policy.Allow:
		return got == specs.ActAllow
	case policy.EPERM:
		return got == specs.ActErrno && errno == uint(unix.EPERM)
	case policy.ENOSYS:
		return got == specs.ActErrno && errno == uint(unix.ENOSYS)
	case policy.Kill:
		return got == specs.ActKill
	}
	return false
}

// numbers are all that the tables of an ABI have, all between them and well
// beyond them, and some that never will be.
func numbers(arch abi.Arch) []uint32 {
	const beyond = 64
	var last uint32
	for _, name := range arch.Names() {
		nr, _ := arch.Number(name)
		last = max(last, nr)
	}
	out := make([]uint32, 0, last+beyond+8)
	for nr := range last + beyond {
		out = append(out, nr)
	}
	return append(out, 1023, 4095, 0xf0000, 0xffffff, abi.X32Bit-1)
}

func sameProfile(a, b *specs.LinuxSeccomp) bool {
	errno := func(n *uint) int {
		if n == nil {
			return -1
		}
		return int(*n)
	}
	return a.DefaultAction == b.DefaultAction && errno(a.DefaultErrnoRet) == errno(b.DefaultErrnoRet) &&
		slices.Equal(a.Architectures, b.Architectures) &&
		slices.EqualFunc(a.Syscalls, b.Syscalls, func(x, y specs.LinuxSyscall) bool {
			return x.Action == y.Action && errno(x.ErrnoRet) == errno(y.ErrnoRet) &&
				slices.Equal(x.Names, y.Names) && slices.Equal(x.Args, y.Args)
		})
}

// String is the evaluation for people.
func (e Evaluation) String() string {
	out := fmt.Sprintf("%d answers of %d programs by %s are the policy's", e.Points, e.Programs, e.By)
	if len(e.Skipped) > 0 {
		out += "; it does not know " + strings.Join(e.Skipped, " ")
	}
	return out
}
