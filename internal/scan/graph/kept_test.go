package graph

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is packed comes out again, in its order, whatever the distances are.
func TestKept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() uint64 { return random.Uint64() >> random.UintN(64) }
	for range 1000 {
		start := number()
		var want []lead
		for range random.IntN(8) {
			l := lead{site: start + uint64(random.Uint32()), way: way(random.IntN(int(readsSlots) + 1)), to: number()}
			if l.way == takesExtents || l.way == readsSlots {
				l.n = random.IntN(1 << 20)
			}
			want = append(want, l)
		}
		k := packer{site: start}
		for _, l := range want {
			k.add(l)
		}
		var got []lead
		for out, site := k.out, start; len(out) > 0; {
			got = append(got, out.lead(&site))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("from %#x: got %+v, want %+v", start, got, want)
		}
	}
}
