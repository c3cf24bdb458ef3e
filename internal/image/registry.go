package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registry is the blobs of one repository. Each blob is pulled once, into a
// temporary file: layers are read twice, and a registry may not answer the same
// twice.
type registry struct {
	repo   name.Repository
	puller *remote.Puller
	top    *remote.Descriptor // what the reference names, already pulled

	mu     sync.Mutex
	pulled map[v1.Hash]*os.File
	room   int64 // bytes that may still be pulled
}

// openRegistry pulls the manifest and configuration of ref; layers follow when
// they are opened.
func openRegistry(ctx context.Context, ref string, platform Platform) (*Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w; give a file or folder that exists, or [registry/]repository[:tag|@digest]", err)
	}
	puller, err := remote.NewPuller(
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("profgen"))
	if err != nil {
		return nil, err
	}
	top, err := puller.Get(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("no such file or folder, and the registry says: %w; check the name, log in with docker login, or save the image to a file", err)
	}
	r := &registry{
		repo: parsed.Context(), puller: puller, top: top, pulled: map[v1.Hash]*os.File{}, room: maxSpool,
	}
	img, err := resolve(ctx, r, top.Descriptor, platform)
	if err == nil {
		img.reference = ref
	}
	return holding(r, img, err)
}

func (r *registry) openBlob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	switch {
	case d.Digest == r.top.Digest:
		return io.NopCloser(bytes.NewReader(r.top.Manifest)), nil
	case d.MediaType.IsImage() || d.MediaType.IsIndex():
		got, err := r.puller.Get(ctx, r.repo.Digest(d.Digest.String()))
		if err != nil {
			return nil, fmt.Errorf("pull: %w; try again, or save the image to a file", err)
		}
		return io.NopCloser(bytes.NewReader(got.Manifest)), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	file, ok := r.pulled[d.Digest]
	if !ok {
		var err error
		if file, err = r.pull(ctx, d); err != nil {
			return nil, fmt.Errorf("pull: %w; try again, or save the image to a file", err)
		}
		r.pulled[d.Digest] = file
	}
	return io.NopCloser(io.NewSectionReader(file, 0, d.Size+1)), nil
}

// pull downloads a blob of the size its descriptor gives; r.mu is held.
func (r *registry) pull(ctx context.Context, d v1.Descriptor) (*os.File, error) {
	if d.Size > r.room {
		return nil, fmt.Errorf("%d bytes are more than the %d an image may take", d.Size, maxSpool)
	}
	layer, err := r.puller.Layer(ctx, r.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	stream, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	m, err := newMeter(ctx, stream, d.Digest)
	if err != nil {
		return nil, err
	}
	file, n, err := spool(ctx, m, d.Size)
	if err != nil && m.n >= d.Size { // all there, but not what the client expected
		err = cmp.Or(m.check("manifest", d.Digest), err)
	}
	r.room -= n
	return file, err
}

// Close removes what was pulled.
func (r *registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, file := range r.pulled {
		errs = append(errs, file.Close())
	}
	clear(r.pulled)
	return errors.Join(errs...)
}
