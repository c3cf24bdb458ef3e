//go:build linux && (amd64 || arm64)

package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/insn"
)

// leastDecoded is the bar of the decoder: instructions a second of one core.
const leastDecoded = 40e6

// decoded are Debian's programs that the decoder is timed on: those whose lengths
// are compared with objdump's (internal/scan/insn), as far as they are there.
func decoded() []string {
	return []string{
		"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libssl.so.3",
		"/usr/lib/x86_64-linux-gnu/libgcrypt.so.20", "/usr/lib/x86_64-linux-gnu/libzstd.so.1", "/bin/bash", "/usr/bin/perl",
		"/usr/bin/python3.11", "/usr/bin/git", "/usr/lib/gcc/x86_64-linux-gnu/*/cc1", "/usr/bin/podman", "/usr/sbin/runc",
		"/usr/bin/x86_64-linux-gnu-ld.bfd", "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1",
	}
}

// decoder sweeps every function of the programs and prints how fast; false if the
// bar was not kept. What counts is the processor time of the one thread.
func decoder(out io.Writer) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "DECODER\tINSTRUCTIONS\tMILLION A SECOND OF ONE CORE\tBAR\t")
	files, insts, took := 0, 0, time.Duration(0)
	for _, pattern := range decoded() {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			continue
		}
		n, t, err := sweepAll(found[0])
		if err != nil {
			return false, fmt.Errorf("%s: %w", found[0], err)
		}
		files, insts, took = files+1, insts+n, took+t
		fmt.Fprintf(w, "%s\t%d\t%.1f\t-\t\n", filepath.Base(found[0]), n, speed(n, t))
	}
	if files < 12 || insts < 10_000_000 {
		return false, errors.New("decoder: too few of Debian's programs are there: scripts/install-missing test")
	}
	all := speed(insts, took)
	verdict := "ok"
	if all*1e6 < leastDecoded {
		verdict = "under"
	}
	fmt.Fprintf(w, "all %d\t%d\t%.1f\t>= %.0f %s\t\n", files, insts, all, leastDecoded/1e6, verdict)
	return verdict == "ok", w.Flush()
}

func speed(insts int, took time.Duration) float64 { return float64(insts) / took.Seconds() / 1e6 }

// sweepAll sweeps every function of a program twice and returns the faster time.
func sweepAll(name string) (insts int, took time.Duration, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	f, err := elfx.Parse(data)
	if err != nil {
		return 0, 0, err
	}
	if f.Machine != elf.EM_X86_64 {
		return 0, 0, errors.New("no x86-64 program")
	}
	m, sweep := insn.X8664(), insn.Sweep{}
	for range 2 {
		insts = 0
		begun := threadTime()
		for _, fn := range f.Functions {
			m.Sweep(f.Bytes(fn.Start, int(fn.End-fn.Start)), fn.Start, insn.SweepOptions{}, &sweep)
			insts += sweep.Insts
		}
		if t := threadTime() - begun; took == 0 || t < took {
			took = t
		}
	}
	return insts, took, nil
}
