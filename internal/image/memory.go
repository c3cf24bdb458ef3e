package image

import "golang.org/x/sys/unix"

// largeMemory returns n bytes of zeros that the garbage collector does not know
// of. They come in large pages if the kernel has some, and the next page fault
// costs nothing; unix.Munmap gives them back at once.
func largeMemory(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without them has small ones
	}
	return b, err
}
