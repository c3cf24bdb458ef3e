package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/image/inflate"
)

var (
	// ErrDigest says that bytes do not have the digest or size given for them.
	ErrDigest = errors.New("digest mismatch")
	// ErrDamaged says that an archive or a layer breaks off or cannot be read.
	ErrDamaged = errors.New("damaged")
)

// maxWindow is how many bytes back a zstd stream may refer: what the format's
// highest ordinary level uses. Decoding takes about as much memory.
const maxWindow = 128 << 20

// compression is what the first bytes of a stream say it is packed with.
type compression string

const (
	plain      compression = ""
	gzipped    compression = "gzip"
	zstandard  compression = "zstd"
	xz         compression = "xz"
	bzip2      compression = "bzip2"
	magicBytes             = 6 // the longest prefix below
)

func sniff(head []byte) compression {
	for _, m := range []struct {
		prefix string
		is     compression
	}{
		{"\x1f\x8b", gzipped}, {"\x28\xb5\x2f\xfd", zstandard},
		{"\xfd7zXZ\x00", xz}, {"BZh", bzip2},
	} {
		if bytes.HasPrefix(head, []byte(m.prefix)) {
			return m.is
		}
	}
	return plain
}

// decompress unpacks r by its magic bytes, whatever its media type claims.
func decompress(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(magicBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch kind := sniff(head); kind {
	case gzipped:
		return gzip.NewReader(br)
	case zstandard:
		d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case xz, bzip2:
		return nil, fmt.Errorf("%s compression is not supported; unpack it with %s -d first", kind, kind)
	}
	return io.NopCloser(br), nil
}

// meter passes bytes on, counts and hashes them, and ends when ctx does.
type meter struct {
	ctx  context.Context
	r    io.Reader
	sum  hash.Hash
	n    int64
	seen bool // somebody else hashes
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	if !m.seen {
		m.sum.Write(p[:n])
	}
	m.n += int64(n)
	return n, err
}

// check compares what was read with the digest from says it has. A zero digest
// is not checked.
func (m *meter) check(from string, want v1.Hash) error {
	if want == (v1.Hash{}) {
		return nil
	}
	got := v1.Hash{Algorithm: want.Algorithm, Hex: hex.EncodeToString(m.sum.Sum(nil))}
	if got != want {
		return fmt.Errorf("%w: %s says %s, content is %s; the image was changed or damaged: save or pull it again",
			ErrDigest, from, want, got)
	}
	return nil
}

func newMeter(ctx context.Context, r io.Reader, want v1.Hash) (*meter, error) {
	algorithm := want.Algorithm
	if algorithm == "" {
		algorithm = "sha256"
	}
	sum, err := v1.Hasher(algorithm)
	if err != nil {
		return nil, fmt.Errorf("digest %s: %w; only sha256 and sha512 can be checked", want, err)
	}
	return &meter{ctx: ctx, r: r, sum: sum}, nil
}

// verified is a layer's uncompressed stream that hashes what it passes on, and
// the stored bytes below, and turns io.EOF into an error where they differ from
// what the image says.
type verified struct {
	layer    Layer
	file     io.Closer
	stored   *meter
	unpacker io.ReadCloser
	tar      *meter
	memory   []byte         // the stored bytes, if they are in memory as a whole
	hashing  sync.WaitGroup // of memory
	end      error          // sticky
}

func openVerified(ctx context.Context, l Layer) (io.ReadCloser, error) {
	file, err := l.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", l, err)
	}
	v := &verified{layer: l, file: file}
	if err := v.start(ctx, file); err != nil {
		file.Close()
		v.forget()
		return nil, fmt.Errorf("open %s: %w", l, err)
	}
	return v, nil
}

func (v *verified) start(ctx context.Context, file io.Reader) (err error) {
	if v.layer.size >= 0 { // one byte more shows that there are more
		file = io.LimitReader(file, v.layer.size+1)
	}
	if v.stored, err = newMeter(ctx, file, v.layer.stored); err != nil {
		return err
	}
	if v.tar, err = newMeter(ctx, nil, v.layer.diffID); err != nil {
		return err
	}
	whole, err := v.whole()
	if whole || err != nil {
		return err
	}
	if v.unpacker, err = decompress(v.stored); err != nil {
		return v.explain(err)
	}
	v.tar.r = v.unpacker
	return nil
}

// maxInMemory bounds the stored layers that are read as a whole: those of real
// images are some tens of megabytes.
const maxInMemory = 160 << 20

// whole takes a gzip layer of known size into memory, where all processors help
// to unpack it while its digests are computed. False for any other.
func (v *verified) whole() (bool, error) {
	if v.layer.size < magicBytes || v.layer.size > maxInMemory {
		return false, nil
	}
	r := v.stored.r
	head := make([]byte, magicBytes)
	n, err := io.ReadFull(r, head)
	if err != nil || sniff(head) != gzipped {
		v.stored.r = io.MultiReader(bytes.NewReader(head[:n]), r)
		return false, nil
	}
	if v.memory, err = largeMemory(int(v.layer.size) + 1 + inflate.Margin); err != nil {
		v.stored.r = io.MultiReader(bytes.NewReader(head), r)
		return false, nil
	}
	copy(v.memory, head)
	n, err = v.fill(&stoppable{v.stored.ctx, r}, n)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return false, err
	}
	data := v.memory[:n]
	v.stored.n = int64(n)
	if int64(n) > v.layer.size { // the digest will not fit
		data = data[: n-1 : n-1]
	}
	stream := inflate.NewReader(data, func(b []byte) { v.tar.sum.Write(b) })
	v.unpacker, v.tar.r, v.tar.seen = stream, stream, true
	return true, nil
}

