//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/profgen/profgen/internal/record"
)

// held returns the kernel's numbers of the programs and maps of r.
func held(t *testing.T, r *Recorder) (progs []ebpf.ProgramID, maps []ebpf.MapID) {
	t.Helper()
	for name, p := range r.progs {
		info, err := p.Info()
		if err != nil {
			t.Fatal(name, err)
		}
		id, _ := info.ID()
		progs = append(progs, id)
	}
	for name, m := range r.maps {
		info, err := m.Info()
		if err != nil {
			t.Fatal(name, err)
		}
		id, _ := info.ID()
		maps = append(maps, id)
	}
	return progs, maps
}

// wantGone waits for the kernel to have let go of programs and maps: it may
// take it an RCU grace period.
func wantGone(t *testing.T, progs []ebpf.ProgramID, maps []ebpf.MapID) {
	t.Helper()
	if len(progs) == 0 || len(maps) == 0 {
		t.Fatal("nothing was there in the first place")
	}
	for _, id := range progs {
		gone(t, fmt.Sprintf("program %d", id), func() error {
			p, err := ebpf.NewProgramFromID(id)
			if err == nil {
				p.Close()
			}
			return err
		})
	}
	for _, id := range maps {
		gone(t, fmt.Sprintf("map %d", id), func() error {
			m, err := ebpf.NewMapFromID(id)
			if err == nil {
				m.Close()
			}
			return err
		})
	}
}

func gone(t *testing.T, what string, open func() error) {
	t.Helper()
	for range 500 {
		if errors.Is(open(), os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s is still in the kernel", what)
}

func TestClose(t *testing.T) {
	r := newRecorder(t, Options{SeeRefused: true})
	if len(r.missing) != 0 {
		t.Logf("programs that this kernel does not take: %v", r.missing)
	}
	progs, maps := held(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, progs, maps)
	if err := r.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if _, err := r.Snapshot(); !errors.Is(err, errClosed) {
		t.Errorf("Snapshot after Close: %v", err)
	}
	if err := r.Follow(os.Getpid(), record.AtExec); !errors.Is(err, errClosed) {
		t.Errorf("Follow after Close: %v", err)
	}
	if err := r.Attach(os.Getpid()); !errors.Is(err, errClosed) {
		t.Errorf("Attach after Close: %v", err)
	}
}

// TestKilled: of a recorder that is killed, nothing is left.
func TestKilled(t *testing.T) {
	if os.Getenv("PROFGEN_TEST_RECORDER") != "" {
		beKilled(t)
		return
	}
	needBPF(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "PROFGEN_TEST_RECORDER=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var progs []ebpf.ProgramID
	var maps []ebpf.MapID
	for sc := bufio.NewScanner(out); sc.Scan() && sc.Text() != "ready"; {
		var id uint32
		if _, err := fmt.Sscanf(sc.Text(), "program %d", &id); err == nil {
			progs = append(progs, ebpf.ProgramID(id))
		} else if _, err := fmt.Sscanf(sc.Text(), "map %d", &id); err == nil {
			maps = append(maps, ebpf.MapID(id))
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	wantGone(t, progs, maps)
}

// beKilled prints what a recorder holds and waits.
func beKilled(t *testing.T) {
	r := newRecorder(t, Options{SeeRefused: true})
	if err := r.Follow(os.Getppid(), record.AtExec); err != nil {
		t.Fatal(err)
	}
	progs, maps := held(t, r)
	for _, id := range progs {
		fmt.Println("program", id)
	}
	for _, id := range maps {
		fmt.Println("map", id)
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
