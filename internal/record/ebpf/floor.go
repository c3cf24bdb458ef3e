//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Floor attaches a program that does nothing where the recorder's attaches,
// sys_enter, until what it returns is closed. Every call of every process then
// takes the kernel's slow path: kernel/entry/common.c, SYSCALL_WORK_SYSCALL_TRACEPOINT,
// which is a flag of all tasks as soon as one program is there. What that costs no
// recorder on this tracepoint can go below; benchmarks compare with it.
func Floor() (io.Closer, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sys_enter", License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load a program that does nothing: %w", err)
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: prog})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach a program that does nothing: %w", err), prog.Close())
	}
	return floor{prog, l}, nil
}

type floor struct {
	prog *ebpf.Program
	link link.Link
}

func (f floor) Close() error { return errors.Join(f.link.Close(), f.prog.Close()) }
