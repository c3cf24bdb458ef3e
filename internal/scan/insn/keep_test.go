package insn_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/profgen/profgen/internal/scan/insn"
)

// FuzzRecall: what is recalled is what was swept, whatever the code; and what was
// never appended neither panics nor takes more memory than it has bytes.
func FuzzRecall(f *testing.F) {
	f.Add([]byte("\xe8\x00\x00\x00\x00\x0f\x05\xc3"), []byte{})
	f.Add([]byte("\x48\x8d\x3d\x10\x00\x00\x00\xff\x25\x00\x00\x00\x00"), []byte{0, 1, 0, 0, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte("\x00\x00\x00\x94\x01\x00\x00\xd4"), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, code, record []byte) {
		const addr = 0x401000
		for _, m := range []*insn.Machine{insn.X8664(), insn.ARM64()} {
			var want, got insn.Sweep
			m.Sweep(code, addr, insn.SweepOptions{Absolute: true, Low: 0, High: 1 << 40}, &want)
			b := want.Append(nil, addr)
			if !got.Recall(b, addr) {
				t.Fatalf("%s: not recalled: %+v", m.Name, want)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-swept +recalled):\n%s", m.Name, diff)
			}
			if len(b) > 0 && got.Recall(b[:len(b)-1], addr) {
				t.Errorf("%s: recalled from less than it takes", m.Name)
			}
			got.Recall(record, addr)
		}
	})
}
