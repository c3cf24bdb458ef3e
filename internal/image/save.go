package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// saveManifest is the file of a docker-save archive that lists its images.
const saveManifest = "manifest.json"

// saved is one image of a docker-save archive. The names are those of files in
// the archive.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// openSave opens the image of a docker-save archive that has the tag asked for.
// Its layers are known by diff ID only, its configuration by its file name.
func openSave(ctx context.Context, f files, at location, platform Platform) (*Image, error) {
	data, err := readSmall(f, saveManifest)
	if err != nil {
		return nil, err
	}
	var all []saved
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w; the archive was changed: save it again", saveManifest, err)
	}
	s, err := onlySaved(all, at.tag)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", saveManifest, err)
	}
	img, err := s.image(ctx, f, platform)
	if err != nil {
		return nil, err
	}
	img.reference = localName(at, s.name(at.tag))
	return img, nil
}

func onlySaved(all []saved, tag string) (saved, error) {
	var tags []string
	fit := slices.DeleteFunc(slices.Clone(all), func(s saved) bool {
		tags = append(tags, s.RepoTags...)
		return tag != "" && !slices.ContainsFunc(s.RepoTags, func(name string) bool { return sameName(tag, name) })
	})
	if len(fit) != 1 {
		return saved{}, fmt.Errorf("%d images fit, tags are %q; write the one you mean behind the name and a colon", len(fit), tags)
	}
	return fit[0], nil
}

// name is the tag asked for in full, or else the first.
func (s saved) name(asked string) string {
	for _, tag := range s.RepoTags {
		if asked == "" || sameName(asked, tag) {
			return tag
		}
	}
	return ""
}

func (s saved) image(ctx context.Context, f files, platform Platform) (*Image, error) {
	data, err := readSmall(f, s.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	m, err := newMeter(ctx, nil, v1.Hash{})
	if err != nil {
		return nil, err
	}
	m.sum.Write(data)
	digest := v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", m.sum.Sum(nil))}
	if want, ok := digestInName(s.Config); ok && want != digest {
		return nil, fmt.Errorf("config %s: %w: its name says %s, content is %s; the archive was changed or damaged: save it again",
			s.Config, ErrDigest, want, digest)
	}
	cf, err := parseConfig(data, len(s.Layers), platform)
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", s.Config, err)
	}
	layers := make([]Layer, len(s.Layers))
	for i, name := range s.Layers {
		layers[i] = Layer{
			position: i + 1, count: len(layers), size: -1, diffID: cf.RootFS.DiffIDs[i],
			open: func(context.Context) (io.ReadCloser, error) {
				file, _, err := f.openFile(name)
				return file, err
			},
		}
	}
	return &Image{configDigest: digest.String(), config: convert(cf), layers: layers}, nil
}

// digestInName reads HEX.json and blobs/sha256/HEX, the names writers give a
// configuration.
func digestInName(name string) (v1.Hash, bool) {
	h, err := v1.NewHash("sha256:" + strings.TrimSuffix(path.Base(name), ".json"))
	return h, err == nil
}
