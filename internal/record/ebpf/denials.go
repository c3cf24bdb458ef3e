//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// denials reads what the programs send of refused calls. It asks /proc about
// the process at once: it may be gone soon.
type denials struct {
	ring *ringbuf.Reader
	done chan struct{}

	mu    sync.Mutex
	all   []record.Refusal
	empty chan struct{} // told when the ring has been read empty; nil if nobody asks
	err   error
}

func newDenials(m *ebpf.Map) (*denials, error) {
	ring, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("read refused calls: %w", err)
	}
	d := &denials{ring: ring, done: make(chan struct{})}
	go d.read()
	return d, nil
}

func (d *denials) read() {
	defer close(d.done)
	var rec ringbuf.Record
	for {
		err := d.ring.ReadInto(&rec)
		var refusal record.Refusal
		if err == nil {
			refusal, err = refusalOf(rec.RawSample)
		}
		d.mu.Lock()
		switch {
		case err == nil:
			d.all = append(d.all, refusal)
		case errors.Is(err, ringbuf.ErrFlushed):
			if d.empty != nil {
				close(d.empty)
				d.empty = nil
			}
		default:
			if !errors.Is(err, os.ErrClosed) {
				d.err = err
			}
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// drain returns all that was sent so far.
func (d *denials) drain() ([]record.Refusal, error) {
	d.mu.Lock()
	empty := d.empty
	if empty == nil {
		empty = make(chan struct{})
		d.empty = empty
	}
	d.mu.Unlock()
	if err := d.ring.Flush(); err != nil {
		return nil, fmt.Errorf("read refused calls: %w", err)
	}
	select {
	case <-empty:
	case <-d.done:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, fmt.Errorf("read refused calls: %w", d.err)
	}
	return append([]record.Refusal{}, d.all...), nil
}

func (d *denials) close() error {
	err := d.ring.Close()
	<-d.done
	return err
}

// denial is struct denial of maps.h.
type denial struct {
	Kind recorderTuple
	Args [6]uint64
	Ret  uint64
	Ip   uint64
	Tgid uint32
	Zero uint32
	Comm [16]byte
}

// refusalOf reads an event.
func refusalOf(raw []byte) (record.Refusal, error) {
	var e denial
	if want := binary.Size(e); len(raw) < want {
		return record.Refusal{}, fmt.Errorf("read a refused call: %d bytes, want %d", len(raw), want)
	}
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, &e); err != nil {
		return record.Refusal{}, fmt.Errorf("read a refused call: %w", err)
	}
	arch := e.Kind.Call.arch()
	name, _ := arch.Name(e.Kind.Call.Nr)
	out := record.Refusal{
		Arch: arch, Nr: e.Kind.Call.Nr, Name: name, Phase: phases(e.Kind.Call.Phase),
		Args: e.Args, Comm: string(bytes.TrimRight(e.Comm[:], "\x00")), Result: int64(e.Ret),
	}
	if spec := argspec(arch, name); spec.filtered() && e.Kind.Call.Abi < 2 {
		out.Filtered = e.Kind.args(spec)
	}
	out.Process, out.Site = processOf(e.Tgid), siteOf(e.Tgid, e.Ip)
	return out, nil
}

// processOf is the program that process pid runs, as its container names it; ""
// if it is gone.
func processOf(pid uint32) string {
	name, err := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/exe")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(name, " (deleted)")
}

// maxMaps bounds how much is read of a process's mappings.
const maxMaps = 4 << 20

// siteOf is where in which object a process is at an address: "/usr/lib/libc.so.6
// +0x10d4b0"; "" if the process is gone, or the code is in no file.
func siteOf(pid uint32, ip uint64) string {
	f, err := os.Open("/proc/" + strconv.Itoa(int(pid)) + "/maps")
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	read := 0
	for lines.Scan() && read < maxMaps {
		read += len(lines.Bytes())
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, errStart := strconv.ParseUint(from, 16, 64)
		end, errEnd := strconv.ParseUint(to, 16, 64)
		offset, errOffset := strconv.ParseUint(fields[2], 16, 64)
		if errStart != nil || errEnd != nil || errOffset != nil || ip < start || ip >= end {
			continue
		}
		return fmt.Sprintf("%s+%#x", strings.Join(fields[5:], " "), ip-start+offset)
	}
	return ""
}

// withDetails gives refusals that the sets have what was sent of them: as many
// as there are kinds.
func withDetails(all, sent []record.Refusal) []record.Refusal {
	type call struct {
		arch  string
		nr    uint32
		phase evidence.Phase
	}
	key := func(r record.Refusal) call { return call{string(r.Arch), r.Nr, r.Phase} }
	known := map[call][]record.Refusal{}
	for _, r := range sent {
		known[key(r)] = append(known[key(r)], r)
	}
	var out []record.Refusal
	for _, r := range all {
		if detailed := known[key(r)]; len(detailed) > 0 {
			out = append(out, detailed...)
			continue
		}
		out = append(out, r)
	}
	return out
}
