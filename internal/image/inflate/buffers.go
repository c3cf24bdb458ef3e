package inflate

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// buffers are the buffers that nobody uses. They lie outside of the heap: in
// large pages, since filling small ones for the first time takes the kernel as
// long as unpacking what goes in; and given back at once, since what a scan does
// next wants as much memory.
type buffers struct {
	mu    sync.Mutex
	free  []*buffer
	slabs [][]byte
}

const slabSize = 4 << 20

// get returns a buffer with nothing in it. The one given back last comes first:
// it may still be in the processor's cache.
func (s *buffers) get() *buffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		s.grow()
	}
	b := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return b
}

func (s *buffers) grow() {
	slab, err := unix.Mmap(-1, 0, slabSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		s.free = append(s.free, &buffer{data: make([]byte, bufferRoom)})
		return
	}
	unix.Madvise(slab, unix.MADV_HUGEPAGE) // a kernel without large pages has small ones
	s.slabs = append(s.slabs, slab)
	for ; len(slab) >= bufferRoom; slab = slab[bufferRoom:] {
		s.free = append(s.free, &buffer{data: slab[:bufferRoom:bufferRoom]})
	}
}

func (s *buffers) put(b *buffer) {
	s.mu.Lock()
	s.free = append(s.free, b)
	s.mu.Unlock()
}

// close gives all memory back. No buffer may be used any more.
func (s *buffers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, slab := range s.slabs {
		errs = append(errs, unix.Munmap(slab))
	}
	s.free, s.slabs = nil, nil
	return errors.Join(errs...)
}
