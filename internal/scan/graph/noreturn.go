package graph

import (
	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/value"
)

// neverReturn are functions that the C standard, POSIX and the psABI say do
// not return.
var neverReturn = map[string]bool{
	"abort": true, "exit": true, "_exit": true, "_Exit": true, "quick_exit": true, "longjmp": true, "siglongjmp": true,
	"_longjmp": true, "pthread_exit": true, "__stack_chk_fail": true, "__assert_fail": true, "_Unwind_Resume": true,
	"__cxa_throw": true, "__cxa_rethrow": true, "__fortify_fail": true, "__chk_fail": true,
}

// twice are functions that may return more than once: setjmp(3), vfork(2),
// getcontext(3).
var twice = map[string]bool{
	"setjmp": true, "_setjmp": true, "__setjmp": true, "sigsetjmp": true, "__sigsetjmp": true, "vfork": true, "__vfork": true, "getcontext": true,
}

// ReturnsTwice reports whether one of those is at an address, or bound to a slot
// there. In a program without symbols nothing tells them.
func (f *Func) ReturnsTwice(addr uint64) bool {
	c := f.Code
	if slot, ok := c.pltSlot(addr); ok {
		addr = slot
	}
	return twice[c.imported(addr)] || !c.File.IsGo() && twice[c.File.FunctionName(addr)]
}

// maxCalls bounds how deep calls are followed to find out whether they return.
const maxCalls = 4

// returns answers whether functions return: true unless they surely do not.
type returns struct {
	code *Code
	busy map[uint64]bool
}

func (r *returns) function(addr uint64, depth int) bool {
	if slot, ok := r.code.pltSlot(addr); ok {
		return !neverReturn[r.code.imported(slot)]
	}
	f := r.code.At(addr)
	if f == nil || f.Start != addr || depth == 0 || r.busy[addr] || f.End-f.Start > 1<<14 {
		return true
	}
	r.busy[addr] = true
	defer delete(r.busy, addr)
	code := f.lift()
	defer f.Code.lifted.Put(code)
	return r.walk(f, *code, depth)
}

// walk reports whether control that enters at the start of code can get to a
// return.
func (r *returns) walk(f *Func, code []insn.Inst, depth int) bool {
	seen := make([]bool, len(code))
	todo := []uint64{f.Start}
	for len(todo) > 0 {
		addr := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		i := instAt(code, addr)
		if i == len(code) {
			return true // runs past the end
		}
		for ; i < len(code) && !seen[i]; i++ {
			seen[i] = true
			in := &code[i]
			t := uint64(in.Imm)
			outside := t < f.Start || t >= f.End
			switch in.Op {
			case insn.Return, insn.IndirectJump:
				return true
			case insn.Jump, insn.CondBranch:
				if !outside {
					todo = append(todo, t)
				} else if r.function(t, depth-1) {
					return true
				}
			}
			if ends(in.Op) || in.Op == insn.Call && !r.function(t, depth-1) {
				break
			}
			if i == len(code)-1 {
				return true
			}
		}
	}
	return false
}

// imported is the name of the symbol whose address a slot holds; "" if none.
func (c *Code) imported(addr uint64) string {
	i := c.slotFrom(addr)
	if i == len(c.slots) || c.slots[i].Offset != addr || c.slot(i).kind != bound {
		return ""
	}
	if n := c.slots[i].Symbol; n > 0 && int(n) < len(c.File.Symbols) {
		return c.File.Symbols[n].Name
	}
	return ""
}

// Refined is Values, knowing which calls do not return; false if that changes
// nothing. It is worth its price only where something was not found: code after
// such a call is reached by other ways, with other values.
func (f *Func) Refined() (*value.Function, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.know()
	if k.refined {
		return k.better, k.better != nil
	}
	k.refined = true
	lifted := f.lift()
	defer f.Code.lifted.Put(lifted)
	code := *lifted
	r := &returns{code: f.Code, busy: map[uint64]bool{}}
	changed := false
	for i := range code {
		if code[i].Op == insn.Call && !r.function(uint64(code[i].Imm), maxCalls) {
			code[i].Op, changed = insn.Stop, true
		}
	}
	if changed {
		k.better = f.analyze(code)
	}
	return k.better, changed
}

// at is what is known at a site of the function: more if known says that it is
// not enough.
func (f *Func) at(site uint64, known func(value.Site) bool) (value.Site, bool) {
	s, ok := f.Values().At(site)
	if ok && !known(s) {
		if better, changed := f.Refined(); changed {
			if b, ok := better.At(site); ok {
				return b, true
			}
		}
	}
	return s, ok
}

// endsInCallForGood reports whether the last thing that the function does is a
// call that does not return, with nothing but padding after it.
func (f *Func) endsInCallForGood() bool {
	lifted := f.lift()
	defer f.Code.lifted.Put(lifted)
	code := *lifted
	if len(code) == 0 {
		return false
	}
	last := &code[len(code)-1]
	r := &returns{code: f.Code, busy: map[uint64]bool{}}
	return last.Op == insn.Call && !r.function(uint64(last.Imm), maxCalls)
}

func (f *Func) scratch() insn.RegSet {
	m := f.Code.Machine
	if f.goABI {
		return ^(insn.RegSet(1) << m.SP)
	}
	return m.Scratch
}
