package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The files and annotations of an OCI layout that profgen reads.
const (
	layoutMarker  = "oci-layout"
	layoutIndex   = "index.json"
	tagAnnotation = "org.opencontainers.image.ref.name"
	// nameAnnotation is containerd's and Docker's, and holds the full name.
	nameAnnotation = "io.containerd.image.name"
)

const (
	// maxNesting bounds indexes that list indexes.
	maxNesting = 4
	// maxLayers is far above the 500 an overlay mount takes.
	maxLayers = 4096
)

// blobs gets the bytes a descriptor means: a layout or a registry. They are not
// yet verified.
type blobs interface {
	openBlob(context.Context, v1.Descriptor) (io.ReadCloser, error)
}

// layout is the blobs of an OCI layout.
type layout struct{ files }

func (l layout) openBlob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	file, _, err := l.openFile(path.Join("blobs", d.Digest.Algorithm, d.Digest.Hex))
	return file, err
}

// document is an index or a manifest; which one, its fields say.
type document struct {
	Manifests []v1.Descriptor
	Config    v1.Descriptor
	Layers    []v1.Descriptor
}

func (d document) isIndex() bool { return d.Config.Digest == v1.Hash{} }

// parseDocument reads an index or a manifest. One that is both is refused: two
// readers could see two images in it.
func parseDocument(data []byte) (document, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%w; it is neither an image index nor a manifest", err)
	}
	if d.Manifests != nil && (!d.isIndex() || d.Layers != nil) {
		return d, errors.New("it is an index and a manifest at once; build the image again with a tool that knows better")
	}
	if d.Manifests == nil && d.isIndex() {
		return d, errors.New("it has neither manifests nor a config; old schema 1 images must be pushed again with a newer engine")
	}
	return d, nil
}

// openOCI opens the image of a layout that has the tag and platform asked for.
func openOCI(ctx context.Context, f files, at location, platform Platform) (*Image, error) {
	data, err := readSmall(f, layoutIndex)
	if err != nil {
		return nil, err
	}
	index, err := parseDocument(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layoutIndex, err)
	}
	d, err := only(index.Manifests, at.tag, platform)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layoutIndex, err)
	}
	img, err := resolve(ctx, layout{f}, d, platform)
	if err != nil {
		return nil, err
	}
	img.reference = localName(at, ownName(d))
	return img, nil
}

// only picks the one entry of a layout's index with the tag, if one is asked
// for, and the platform.
func only(all []v1.Descriptor, tag string, platform Platform) (v1.Descriptor, error) {
	tagged := slices.DeleteFunc(slices.Clone(all), func(d v1.Descriptor) bool { return !named(d, tag) })
	if len(tagged) == 0 {
		return v1.Descriptor{}, fmt.Errorf("no image is tagged %q; there is %s", tag, names(all))
	}
	fit := tagged
	if len(tagged) > 1 || tagged[0].Platform != nil {
		want := platform
		if len(tagged) > 1 {
			want = platform.orLocal()
		}
		var err error
		if fit, err = choose(tagged, want); err != nil {
			return v1.Descriptor{}, err
		}
	}
	for _, d := range fit[1:] {
		if d.Digest != fit[0].Digest {
			return v1.Descriptor{}, fmt.Errorf("%d images fit: %s; write the one you mean behind the name and a colon", len(fit), names(fit))
		}
	}
	return fit[0], nil
}

// ownName is what an entry of a layout's index calls its image.
func ownName(d v1.Descriptor) string {
	if name := d.Annotations[nameAnnotation]; name != "" {
		return name
	}
	return d.Annotations[tagAnnotation]
}

func named(d v1.Descriptor, tag string) bool {
	return tag == "" || tag == d.Annotations[tagAnnotation] || sameName(tag, d.Annotations[nameAnnotation])
}

// sameName reports whether asked means name: all of it, or its end from some
// slash on.
func sameName(asked, name string) bool {
	return name != "" && (asked == name || strings.HasSuffix(name, "/"+asked))
}

// names lists images for an error.
func names(all []v1.Descriptor) string {
	var out []string
	for _, d := range all {
		if name := ownName(d); presentable(name) {
			out = append(out, name)
		} else {
			out = append(out, d.Digest.String())
		}
	}
	if len(out) == 0 {
		return "no image"
	}
	return strings.Join(out, ", ")
}

// resolve follows d to a manifest for the platform and reads the image it
// describes.
func resolve(ctx context.Context, b blobs, d v1.Descriptor, platform Platform) (*Image, error) {
	for range maxNesting {
		data, err := readDocument(ctx, b, d)
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		doc, err := parseDocument(data)
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		if !doc.isIndex() {
			return build(ctx, b, d.Digest, doc, platform)
		}
		platform = platform.orLocal()
		fit, err := choose(doc.Manifests, platform)
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", d.Digest, err)
		}
		d = fit[0]
	}
	return nil, fmt.Errorf("index %s: more than %d indexes inside one another; it is no image", d.Digest, maxNesting)
}

// readDocument reads the JSON that d describes, and verifies it.
func readDocument(ctx context.Context, b blobs, d v1.Descriptor) ([]byte, error) {
	if d.Digest == (v1.Hash{}) || d.Size < 0 || d.Size > maxDocument {
		return nil, fmt.Errorf("a size of %d bytes or no digest; sizes from 0 to %d are accepted", d.Size, maxDocument)
	}
	r, err := b.openBlob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m, err := newMeter(ctx, io.LimitReader(r, d.Size+1), d.Digest)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(m)
	if err != nil {
		return nil, err
	}
	if m.n != d.Size {
		return nil, fmt.Errorf("%w: descriptor says %d bytes, content has %s; the image was changed or damaged: save or pull it again",
			ErrDigest, d.Size, atMost(m.n, d.Size))
	}
	return data, m.check("descriptor", d.Digest)
}

// build makes an image of its manifest.
func build(ctx context.Context, b blobs, digest v1.Hash, m document, platform Platform) (*Image, error) {
	data, err := readDocument(ctx, b, m.Config)
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", m.Config.Digest, err)
	}
	cf, err := parseConfig(data, len(m.Layers), platform)
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", m.Config.Digest, err)
	}
	layers := make([]Layer, len(m.Layers))
	for i, d := range m.Layers {
		if d.Digest == (v1.Hash{}) || d.Size < 0 {
			return nil, fmt.Errorf("layer %d of %d: no digest or no size in the manifest; build the image again", i+1, len(layers))
		}
		layers[i] = Layer{
			position: i + 1, count: len(layers), stored: d.Digest, size: d.Size, diffID: cf.RootFS.DiffIDs[i],
			open: func(ctx context.Context) (io.ReadCloser, error) { return b.openBlob(ctx, d) },
		}
	}
	return &Image{
		digest: digest.String(), configDigest: m.Config.Digest.String(), config: convert(cf), layers: layers,
	}, nil
}

// parseConfig reads a configuration and checks that it fits its manifest and
// the platform asked for.
func parseConfig(data []byte, layers int, platform Platform) (*v1.ConfigFile, error) {
	cf, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w; it is no image configuration", err)
	}
	if n := len(cf.RootFS.DiffIDs); n != layers || n > maxLayers {
		return nil, fmt.Errorf("rootfs.diff_ids lists %d layers, the manifest %d (at most %d are read); it is no container image, or was built broken",
			n, layers, maxLayers)
	}
	have := Platform{cf.OS, cf.Architecture, cf.Variant}
	if !platform.accepts(have) {
		return nil, fmt.Errorf("%w %s; the image is for %s: ask for that", ErrPlatform, platform, have)
	}
	return cf, nil
}
