package inflate_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/profgen/profgen/internal/image/inflate"
)

// unpack returns the contents of a gzip file, and what tee saw of them.
func unpack(data []byte) (contents, seen []byte, err error) {
	r := inflate.NewReader(slices.Clone(data), func(b []byte) { seen = append(seen, b...) })
	defer r.Close()
	contents, err = io.ReadAll(r)
	return contents, seen, err
}

// prose is n bytes that compress about as well as programs do: words of a few
// sorts, and now and then noise.
func prose(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	words := make([][]byte, 4000)
	for i := range words {
		words[i] = make([]byte, 2+random.IntN(12))
		for j := range words[i] {
			words[i][j] = byte(random.IntN(256) & random.IntN(256))
		}
	}
	out := make([]byte, 0, n+16)
	for len(out) < n {
		if random.IntN(50) == 0 {
			out = binary.LittleEndian.AppendUint64(out, random.Uint64())
			continue
		}
		out = append(out, words[random.IntN(1+random.IntN(len(words)))]...)
	}
	return out[:n]
}

func compress(t testing.TB, level int, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range parts {
		w, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		w.Name, w.Comment, w.Extra = "name", "comment", []byte("extra")
		w.Write(p)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestContents: files that are larger than a few chunks, of one member and of
// many, with codes and stored, read by one processor and by several.
func TestContents(t *testing.T) {
	text := prose(12<<20, 1)
	noise := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	var small [][]byte
	for i := range 1000 {
		small = append(small, text[i*2000:i*2000+i%4000])
	}
	for _, tt := range []struct {
		name  string
		level int
		parts [][]byte
	}{
		{"empty", 6, [][]byte{nil}},
		{"short", 6, [][]byte{[]byte("abcabcabcabc")}},
		{"text", 6, [][]byte{text}},
		{"fast", 1, [][]byte{text}},
		{"no matches", gzip.HuffmanOnly, [][]byte{text}},
		{"stored", gzip.NoCompression, [][]byte{text[:6<<20]}},
		{"noise between text", 6, [][]byte{slices.Concat(text[:7<<20], noise, text[:7<<20])}},
		{"zeros", 6, [][]byte{make([]byte, 24<<20)}},
		{"small members", 6, small},
		{"large members", 6, [][]byte{text[:6<<20], nil, noise, text[:11<<20]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, want := compress(t, tt.level, tt.parts...), slices.Concat(tt.parts...)
			for _, procs := range []int{1, 2, 4} {
				was := runtime.GOMAXPROCS(procs)
				got, seen, err := unpack(data)
				runtime.GOMAXPROCS(was)
				if err != nil || !bytes.Equal(got, want) || !bytes.Equal(seen, want) {
					t.Errorf("%d processors: %d bytes, %d seen, error %v; want %d bytes", procs, len(got), len(seen), err, len(want))
				}
			}
		})
	}
}

// TestDamaged: what is cut short or changed ends in an error, wherever that is,
// and soon.
func TestDamaged(t *testing.T) {
	text := prose(6<<20, 2)
	whole := compress(t, 6, text)
	for at := range 20 {
		cut := whole[:len(whole)*at/20]
		if _, _, err := unpack(cut); err == nil {
			t.Errorf("cut at %d of %d: no error", len(cut), len(whole))
		}
	}
	if _, _, err := unpack(append(slices.Clone(whole), "more"...)); err == nil {
		t.Error("something behind the end: no error")
	}
	longer := slices.Clone(whole)
	longer[len(longer)-1] ^= 1
	if _, _, err := unpack(longer); err == nil {
		t.Error("another length: no error")
	}
	for at := range 20 {
		changed := slices.Clone(whole)
		changed[len(changed)*at/20] ^= 0x10
		if got, _, err := unpack(changed); err == nil && bytes.Equal(got, text) && at > 0 {
			t.Errorf("changed at %d of 20: the same contents", at)
		}
	}
}

// TestClose: whoever stops early leaves nothing running.
func TestClose(t *testing.T) {
	data := compress(t, 6, prose(8<<20, 3))
	before := runtime.NumGoroutine()
	for range 5 {
		r := inflate.NewReader(slices.Clone(data), nil)
		if _, err := io.CopyN(io.Discard, r, 1<<20); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read after close: %v", err)
		}
	}
	after := runtime.NumGoroutine()
	for late := time.Now().Add(5 * time.Second); after > before && time.Now().Before(late); after = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond) // one that has said that it is done has still to end
	}
	if after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// FuzzReader compares with the standard library: the same contents, and an error
// where that has one but for the checksum.
func FuzzReader(f *testing.F) {
	f.Add(compress(f, 6, []byte("hello, hello, hello")))
	f.Add(compress(f, 0, []byte("stored")))
	f.Add(compress(f, gzip.HuffmanOnly, prose(2000, 4)))
	f.Add(compress(f, 9, prose(3000, 5), nil, prose(100, 6)))
	f.Add(compress(f, 6, prose(600<<10, 7))) // has several blocks
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := unpack(data)
		r, wantErr := gzip.NewReader(bytes.NewReader(data))
		var want []byte
		if wantErr == nil {
			want, wantErr = io.ReadAll(io.LimitReader(r, 256<<20))
		}
		if errors.Is(wantErr, gzip.ErrChecksum) || errors.Is(wantErr, gzip.ErrHeader) {
			return // checksums, and that of a header, are not looked at
		}
		if (err == nil) != (wantErr == nil) {
			t.Errorf("error %v, want %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
		chunked := inflate.NewChunked(slices.Clone(data), 1+len(data)/5)
		defer chunked.Close()
		guessed, guessErr := io.ReadAll(chunked)
		if (guessErr == nil) != (err == nil) || err == nil && !bytes.Equal(guessed, got) {
			t.Errorf("in chunks %d bytes and error %v, want %d and %v", len(guessed), guessErr, len(got), err)
		}
	})
}
