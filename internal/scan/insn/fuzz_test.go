package insn

import "testing"

// seeds are functions of the kinds that need care: x86-64, then arm64.
var seeds = []string{
	"\xf3\x0f\x1e\xfa\x55\x48\x89\xe5\x8b\x05\x10\x00\x00\x00\xe8\x00\x10\x00\x00\x5d\xc3",
	"\x62\xf1\x7c\x48\x11\x40\x01\xc5\xf8\x77\xc4\xe2\x7b\xf6\xc0\x8f\xe9\x78\x01\xc8\xd5\x48\x01\xc0",
	"\xf3\x48\xab\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00\x0f\x05\xcd\x80\x0f\x34\xf4",
	"\x83\xf8\x07\x77\x02\xff\x24\xc5\x00\x10\x40\x00\xc8\x10\x00\x03",
	"\x00\x00\x00\x90\x01\x8c\x04\x91\x20\x00\x1f\xd6\x01\x00\x00\xd4\xc0\x03\x5f\xd6",
	"\x80\x00\x00\xb4\x13\x00\x00\xd0\xfe\xff\xff\x17\x60\x06\x40\xf9\x20\x04\x41\xa9",
}

// sweepAndLift checks what must hold of any bytes: no panic, progress, sites
// inside the code, and Insts in order.
func sweepAndLift(t *testing.T, m *Machine, code []byte, addr uint64) {
	t.Helper()
	var out Sweep
	m.Sweep(code, addr, SweepOptions{Absolute: true, Low: addr, High: addr + 1<<20}, &out)
	if out.Insts < 0 || out.Bad < 0 || out.Insts+out.Bad > len(code) {
		t.Errorf("%d instructions and %d bad in %d bytes", out.Insts, out.Bad, len(code))
	}
	inside := func(site uint64) {
		if site-addr >= uint64(len(code)) {
			t.Errorf("site %#x outside", site)
		}
	}
	for _, b := range out.Branches {
		inside(b.Site)
		if b.Target-addr < uint64(len(code)) {
			t.Errorf("target %#x inside", b.Target)
		}
	}
	for _, r := range out.Refs {
		inside(r.Site)
	}
	for _, s := range append(out.Syscalls, out.Legacy...) {
		inside(s)
	}
	last := uint64(0)
	for _, i := range m.Lift(nil, code, addr) {
		inside(i.Addr)
		if off := i.Addr - addr; off < last || i.Len == 0 || off+uint64(i.Len) > uint64(len(code)) {
			t.Errorf("%+v after offset %#x", i, last)
		}
		last = i.Addr - addr
		checkRegs(t, m, i)
	}
	m.PLTSlot(code, addr)
}

// checkRegs demands that an Inst names only registers of the machine.
func checkRegs(t *testing.T, m *Machine, i Inst) {
	t.Helper()
	for _, r := range []Reg{i.Dst, i.A, i.B, i.Mem.Base, i.Mem.Index} {
		if r != NoReg && int(r) >= m.Regs {
			t.Errorf("%+v: register %d", i, r)
		}
	}
	computes := i.Op >= Set && i.Op <= Load
	if computes != (i.Dst != NoReg) || i.Clobbers>>m.Regs != 0 || computes && (i.Width == 0 || i.Width > 8) {
		t.Errorf("%+v: wrong destination, clobbers or width", i)
	}
	if i.Op >= Copy && i.Op <= Choose && i.A == NoReg {
		t.Errorf("%+v: no operand", i)
	}
}

func FuzzX86(f *testing.F) { fuzz(f, X8664()) }

func FuzzARM64(f *testing.F) { fuzz(f, ARM64()) }

func fuzz(f *testing.F, m *Machine) {
	for _, s := range seeds {
		f.Add([]byte(s), uint64(base))
		f.Add([]byte(s), ^uint64(0)-8)
	}
	f.Fuzz(func(t *testing.T, code []byte, addr uint64) { sweepAndLift(t, m, code, addr) })
}
