//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"flag"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/recordtest"
)

var update = flag.Bool("update", false, "rewrite the table of what the demo program does")

// TestDemo: of each privilege alone, exactly what it is.
func TestDemo(t *testing.T) {
	r := newRecorder(t, Options{Files: true})
	if len(r.missing) != 0 {
		t.Logf("programs that this kernel does not take: %v", r.missing)
	}
	run := func(t *testing.T, argv ...string) (record.Snapshot, int) {
		r.reset(t)
		l := launch(t, argv...)
		if err := r.Follow(l.cmd.Process.Pid, record.AtExec); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		err := l.wait()
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return snapshot(t, r), l.cmd.ProcessState.ExitCode()
	}
	recordtest.NewDemo(t, "../../..").Check(t, *update, run, nil)
}

// reset makes r forget what it has seen: loading another one takes longer.
func (r *Recorder) reset(t *testing.T) {
	t.Helper()
	forget(t, r.maps[recorderMapTuples], recorderTuple{}, uint8(0))
	forget(t, r.maps[recorderMapCalls], recorderCall{}, uint8(0))
	forget(t, r.maps[recorderMapRefusals], recorderCall{}, uint8(0))
	forget(t, r.maps[recorderMapChecks], recorderCheck{}, uint8(0))
	forget(t, r.maps[recorderMapMeetings], recorderMeeting{}, uint8(0))
	forget(t, r.maps[recorderMapSent], uint64(0), uint8(0))
	forget(t, r.maps[recorderMapMissed], uint64(0), uint8(0))
	for p := range recorderPhasePHASE_MAX {
		if err := r.maps[recorderMapSets].Put(uint32(p), &recorderSet{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.maps[recorderMapCounters].Put(uint32(0), &recorderTally{}); err != nil {
		t.Fatal(err)
	}
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	r.stream.used.roots.close()
	r.stream.used = newUsage(newRoots())
}

// forget removes all keys from a map.
func forget[K, V any](t *testing.T, m *ebpf.Map, key K, val V) {
	t.Helper()
	var all []K
	it := m.Iterate()
	for it.Next(&key, &val) {
		all = append(all, key)
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if err := m.Delete(&k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatal(err)
		}
	}
}
