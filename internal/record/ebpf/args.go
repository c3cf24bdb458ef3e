//go:build linux && (amd64 || arm64)

package ebpf

import (
	"runtime"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// The calls of socketcall(2) that make sockets: include/uapi/linux/net.h.
const (
	sysSocket     = 1
	sysSocketpair = 8
)

// arches returns the ABIs of this machine in the order of the programs' enum
// abi: native, compat, x32.
func arches() []abi.Arch {
	if runtime.GOARCH == "arm64" {
		return []abi.Arch{abi.AArch64, abi.ARM}
	}
	return []abi.Arch{abi.X8664, abi.X86, abi.X32}
}

// tuplesMax is how many different arguments of one call are listed in a phase; a
// call that has more is taken to have any. The kernel keeps no more than 255.
const tuplesMax = 64

// argspec returns which arguments of a system call to record; the zero value for
// none.
func argspec(arch abi.Arch, name string) recorderArgspec {
	switch name {
	case "clone3":
		return recorderArgspec{Kind: recorderArgsKindARGS_CLONE3, Max: tuplesMax}
	case "socketcall":
		return recorderArgspec{Kind: recorderArgsKindARGS_SOCKETCALL, Max: tuplesMax}
	}
	args := arch.Arguments(name)
	if args == nil {
		return recorderArgspec{}
	}
	s := recorderArgspec{Kind: recorderArgsKindARGS_PLAIN, Max: tuplesMax}
	for i, a := range args {
		s.Index[i], s.Mask[i] = a.Index, a.Mask
	}
	return s
}

// argspecs returns the table that the programs look up calls of an ABI in, so
// that the numbers of calls stay in package abi. x32 has none: its calls are
// recorded without arguments.
func argspecs(i uint32) *recorderArgtable {
	var table recorderArgtable
	arch := arches()[i]
	for nr := range table.Of {
		if name, ok := arch.Name(uint32(nr)); ok {
			table.Of[nr] = argspec(arch, name)
		}
	}
	return &table
}

// args returns t's values as arguments of a call with spec.
func (t recorderTuple) args(spec recorderArgspec) []evidence.Arg {
	if spec.Kind != recorderArgsKindARGS_PLAIN {
		return []evidence.Arg{{Index: 0, Value: t.V[0]}}
	}
	var out []evidence.Arg
	for i, mask := range spec.Mask {
		if mask != 0 {
			out = append(out, evidence.Arg{Index: spec.Index[i], Value: t.V[i]})
		}
	}
	return out
}

// socket returns the socket that t asks for in a call called name, if it does.
func (t recorderTuple) socket(name string) (evidence.Socket, bool) {
	v := t.V[:3]
	switch name {
	case "socket", "socketpair":
	case "socketcall":
		if t.V[0] != sysSocket && t.V[0] != sysSocketpair {
			return evidence.Socket{}, false
		}
		v = t.V[1:]
	default:
		return evidence.Socket{}, false
	}
	return evidence.Socket{
		Family: uint32(v[0]), Type: uint32(v[1]), Protocol: uint32(v[2]),
		Phase: phases(t.Call.Phase), Basis: evidence.Observed,
	}, true
}
