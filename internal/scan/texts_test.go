package scan

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPaths: what is found by looking for slashes and ".so" alone is what looking
// at every string finds.
func TestPaths(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"\x00", "\x00", "\x00\x00", "/", "/usr/lib", "lib", "c.so", ".so", ".so.6", "s", ".", "\x01", "é", strings.Repeat("x", 500)}
	for range 5000 {
		var data []byte
		for range random.IntN(12) {
			data = append(data, pieces[random.IntN(len(pieces))]...)
		}
		var want []string
		for text := range bytes.SplitSeq(data, []byte{0}) {
			s := string(text)
			names := strings.HasPrefix(s, "/") || strings.Contains(s, ".so")
			odd := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
			if names && !odd && len(s) >= 4 && len(s) <= maxText {
				want = append(want, s)
			}
		}
		if got := paths(data); !slices.Equal(got, want) {
			t.Fatalf("strings of %q: got %q, want %q", data, got, want)
		}
	}
}
