//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	machine "github.com/profgen/profgen/internal/host"
)

// Mechanisms tries what a [Recorder] is made of, by loading and attaching its
// own programs, and what else eBPF can look at on this kernel. The first is
// whether it can be made at all.
func Mechanisms() []machine.Mechanism {
	_, btf := os.Stat("/sys/kernel/btf/vmlinux")
	r, err := New(Options{SeeRefused: true})
	out := []machine.Mechanism{
		machine.Tried("ebpf recorder", err, Method, "use a kernel with BTF, as root; or record without eBPF: --recorder usernotif, or profgen import of audit logs and strace output"),
		machine.Tried("BTF", btf, "/sys/kernel/btf/vmlinux", "use a kernel built with CONFIG_DEBUG_INFO_BTF"),
	}
	for _, prog := range optional() {
		name, do := serves(prog)
		m := machine.Mechanism{Name: name, State: machine.Unknown, Detail: "the recorder does not load"}
		if err == nil {
			m = machine.Tried(name, r.missing[prog], "", do)
		}
		out = append(out, m)
	}
	if err == nil {
		r.Close()
	}
	return append(out, others()...)
}

// optional are the programs that a recorder tries to load first for each thing
// that it can do without.
func optional() []string {
	return []string{recorderProgOnCap, recorderProgOnTask, recorderProgOnSysExit}
}

// serves tells what an optional program is for, and what to do without it.
func serves(prog string) (name, do string) {
	switch prog {
	case recorderProgOnCap:
		return "cap_capable tracepoint", "use Linux 6.14 or later, or one that loads fentry or kprobe programs; else Docker's default capabilities are allowed without evidence"
	case recorderProgOnTask:
		return "task iterator (--pid, --container)", "start the workload under profgen instead"
	case recorderProgOnSysExit:
		return "refused calls (verify)", "verify with a check that notices refusals"
	}
	return "program " + prog, "nothing: the evidence says what is missing for want of it"
}

// others are the mechanisms that the recorder does without.
func others() []machine.Mechanism {
	const none = "nothing: the recorder does without"
	attach := func(prog *ebpf.Program) (link.Link, error) {
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
	return []machine.Mechanism{
		machine.Tried("fentry programs", tryProgram(&ebpf.ProgramSpec{
			Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: "security_capable",
		}, attach), "", none),
		machine.Tried("BPF LSM programs", tryProgram(&ebpf.ProgramSpec{
			Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "file_open",
		}, func(prog *ebpf.Program) (link.Link, error) { return link.AttachLSM(link.LSMOptions{Program: prog}) }), "", none),
		machine.Tried("kprobe programs", tryProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(prog *ebpf.Program) (link.Link, error) {
			return link.Kprobe("security_capable", prog, nil)
		}), "", none),
	}
}

// tryProgram loads and attaches a program that does nothing.
func tryProgram(spec *ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) error {
	spec.License = "Dual BSD/GPL"
	spec.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	prog, err := ebpf.NewProgram(spec)
	if err != nil {
		return short(err)
	}
	defer prog.Close()
	l, err := attach(prog)
	if err != nil {
		return short(err)
	}
	return l.Close()
}

// short is the innermost error, on one line.
func short(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return verifier.Cause
	}
	return cause(err)
}
