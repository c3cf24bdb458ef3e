// Package inflate unpacks gzip files (RFC 1952, RFC 1951) that are in memory as
// a whole, on all processors.
//
// In go the bytes of a file, out come its contents, in order, block by block.
// It is an alternative to a general decoder for one use: reading the layers of
// an image is most of what a scan costs, and a stream that is read from one end
// to the other by one processor sets the pace for everything else. Having all
// input in memory makes one processor about twice as fast as
// github.com/klauspost/compress; guessing where blocks begin lets others help.
//
// The guess is never believed. Whoever begins in the middle of the stream writes
// what it does not know, the 32 KiB before its beginning, as references to it;
// the result is taken only if the decoder that comes from before ends exactly
// where the guess began, so that the bytes are those of a decoder that never
// guessed. Memory is bounded: a file that expands a thousandfold is read no
// faster than its contents are taken.
//
// It does not compare the checksum of a member: whoever reads layers compares
// their SHA-256 digest. It does compare the length.
package inflate

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
)

// Margin is how many bytes of room behind the input save a copy of it.
const Margin = margin

const (
	chunkSize  = 2 << 20
	bufferSize = 256 << 10
	maxHelpers = 7 // each takes memory
)

// errHeader says that there is no gzip member where one must be.
var errHeader = errors.New("no gzip header")

// Reader hands out the contents of a gzip file. Close it after use.
type Reader struct {
	in    []byte // with margin
	size  int
	chunk int // bytes of in, for one processor at a time
	tee   func([]byte)

	made   chan *buffer
	blocks chan *buffer // the same, seen by tee
	quit   chan struct{}
	group  sync.WaitGroup
	free   buffers
	marks  sync.Pool // of *[]uint16

	mu      sync.Mutex
	changed sync.Cond
	current int // chunk that comes next
	next    int // chunk that helpers did not come to
	helpers int
	pieces  map[int]*piece
	closed  bool
	stop    sync.Once

	err   error // valid once blocks is closed
	taken *buffer
	rest  []byte
}

// buffer is a stretch of contents behind what lies before it. The contents are
// data[window:end].
type buffer struct {
	data []byte
	low  int // data[low:window] is known
	end  int
}

// bufferRoom is how long data is.
const bufferRoom = window + bufferSize + slack

// NewReader begins to unpack. The bytes are not to be changed until Close. tee,
// if not nil, is given all contents in order before they are handed out, by one
// goroutine.
func NewReader(data []byte, tee func([]byte)) *Reader { return newReader(data, tee, chunkSize) }

func newReader(data []byte, tee func([]byte), chunk int) *Reader {
	r := &Reader{
		in: append(data, make([]byte, margin)...), size: len(data), chunk: chunk, tee: tee,
		made: make(chan *buffer, 4), blocks: make(chan *buffer, 4), quit: make(chan struct{}), pieces: map[int]*piece{},
	}
	r.changed.L = &r.mu
	r.marks.New = func() any { m := make([]uint16, window+bufferSize); return &m }
	meanings := &alphabets{literals(), offsets(), lengths()}
	r.helpers = min(runtime.GOMAXPROCS(0)-1, r.size/chunk, maxHelpers)
	for range r.helpers {
		r.group.Go(func() { r.help(meanings) })
	}
	r.group.Go(func() {
		defer close(r.made)
		r.err = r.run(meanings)
		r.dismiss()
	})
	r.group.Go(r.pass)
	return r
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.taken != nil {
			r.free.put(r.taken)
			r.taken = nil
		}
		b, ok := <-r.blocks
		if !ok {
			return 0, r.err
		}
		r.taken, r.rest = b, b.data[window:b.end]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends all work. The input is no longer used when it returns.
func (r *Reader) Close() error {
	r.stop.Do(func() { close(r.quit) })
	r.dismiss()
	r.group.Wait()
	for range r.blocks { // nobody takes them any more
	}
	r.err, r.rest, r.taken = errors.New("reader is closed"), nil, nil
	return r.free.close()
}

// pass shows tee what is made.
func (r *Reader) pass() {
	defer close(r.blocks)
	for b := range r.made {
		if r.tee != nil {
			r.tee(b.data[window:b.end])
		}
		select {
		case r.blocks <- b:
		case <-r.quit:
		}
	}
}

// dismiss sends helpers home.
func (r *Reader) dismiss() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.changed.Broadcast()
}

// chunks is how many chunks there are.
func (r *Reader) chunks() int { return (r.size + r.chunk - 1) / r.chunk }

// claim returns what was made of a chunk by others; nil if nobody began it, and
// then nobody will.
func (r *Reader) claim(k int) *piece {
	r.mu.Lock()
	r.current = k
	p := r.pieces[k]
	delete(r.pieces, k)
	r.mu.Unlock()
	r.changed.Broadcast()
	if p != nil {
		<-p.done
	}
	return p
}

