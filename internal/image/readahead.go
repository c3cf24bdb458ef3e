package image

import "io"

// readAhead reads r in a goroutine of its own, a few blocks ahead of who reads
// the result: unpacking and what is done with the bytes take a core each. stop
// must be called before r is closed.
func readAhead(r io.Reader) (ahead *aheadReader, stop func()) {
	a := &aheadReader{full: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), quit: make(chan struct{})}
	for range aheadBlocks {
		a.free <- make([]byte, aheadBytes)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.fill(r)
	}()
	return a, func() {
		close(a.quit)
		<-done
	}
}

const (
	aheadBlocks = 4
	aheadBytes  = 256 << 10
)

type block struct {
	data []byte
	err  error
}

type aheadReader struct {
	full    chan block
	free    chan []byte
	quit    chan struct{}
	current block
	buf     []byte // the one current is in, to be given back
}

func (a *aheadReader) fill(r io.Reader) {
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.quit:
			return
		}
		n, err := io.ReadFull(r, buf)
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		select {
		case a.full <- block{buf[:n], err}:
		case <-a.quit:
			return
		}
		if err != nil {
			return
		}
	}
}

func (a *aheadReader) Read(p []byte) (int, error) {
	for len(a.current.data) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.buf != nil {
			a.free <- a.buf
		}
		a.current = <-a.full
		a.buf = a.current.data[:cap(a.current.data)]
	}
	n := copy(p, a.current.data)
	a.current.data = a.current.data[n:]
	return n, nil
}
