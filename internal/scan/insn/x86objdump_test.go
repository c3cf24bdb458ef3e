package insn

import (
	"debug/elf"
	"path/filepath"
	"strings"
	"testing"
)

// corpus are the programs whose code objdump and the decoder must cut alike,
// by patterns. Go programs have no frames, and no data among their code.
var corpus = []string{
	"/lib64/ld-linux-x86-64.so.2",
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/lib/x86_64-linux-gnu/libm.so.6",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libssl.so.3",
	"/usr/lib/x86_64-linux-gnu/libgcrypt.so.20",
	"/usr/lib/x86_64-linux-gnu/libzstd.so.1",
	"/bin/bash",
	"/usr/bin/perl",
	"/usr/bin/python3.11",
	"/usr/bin/git",
	"/usr/lib/gcc/x86_64-linux-gnu/*/cc1",
	"/usr/bin/podman",
	"/usr/sbin/runc",
	"/usr/bin/x86_64-linux-gnu-ld.bfd",
	"/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1",
}

// tally counts what a comparison saw.
type tally struct {
	files, insts, wrong, outside, outsideWrong, bad int
	avx512, cet                                     int // of insts
}

func (a *tally) add(b tally) {
	a.files += b.files
	a.insts += b.insts
	a.wrong += b.wrong
	a.outside += b.outside
	a.outsideWrong += b.outsideWrong
	a.bad += b.bad
	a.avx512 += b.avx512
	a.cet += b.cet
}

func TestX86Objdump(t *testing.T) {
	objdump := need(t, "objdump", "binutils")
	var total tally
	for _, pattern := range corpus {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Logf("%s: not there", pattern)
			continue
		}
		total.add(compareX86(t, objdump, files[0]))
	}
	t.Logf("%d files, %d instructions in functions, %d wrong; outside %d, %d different; %d lines of objdump that are no instruction",
		total.files, total.insts, total.wrong, total.outside, total.outsideWrong, total.bad)
	t.Logf("x86-64 lengths against objdump: %d instructions of %d binaries, %d wrong; %d of AVX-512, %d of CET",
		total.insts, total.files, total.wrong, total.avx512, total.cet)
	if total.files < 12 || total.insts < 10_000_000 || total.avx512 == 0 || total.cet == 0 {
		t.Error("too little was compared: scripts/install-missing test installs what is missing")
	}
}

func compareX86(t *testing.T, objdump, file string) tally {
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	functions, err := frames(f)
	if err != nil {
		t.Fatal(file, err)
	}
	section := f.Section(".text")
	text, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	goCode := f.Section(".gopclntab") != nil
	c := cutter{text: text, addr: section.Addr}
	n := tally{files: 1}
	disassemble(t, objdump, file, func(l listed) {
		same := c.agrees(l)
		switch {
		case opaqueText(l.text):
			n.bad++
		case goCode || functions.has(l.addr):
			n.insts++
			n.avx512 += count(l.code[0] == 0x62) // EVEX: nothing else begins so in 64-bit code
			n.cet += count(strings.HasPrefix(l.text, "endbr64") || strings.Contains(l.text, "notrack") || strings.HasPrefix(l.text, "rdssp"))
			if !same {
				n.wrong++
				t.Errorf("%s %x: % x %s: %d bytes", file, l.addr, l.code, l.text, c.in.len)
			}
		default:
			n.outside++
			if !same {
				n.outsideWrong++
			}
		}
	}, "-j", ".text")
	t.Logf("%-45s %9d instructions, %d wrong; outside functions %d, %d different", file, n.insts, n.wrong, n.outside, n.outsideWrong)
	return n
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cutter compares how objdump and the decoder cut code.
type cutter struct {
	text []byte
	addr uint64
	in   x86Inst
	end  uint64 // of an instruction whose prefix objdump listed alone; else 0
}

// agrees reports whether the decoder cuts the instruction like objdump, which
// has two habits: it joins fwait to the x87 instruction after it, and lists a
// REX prefix that is void, as another prefix follows, alone.
func (c *cutter) agrees(l listed) bool {
	ok := c.in.decode(c.text[l.addr-c.addr:])
	end := l.addr + uint64(len(l.code))
	wantEnd := c.end
	c.end = 0
	switch {
	case wantEnd != 0 && wantEnd != end || !ok:
		return false
	case l.code[0] == 0x9b:
		return c.in.len == 1
	case len(l.code) == 1 && strings.HasPrefix(l.text, "rex"):
		c.end = l.addr + uint64(c.in.len)
		return true
	}
	return int(c.in.len) == len(l.code)
}