// readBytes is how much is read before it is hashed.
const readBytes = 2 << 20

// fill reads the stored bytes into memory behind the first n, and returns how many
// there are. What was read is hashed while more is.
func (v *verified) fill(r io.Reader, n int) (int, error) {
	end := int(v.layer.size) + 1
	read := make(chan []byte, end/readBytes+1)
	defer close(read)
	v.hashing.Go(func() {
		for b := range read {
			v.stored.sum.Write(b)
		}
	})
	for hashed := 0; ; hashed = n {
		more, err := io.ReadFull(r, v.memory[n:min(n+readBytes, end)])
		n += more
		read <- v.memory[hashed:n]
		if err != nil || n == end {
			return n, err
		}
	}
}

func (v *verified) Read(p []byte) (int, error) {
	if v.end != nil {
		return 0, v.end
	}
	n, err := v.tar.Read(p)
	switch {
	case err == io.EOF:
		err = v.finish()
	case err != nil:
		err = fmt.Errorf("read %s: %w", v.layer, v.explain(err))
	}
	v.end = err
	return n, err
}

// finish is what stands in for io.EOF: the verdict over the whole layer.
func (v *verified) finish() error {
	if err := v.drain(); err != nil {
		return fmt.Errorf("read %s: %w", v.layer, err)
	}
	if err := v.checkStored(); err != nil {
		return fmt.Errorf("verify %s: %w", v.layer, err)
	}
	if err := v.tar.check("rootfs.diff_ids", v.layer.diffID); err != nil {
		return fmt.Errorf("verify %s: %w", v.layer, err)
	}
	return io.EOF
}

// drain reads the stored bytes to their end.
func (v *verified) drain() error {
	if v.memory != nil {
		v.hashing.Wait()
		return nil
	}
	_, err := io.Copy(io.Discard, v.stored)
	return err
}

func (v *verified) checkStored() error {
	if size := v.layer.size; size >= 0 && v.stored.n != size {
		return fmt.Errorf("%w: manifest says %d bytes, content has %s; the image was changed or damaged: save or pull it again",
			ErrDigest, size, atMost(v.stored.n, size))
	}
	return v.stored.check("manifest", v.layer.stored)
}

func atMost(n, size int64) string {
	if n > size {
		return "more"
	}
	return fmt.Sprint(n)
}

// explain says of a stream that cannot be unpacked whether it is the one the
// image means (then the image was built broken) or another.
func (v *verified) explain(err error) error {
	if ctxErr := v.stored.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if v.drain() == nil {
		if verdict := v.checkStored(); verdict != nil {
			return verdict
		}
	}
	return fmt.Errorf("%w: %w; the image is cut short or was built broken: save or build it again", ErrDamaged, err)
}

func (v *verified) Close() error {
	v.end = errors.New("layer stream is closed")
	return errors.Join(v.unpacker.Close(), v.file.Close(), v.forget())
}

// forget gives memory back.
func (v *verified) forget() error {
	v.hashing.Wait()
	if v.memory == nil {
		return nil
	}
	b := v.memory
	v.memory = nil
	return unix.Munmap(b)
}

// String names the layer for errors: position and digest.
func (l Layer) String() string {
	return fmt.Sprintf("layer %d of %d (%s)", l.position, l.count, l.diffID)
}

// Verify reads the layers as they are stored and compares them with the digests
// that the image gives, without unpacking them where it gives one of the stored
// bytes. Whoever knows already what the digests of the image stand for need not
// read more; errors are those of a layer's stream.
func (i *Image) Verify(ctx context.Context) error {
	if i.Folder() != "" {
		return errors.New("a folder has no digests")
	}
	todo := make(chan Layer, len(i.layers))
	for _, l := range i.layers {
		todo <- l
	}
	close(todo)
	errs := make(chan error, len(i.layers))
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(i.layers)) {
		group.Go(func() {
			for l := range todo {
				errs <- l.verify(ctx)
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (l Layer) verify(ctx context.Context) error {
	if l.stored == (v1.Hash{}) {
		r, err := l.Open(ctx)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	}
	file, err := l.open(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", l, err)
	}
	defer file.Close()
	v := &verified{layer: l}
	if v.stored, err = newMeter(ctx, io.LimitReader(file, l.size+1), l.stored); err != nil {
		return fmt.Errorf("open %s: %w", l, err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, v.stored, make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("read %s: %w", l, err)
	}
	if err := v.checkStored(); err != nil {
		return fmt.Errorf("verify %s: %w", l, err)
	}
	return nil
}
