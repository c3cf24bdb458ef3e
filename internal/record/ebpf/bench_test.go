//go:build linux && (amd64 || arm64)

package ebpf

import (
	"testing"

	"github.com/profgen/profgen/internal/record"
)

// BenchmarkSnapshot measures a snapshot of a small workload: it is taken every
// second.
func BenchmarkSnapshot(b *testing.B) {
	r := newRecorder(b, Options{})
	l := launch(b, "/bin/sh", "-c", "ls -l /etc | sort | head -1")
	if err := r.Follow(l.cmd.Process.Pid, record.AtExec); err != nil {
		b.Fatal(err)
	}
	l.run(b)
	for b.Loop() {
		if _, err := r.Snapshot(); err != nil {
			b.Fatal(err)
		}
	}
}