// help works on chunks that come later. It leaves every so many of them to run,
// which knows what comes before and is faster: were all begun by helpers, run
// would only wait for them.
func (r *Reader) help(meanings *alphabets) {
	for {
		r.mu.Lock()
		k := r.later()
		for !r.closed && k < r.chunks() && k > r.current+r.ahead() {
			r.changed.Wait()
			k = r.later()
		}
		if r.closed || k >= r.chunks() {
			r.mu.Unlock()
			return
		}
		r.next = k + 1
		p := &piece{r: r, done: make(chan struct{})}
		r.pieces[k] = p
		r.mu.Unlock()
		p.make(meanings, k)
		close(p.done)
	}
}

// later is the next chunk for a helper.
func (r *Reader) later() int {
	k := max(r.next, r.current+1)
	if k%(r.helpers+1) == 0 {
		k++
	}
	return k
}

// ahead is how many chunks helpers may be ahead of the one that comes next: each
// has one to work at, and one of them one that is done.
func (r *Reader) ahead() int { return r.helpers + 2 }

// out puts contents in order.
type out struct {
	r       *Reader
	b       *buffer
	written uint32 // of the member, modulo 2^32
}

// grow hands on what is in the buffer and goes on with another one, that begins
// with the end of it; false if nobody listens any more.
func (o *out) grow() bool {
	last := o.b
	next := o.r.free.get()
	copy(next.data[:window], last.data[last.end-window:last.end])
	next.low, next.end = max(0, last.low-(last.end-window)), window
	o.b = next
	o.written += uint32(last.end - window)
	select {
	case o.r.made <- last:
		return true
	case <-o.r.quit:
		return false
	}
}

// errClosed ends the work when nobody listens any more.
var errClosed = errors.New("closed")

// follow decodes up to the end of the stream, or to the first block from bit stop
// on that a guess could begin with.
func (o *out) follow(d *decoder, stop int) error {
	for {
		if d.kind == none {
			if d.final || d.at() >= stop && d.guessable() {
				return nil
			}
			if err := d.head(); err != nil {
				return err
			}
		}
		var err error
		if o.b.end, err = d.block(o.b.data, o.b.low, o.b.end); err != nil {
			return err
		}
		if o.b.end > len(o.b.data)-slack-1 && !o.grow() {
			return errClosed
		}
	}
}

// run unpacks all members.
func (r *Reader) run(meanings *alphabets) error {
	at, err := header(r.in[:r.size])
	if err != nil {
		return err
	}
	o := &out{r: r, b: r.free.get()}
	o.b.low, o.b.end = window, window
	bit := at * 8
	for k := range r.chunks() {
		stop := (k + 1) * r.chunk * 8
		if bit >= stop && k+1 < r.chunks() {
			if p := r.claim(k); p != nil { // of no use within so long a block
				p.release()
			}
			continue
		}
		d, err := o.chunk(meanings, k, bit)
		if err != nil {
			return err
		}
		for {
			if err := o.follow(d, stop); err != nil {
				return err
			}
			if !d.final {
				break
			}
			more, err := o.member(d)
			if err != nil || !more {
				return err
			}
		}
		bit = d.at()
	}
	return errShort
}

// chunk returns the decoder for a chunk, which begins at bit, and takes what
// others made of the chunk if they began there too.
func (o *out) chunk(meanings *alphabets, k, bit int) (*decoder, error) {
	if p := o.r.claim(k); p != nil {
		defer p.release()
		if p.d != nil && p.start == bit {
			return p.d, o.take(p)
		}
	}
	d := &decoder{alphabets: meanings, in: o.r.in, size: o.r.size}
	d.seek(bit)
	return d, nil
}

// member ends a member and begins the next one; false if there is none.
func (o *out) member(d *decoder) (bool, error) {
	if o.b.end > window && !o.grow() {
		return false, errClosed
	}
	in := o.r.in[:o.r.size]
	at := (d.at() + 7) / 8
	if at+8 > len(in) {
		return false, errShort
	}
	if binary.LittleEndian.Uint32(in[at+4:]) != o.written {
		return false, errCorrupt
	}
	if at += 8; at == len(in) {
		return false, io.EOF
	}
	n, err := header(in[at:])
	if err != nil {
		return false, err
	}
	d.seek((at + n) * 8)
	o.b.low, o.written = window, 0
	return true, nil
}

// header is the length of the header of a member: RFC 1952, 2.3.
func header(in []byte) (int, error) {
	const (
		hasHeaderCRC = 1 << (iota + 1)
		hasExtra
		hasName
		hasComment
	)
	if len(in) < 10 {
		return 0, errShort
	}
	if in[0] != 0x1f || in[1] != 0x8b || in[2] != 8 {
		return 0, errHeader
	}
	flags, at := in[3], 10
	if flags&hasExtra != 0 {
		if at+2 > len(in) {
			return 0, errShort
		}
		at += 2 + int(binary.LittleEndian.Uint16(in[at:]))
	}
	for _, text := range []byte{hasName, hasComment} {
		if flags&text == 0 {
			continue
		}
		for {
			if at >= len(in) {
				return 0, errShort
			}
			if at++; in[at-1] == 0 {
				break
			}
		}
	}
	if flags&hasHeaderCRC != 0 {
		at += 2
	}
	if at > len(in) {
		return 0, errShort
	}
	return at, nil
}
