package rootfs_test

import (
	"testing"

	"github.com/profgen/profgen/internal/image/imagetest"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

// FuzzUnpackLayer: whatever bytes are a layer, and then the one above it,
// nothing changes outside of the folder, and after an error nothing is in it.
// More seeds are in testdata/fuzz.
func FuzzUnpackLayer(f *testing.F) {
	for _, entries := range []layer{
		{file("../evil", "x")},
		{symlink("a", "/"), file("a/evil", "x")},
		{symlink("a", ".."), hardlink("b", "a/canary"), file("b", "x")},
		{dir("d"), file("d/.wh..wh..opq", ""), file(".wh...", "")},
	} {
		f.Add(imagetest.Tar(f, entries...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCell(t)
		err := c.unpack(t, rootfs.Limits{Bytes: 1 << 20, Entries: 1000}, data, data)
		c.unharmed(t)
		if left := c.list(t); err != nil && len(left) > 0 {
			t.Errorf("left behind after %v: %q", err, left)
		}
	})
}
