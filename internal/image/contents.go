package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// contents keeps what the files of an image hold: in a temporary file without a
// name, which is mapped into memory once all is there. What nobody looks at takes
// no memory then, and a scan looks at a small part of an image. The file costs as
// much as memory would: nothing of it need ever get to a disk. Where there is no
// room for it, memory it is.
type contents struct {
	total  int64
	file   *os.File // nil before anything was put there
	full   bool     // nothing more goes there
	size   int64    // of file
	tail   []byte   // what comes behind it
	mapped []byte
}

// place is where the contents of a file are: data, or a stretch of what is in the
// temporary file and behind it.
type place struct {
	data   []byte
	offset int64
	size   int64
}

const tailSize = 1 << 20

// keep reads a file of which head was read already. The size is what a header
// claims.
func (c *contents) keep(head []byte, size int64, r io.Reader) (place, error) {
	if c.total += size; c.total > maxKept {
		return place{}, errors.New("the image holds more programs than profgen keeps")
	}
	if c.full {
		return read(head, size, r)
	}
	p := place{offset: c.size + int64(len(c.tail))}
	c.tail = append(c.tail, head...)
	for {
		if cap(c.tail)-len(c.tail) < bytes.MinRead {
			c.flush()
		}
		n, err := io.ReadFull(r, c.tail[len(c.tail):cap(c.tail)])
		c.tail = c.tail[:len(c.tail)+n]
		switch {
		case err == nil:
			continue
		case err != io.EOF && err != io.ErrUnexpectedEOF:
			return place{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if p.size = c.size + int64(len(c.tail)) - p.offset; p.size != size {
			return place{}, fmt.Errorf("%w: %d of %d bytes", ErrDamaged, p.size, size)
		}
		return p, nil
	}
}

// read reads the rest of a file into memory that grows with what is really there:
// sizes lie.
func read(head []byte, size int64, r io.Reader) (place, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(size, maxSized)+bytes.MinRead))
	buf.Write(head)
	if _, err := io.Copy(buf, r); err != nil {
		return place{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return place{data: buf.Bytes(), size: int64(buf.Len())}, nil
}

// flush makes room in the tail: by writing it, or by making it longer.
func (c *contents) flush() {
	if cap(c.tail) == 0 {
		c.tail = make([]byte, 0, tailSize)
		return
	}
	if c.file == nil && !c.full {
		file, err := os.CreateTemp("", "profgen-")
		if err == nil && os.Remove(file.Name()) == nil {
			c.file = file
		}
	}
	if c.file != nil && !c.full {
		if _, err := c.file.WriteAt(c.tail, c.size); err == nil {
			c.size += int64(len(c.tail))
			c.tail = c.tail[:0]
			return
		}
	}
	c.full = true
	c.tail = slices.Grow(c.tail, tailSize)
}

// done maps the temporary file, once everything is there.
func (c *contents) done() (err error) {
	c.tail = slices.Clone(c.tail)
	if c.size > 0 {
		c.mapped, err = unix.Mmap(int(c.file.Fd()), 0, int(c.size), unix.PROT_READ, unix.MAP_SHARED)
	}
	return err
}

// at returns what is at a place. It must not be changed.
func (c *contents) at(p place) ([]byte, error) {
	low, high := p.offset, p.offset+p.size
	switch {
	case p.data != nil || p.size == 0:
		return p.data, nil
	case low >= c.size:
		return c.tail[low-c.size : high-c.size : high-c.size], nil
	case c.mapped == nil:
		return nil, os.ErrClosed
	case high <= c.size:
		return c.mapped[low:high:high], nil
	}
	return slices.Concat(c.mapped[low:], c.tail[:high-c.size]), nil
}

// relax lets the kernel take back the memory of what was looked at: who looks
// again has it again.
func (c *contents) relax() {
	if c.mapped != nil {
		unix.Madvise(c.mapped, unix.MADV_DONTNEED)
	}
}

// Close gives back the temporary file and its memory.
func (c *contents) Close() error {
	c.full = true
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	if c.mapped != nil {
		err = errors.Join(err, unix.Munmap(c.mapped))
		c.mapped = nil
	}
	return err
}
