//go:build linux && (amd64 || arm64)

package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// latency is how long an event may wait in the ring before it is read, unless
// there are many or it is urgent: waking a reader for each costs the workload
// more than all the rest.
const latency = 100 * time.Millisecond

// stream reads the events that the programs send, as they come.
type stream struct {
	ring *ringbuf.Reader
	done chan struct{} // closed once nobody reads any more

	mu      sync.Mutex
	used    *usage
	waiting []chan struct{} // to be closed when the ring has been read empty
	err     error           // why the reading ended
}

func newStream(events *ebpf.Map) (*stream, error) {
	ring, err := ringbuf.NewReader(events)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	s := &stream{ring: ring, done: make(chan struct{}), used: newUsage(newRoots())}
	go s.read()
	return s, nil
}

// follow keeps the root directory of process pid, which is that of what it
// starts.
func (s *stream) follow(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used.roots.home = openRoot(pid)
}

// readerNice lets the reader run before what it reads about: a workload of many
// busy tasks would leave it too small a share of the processors to keep up.
const readerNice = -15

func (s *stream) read() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked, so that the thread ends with its priority
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, readerNice)
	var rec ringbuf.Record
	for {
		s.ring.SetDeadline(time.Now().Add(latency))
		for {
			err := s.ring.ReadInto(&rec)
			if err == nil {
				err = s.take(rec.RawSample)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if !s.goOn(err) {
				return
			}
		}
	}
}

// take takes in one event.
func (s *stream) take(raw []byte) error {
	e, err := parseEvent(raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used.add(e)
	return nil
}

// goOn tells those who wait for it that the ring was empty, if that is what err
// says; false if there is nothing more to read.
func (s *stream) goOn(err error) bool {
	if err == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	flushed := errors.Is(err, ringbuf.ErrFlushed)
	if !flushed {
		s.err = err
	}
	for _, w := range s.waiting {
		close(w)
	}
	s.waiting = nil
	return flushed
}

// drain waits until what is in the ring has been read, and returns a copy of all
// that was.
func (s *stream) drain() (*usage, error) {
	empty := make(chan struct{})
	s.mu.Lock()
	if s.err == nil {
		s.waiting = append(s.waiting, empty)
	}
	err := s.err
	s.mu.Unlock()
	if err == nil {
		if err = s.ring.Flush(); err == nil {
			<-empty
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used.clone(), nil
}

func (s *stream) close() error {
	err := s.ring.Close()
	<-s.done
	s.used.roots.close()
	return err
}

// event is what the programs send.
type event struct {
	recorderEvent
	parts [5]string // by enum part, each without the NUL at its end
}

// The parts of an event's text.
const (
	name0 = iota
	base0
	name1
	base1
	fsType
)

// headerSize is where an event's text begins.
const headerSize = int(unsafe.Offsetof(recorderEvent{}.Text))

func parseEvent(raw []byte) (*event, error) {
	if len(raw) < headerSize {
		return nil, fmt.Errorf("event of %d bytes: too short", len(raw))
	}
	e := &event{}
	in := binary.NativeEndian
	e.Exe, e.Pid, e.Tgid, e.Uid, e.Fsuid = in.Uint64(raw), in.Uint32(raw[8:]), in.Uint32(raw[12:]), in.Uint32(raw[16:]), in.Uint32(raw[20:])
	e.Kind, e.Perms = recorderEventKind(in.Uint32(raw[24:])), [2]uint8{raw[28], raw[29]}
	e.Mode, e.Error, e.Flags = in.Uint16(raw[30:]), in.Uint16(raw[32:]), raw[34]
	e.Self = in.Uint32(raw[36:])
	e.Call = recorderCall{Phase: recorderPhase(in.Uint32(raw[40:])), Abi: recorderAbi(in.Uint32(raw[44:])), Nr: in.Uint32(raw[48:])}
	e.Arg, e.By, e.Mnt = in.Uint64(raw[56:]), in.Uint64(raw[64:]), in.Uint64(raw[72:])
	text := raw[headerSize:]
	for i := range e.Len {
		n := int(in.Uint16(raw[80+2*i:]))
		if n > len(text) {
			return nil, fmt.Errorf("event: part %d has %d bytes of %d", i, n, len(text))
		}
		e.Len[i] = uint16(n)
		if n > 0 {
			e.parts[i] = string(text[:n-1])
		}
		text = text[n:]
	}
	return e, nil
}
