package graph

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/profgen/profgen/internal/scan/insn"
)

// What is packed comes out again, in its order, whatever the distances are.
func TestKept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() uint64 { return random.Uint64() >> random.UintN(64) }
	for range 1000 {
		start := number()
		var want, got found
		for range random.IntN(4) {
			want.branches = append(want.branches, insn.Branch{Site: number(), Target: number()})
		}
		for range random.IntN(4) {
			want.slots = append(want.slots, insn.SlotUse{Site: number(), Slot: number()})
		}
		for range random.IntN(4) {
			want.refs = append(want.refs, insn.Ref{Site: start + number(), Addr: number(), Access: insn.Access(random.UintN(4)), Size: uint16(random.Uint32())})
		}
		pack(start, want.branches, want.slots, want.refs).unpack(start,
			func(site, to uint64) {
				got.branches = append(got.branches, insn.Branch{Site: site, Target: to})
				got.mixed = got.mixed || got.ended
			},
			func() { got.mixed, got.ended = got.mixed || got.ended, true },
			func(site, to uint64) {
				got.slots = append(got.slots, insn.SlotUse{Site: site, Slot: to})
				got.mixed = got.mixed || !got.ended
			},
			func(r insn.Ref) { got.refs = append(got.refs, r) })
		if want.ended = true; !reflect.DeepEqual(got, want) {
			t.Fatalf("from %#x: got %+v, want %+v", start, got, want)
		}
	}
}

// found is what was unpacked; mixed if not in order.
type found struct {
	branches     []insn.Branch
	slots        []insn.SlotUse
	refs         []insn.Ref
	ended, mixed bool
}
