package insn

import (
	"debug/elf"
	"path/filepath"
	"syscall"
	"testing"
	"time"
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

// benchmarkSweep sweeps every function of the first program that is there. Its
// figure counts processor time too, as a busy machine gives it but a share.
func benchmarkSweep(b *testing.B, m *Machine, opt SweepOptions, patterns ...string) {
	text, addr, functions := benchText(b, patterns...)
	var out Sweep
	insts := 0
	before := processorTime(b)
	for b.Loop() {
		for _, f := range functions {
			if from, to := f[0]-addr, f[1]-addr; to <= uint64(len(text)) && from < to {
				m.Sweep(text[from:to], f[0], opt, &out)
				insts += out.Insts
			}
		}
	}
	b.ReportMetric(float64(insts)/b.Elapsed().Seconds()/1e6, "Minst/s")
	b.ReportMetric(float64(insts)/(processorTime(b)-before).Seconds()/1e6, "Minst/cpu-s")
}

// processorTime is what the process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const (
	llvm = "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"
	cc1  = "/usr/lib/gcc/x86_64-linux-gnu/*/cc1"
)

func BenchmarkSweepX86(b *testing.B) {
	benchmarkSweep(b, X8664(), SweepOptions{}, llvm, cc1, "/lib/x86_64-linux-gnu/libc.so.6")
}

func BenchmarkSweepX86Absolute(b *testing.B) {
	benchmarkSweep(b, X8664(), SweepOptions{Absolute: true, Low: 0x400000, High: 0x2800000}, cc1)
}

func BenchmarkSweepARM64(b *testing.B) {
	benchmarkSweep(b, ARM64(), SweepOptions{}, armLibraries+"/libc.so.6")
}

func BenchmarkLiftX86(b *testing.B) {
	text, addr, functions := benchText(b, "/lib/x86_64-linux-gnu/libc.so.6")
	var insts []Inst
	n := 0
	for b.Loop() {
		for _, f := range functions {
			if from, to := f[0]-addr, f[1]-addr; to <= uint64(len(text)) && from < to {
				insts = X8664().Lift(insts[:0], text[from:to], f[0])
				n += len(insts)
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mlifted/s")
}
