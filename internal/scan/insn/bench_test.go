package insn

import (
	"debug/elf"
	"path/filepath"
	"testing"
)

// benchText returns the code of the largest program that is there.
func benchText(b *testing.B, patterns ...string) ([]byte, uint64, extents) {
	b.Helper()
	for _, pattern := range patterns {
		files, _ := filepath.Glob(pattern)
		if len(files) == 0 {
			continue
		}
		f, err := elf.Open(files[0])
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		functions, err := frames(f)
		if err != nil {
			b.Fatal(err)
		}
		section := f.Section(".text")
		text, err := section.Data()
		if err != nil {
			b.Fatal(err)
		}
		return text, section.Addr, functions
	}
	b.Skip("none of ", patterns)
	return nil, 0, nil
}

func benchmarkSweep(b *testing.B, m *Machine, patterns ...string) {
	text, addr, functions := benchText(b, patterns...)
	var out Sweep
	insts := 0
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, f := range functions {
			if from, to := f[0]-addr, f[1]-addr; to <= uint64(len(text)) && from < to {
				m.Sweep(text[from:to], f[0], SweepOptions{}, &out)
				insts += out.Insts
			}
		}
	}
	b.ReportMetric(float64(insts)/b.Elapsed().Seconds()/1e6, "Minst/s")
}

func BenchmarkSweepX86(b *testing.B) {
	benchmarkSweep(b, X8664(), "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", "/usr/lib/gcc/x86_64-linux-gnu/*/cc1", "/lib/x86_64-linux-gnu/libc.so.6")
}
