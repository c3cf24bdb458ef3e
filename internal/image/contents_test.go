package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/iotest"
)

// What is kept comes back, wherever it was put: in the temporary file, in memory
// because there is no file, or some of it here and some there because the file
// could not be written any more.
func TestContents(t *testing.T) {
	for _, name := range []string{"file", "no file", "full later"} {
		t.Run(name, func(t *testing.T) {
			if name == "no file" {
				t.Setenv("TMPDIR", "/nonexistent")
			}
			c := &contents{}
			defer c.Close()
			random := rand.NewChaCha8([32]byte{})
			var want [][]byte
			var places []place
			for n, size := range sizes() {
				if name == "full later" && n == 60 {
					c.onlyRead(t)
				}
				b := make([]byte, size)
				random.Read(b)
				head := min(size, wantedHead)
				p, err := c.keep(b[:head], int64(size), bytes.NewReader(b[head:]))
				if err != nil {
					t.Fatal(err)
				}
				want, places = append(want, b), append(places, p)
			}
			if err := c.done(); err != nil {
				t.Fatal(err)
			}
			for i, p := range places {
				c.relax()
				if got, err := c.at(p); err != nil || !bytes.Equal(got, want[i]) {
					t.Errorf("file %d, %d bytes at %d: differs, %v", i, p.size, p.offset, err)
				}
			}
			if got, want := c.mapped != nil, name != "no file"; got != want {
				t.Errorf("something was put into a file: %v", got)
			}
		})
	}
}

// onlyRead makes the file unwritable, as a full disk does.
func (c *contents) onlyRead(t *testing.T) {
	t.Helper()
	if c.size == 0 {
		t.Fatal("nothing is in the file yet")
	}
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", c.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c.file.Close()
	c.file = file
}

// sizes are those of some files, a few megabytes together.
func sizes() []int {
	var out []int
	for i := range 60 {
		out = append(out, i, i*i, 1<<(i%20), tailSize/7)
	}
	return append(out, 3*tailSize+1, 0, tailSize, 1)
}

// A file that ends early is damaged, whatever its header says.
func TestContentsShort(t *testing.T) {
	c := &contents{}
	defer c.Close()
	for _, r := range []io.Reader{bytes.NewReader(nil), bytes.NewReader(make([]byte, 99)), iotest.ErrReader(io.ErrNoProgress)} {
		if _, err := c.keep([]byte("\x7fELF"), 1<<29, r); !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	}
}
