package scmp

import (
	"encoding/binary"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"

	"github.com/profgen/profgen/internal/abi"
)

// Program is a compiled filter that can be asked what it answers. It is for one
// goroutine at a time.
type Program struct {
	vm   *bpf.VM
	size int
	data [64]byte // struct seccomp_data, include/uapi/linux/seccomp.h
}

// NewProgram returns the program of instructions that [Compile] made.
func NewProgram(instructions []bpf.RawInstruction) (*Program, error) {
	decoded, ok := bpf.Disassemble(instructions)
	if !ok {
		return nil, errors.New("seccomp program: an instruction that cannot be decoded")
	}
	vm, err := bpf.NewVM(decoded)
	if err != nil {
		return nil, fmt.Errorf("seccomp program: %w", err)
	}
	return &Program{vm: vm, size: len(decoded)}, nil
}

// Len is how many instructions the program has.
func (p *Program) Len() int { return p.size }

// Answer runs the program as the kernel does for call nr of arch, and returns
// its action with the number that belongs to it. x32 numbers are given without
// abi.X32Bit. Words are in the machine's order for the kernel, and in network
// order for the interpreter.
func (p *Program) Answer(arch abi.Arch, nr uint32, args [6]uint64) (specs.LinuxSeccompAction, uint, error) {
	row, ok := arch.Row()
	if !ok {
		return "", 0, fmt.Errorf("architecture %q: not one profgen knows", arch)
	}
	if arch == abi.X32 {
		nr |= abi.X32Bit
	}
	binary.BigEndian.PutUint32(p.data[0:], nr)
	binary.BigEndian.PutUint32(p.data[4:], row.Audit)
	for i, v := range args {
		binary.BigEndian.PutUint32(p.data[16+8*i:], uint32(v))
		binary.BigEndian.PutUint32(p.data[20+8*i:], uint32(v>>32))
	}
	out, err := p.vm.Run(p.data[:])
	if err != nil {
		return "", 0, fmt.Errorf("run seccomp program: %w", err)
	}
	action := actionOf(uint32(out))
	if action == "" {
		return "", 0, fmt.Errorf("run seccomp program: it returned %#x, which is no action", out)
	}
	return action, uint(out & 0xffff), nil
}

// actionOf is the action of a return value: SECCOMP_RET_* in
// include/uapi/linux/seccomp.h.
func actionOf(ret uint32) specs.LinuxSeccompAction {
	switch ret & 0xffff0000 {
	case 0x00000000:
		return specs.ActKill
	case 0x80000000:
		return specs.ActKillProcess
	case 0x00030000:
		return specs.ActTrap
	case 0x00050000:
		return specs.ActErrno
	case 0x7fc00000:
		return specs.ActNotify
	case 0x7ff00000:
		return specs.ActTrace
	case 0x7ffc0000:
		return specs.ActLog
	case 0x7fff0000:
		return specs.ActAllow
	}
	return ""
}
