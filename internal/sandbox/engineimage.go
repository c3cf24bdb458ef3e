package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// StoredImage is an image that an engine has.
type StoredImage struct {
	ID      string   // what the engine runs it by, whatever its tags come to mean
	Digests []string // of its configuration and manifests, as far as the engine knows them
	User    string   // whom it starts as
}

// Image returns the image that the engine calls ref. It pulls none: what a name
// means is to be known before anything of it runs.
func (e Engine) Image(ctx context.Context, ref string) (StoredImage, error) {
	if strings.HasPrefix(ref, "-") || ref == "" {
		return StoredImage{}, fmt.Errorf("image %q: want a name", ref)
	}
	out, err := e.ask(ctx, "image", "inspect", ref)
	if err != nil {
		return StoredImage{}, fmt.Errorf("image %s: %w; pull or load it first: %s pull %s", ref, err, e.Name, ref)
	}
	var all []struct {
		ID          string `json:"Id"`
		RepoDigests []string
		Digest      string // podman
		Config      struct{ User string }
	}
	if err := json.Unmarshal(out, &all); err != nil || len(all) != 1 {
		return StoredImage{}, fmt.Errorf("image %s: %s inspect does not answer with one image (%v)", ref, e.Name, err)
	}
	img := StoredImage{ID: digest(all[0].ID), Digests: []string{digest(all[0].ID)}, User: all[0].Config.User}
	for _, d := range append(all[0].RepoDigests, "@"+all[0].Digest) {
		if _, d, _ := strings.Cut(d, "@"); d != "" && !slices.Contains(img.Digests, d) {
			img.Digests = append(img.Digests, d)
		}
	}
	return img, nil
}

// Exec becomes the client with these arguments. It returns only if it cannot.
func (e Engine) Exec(env []string, args ...string) error {
	return fmt.Errorf("%s: %w", e.path, unix.Exec(e.path, append([]string{e.Name}, args...), env))
}
