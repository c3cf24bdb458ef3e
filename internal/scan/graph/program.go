package graph

import (
	"context"
	"debug/elf"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/link"
)

// Reason says how control, or the address of a function, got somewhere.
type Reason uint8

// The reasons.
const (
	Entry   Reason = iota // the kernel or the dynamic linker begins there
	Export                // a symbol of an object loaded at run time, or one that dlsym is asked for
	Call                  // a call or jump
	Taken                 // its address is in code that runs
	Data                  // its address is in data that code that runs can reach
	Resolve               // ld.so runs it to resolve an IFUNC
)

// Edge is how a function can be entered from another.
type Edge struct {
	From   *Node // nil for roots
	Site   uint64
	Reason Reason
	Inside bool // it leads behind the function's start
}

// Node is a function that can run in a program.
type Node struct {
	Func *Func
	// First is how it was first reached: following it backwards gives a shortest
	// path from an entry point.
	First Edge
	// Escapes says that pointers to it may be in the hands of other objects than
	// its own.
	Escapes bool
	// Callers are the calls and jumps that enter it directly.
	Callers []Edge

	mu      sync.Mutex
	pointed bool   // calls through pointers may enter it
	takers  []Edge // where code takes its address, and was not looked at yet
}

// Program is one program's objects and which of their functions can run.
type Program struct {
	Link *link.Program

	codes  map[*link.Object]*Code
	nodes  map[*Func]*Node
	order  []*Node // in the order in which they were reached
	todo   []*Node // reached, and not yet followed
	data   map[*Code]*touched
	binds  map[bindKey]*binding
	unseen []*link.Object // objects that were loaded since symbols were last bound
	later  []*binding     // those that may get further definitions, in the order in which they were asked for
	rooted map[*link.Object]bool
	now    Edge // how what is reached now is reached
}

type bindKey struct {
	obj    *link.Object
	symbol int
}

// binding is what a symbol of an object is bound to, and where it is used.
type binding struct {
	key  bindKey
	defs []link.Definition
	uses []use
}

// use is a call of a symbol, or its address in code or data that runs.
type use struct {
	edge   Edge
	call   bool
	addend int64
}

// touched is which data of an object code that runs can reach.
type touched struct {
	slots []bool // by index of Code.slots
	whole []bool // by index of Code.extents
}

// Codes keeps prepared objects, for all programs. The zero value is ready.
type Codes struct {
	Cache Cache // nil for none

	mu  sync.Mutex
	all map[*link.Object]*prepared
}

type prepared struct {
	once sync.Once
	code *Code
}

// Get returns the object prepared for analysis; nil as Prepare.
func (s *Codes) Get(obj *link.Object) *Code {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[*link.Object]*prepared{}
	}
	p := s.all[obj]
	if p == nil {
		p = &prepared{}
		s.all[obj] = p
	}
	s.mu.Unlock()
	p.once.Do(func() {
		if p.code = Prepare(obj); p.code != nil && s.Cache != nil {
			p.code.recall(s.Cache)
		}
	})
	return p.code
}

// New begins the analysis of a program.
func New(lp *link.Program, codes *Codes) *Program {
	p := &Program{
		Link:   lp,
		codes:  map[*link.Object]*Code{},
		nodes:  map[*Func]*Node{},
		data:   map[*Code]*touched{},
		binds:  map[bindKey]*binding{},
		rooted: map[*link.Object]bool{},
	}
	p.Load(codes)
	return p
}

// Load takes in the objects that were added to the program since.
func (p *Program) Load(codes *Codes) {
	var fresh []*link.Object
	for _, o := range p.Link.Objects {
		if _, ok := p.codes[o]; !ok {
			fresh = append(fresh, o)
		}
	}
	ready := make([]*Code, len(fresh))
	parallel(len(fresh), func(i int) { ready[i] = codes.Get(fresh[i]) })
	for i, o := range fresh {
		p.codes[o] = ready[i]
		if c := ready[i]; c != nil {
			p.data[c] = &touched{slots: make([]bool, len(c.slots)), whole: make([]bool, len(c.extents))}
		}
	}
	p.unseen = append(p.unseen, fresh...)
}

// Start makes live what runs when the program starts: its entry point, ld.so's,
// and the initialisers and finalisers of all objects that were loaded.
func (p *Program) Start() {
	p.enter(p.Link.Exe, p.Link.Exe.File.Entry)
	if i := p.Link.Interp; i != nil {
		p.enter(i, i.File.Entry)
		for _, s := range i.File.Symbols {
			if s.Defined && strings.HasPrefix(s.Name, stages) {
				p.enter(i, s.Value)
			}
		}
	}
	for _, o := range p.Link.Objects {
		p.Initialise(o)
	}
}

// stages is what the names of those functions of musl's dynamic linker begin
// with that it finds by name, in its own symbol table: musl, ldso/dynlink.c.
const stages = "__dls"

func (p *Program) enter(o *link.Object, addr uint64) {
	p.now = Edge{Reason: Entry}
	if c := p.codes[o]; c != nil && addr != 0 {
		p.reachAll(c, addr)
	}
}

// Initialise makes live what ld.so and exit call in an object.
func (p *Program) Initialise(o *link.Object) {
	c := p.codes[o]
	if c == nil || p.rooted[o] {
		return
	}
	p.rooted[o] = true
	p.enter(o, o.File.Dynamic.Init)
	p.enter(o, o.File.Dynamic.Fini)
	for _, r := range []elfx.Range{o.File.Dynamic.PreinitArray, o.File.Dynamic.InitArray, o.File.Dynamic.FiniArray} {
		p.now = Edge{Reason: Entry}
		p.touch(c, r.Addr, r.Size)
	}
	for i := range o.File.Sections {
		s := &o.File.Sections[i]
		switch {
		case s.Type == elf.SHT_INIT_ARRAY || s.Type == elf.SHT_FINI_ARRAY || s.Type == elf.SHT_PREINIT_ARRAY || s.TLS:
			// TLS initial images are reached without an address.
			p.now = Edge{Reason: Entry}
			p.touch(c, s.Addr, s.Size)
		case s.Exec && (s.Name == ".init" || s.Name == ".fini"):
			p.enter(o, s.Addr)
		}
	}
	for i, s := range c.slots {
		if s.kind == resolver {
			p.now = Edge{Reason: Resolve}
			p.touchSlot(c, i)
		}
	}
}

// Plugin makes live what whoever loads an object at run time can call: its
// initialisers and everything it exports.
func (p *Program) Plugin(o *link.Object) {
	p.Initialise(o)
	for _, s := range o.File.Symbols {
		if s.Defined && s.Bind != elf.STB_LOCAL && s.Vis != elf.STV_HIDDEN && s.Vis != elf.STV_INTERNAL {
			p.export(link.Definition{Object: o, Symbol: s})
		}
	}
}

// Symbol makes live what dlsym and dlvsym give for a name.
func (p *Program) Symbol(name string) {
	for _, o := range p.Link.Objects {
		for _, d := range o.Versions(name) {
			p.export(d)
		}
	}
}

func (p *Program) export(d link.Definition) {
	p.now = Edge{Reason: Export}
	if c := p.codes[d.Object]; c != nil {
		p.define(c, d.Symbol, 0)
	}
}

// Run follows everything live to a fix-point. Linear in the code that is live.
func (p *Program) Run(ctx context.Context) error {
	p.bindAgain()
	var buffers sync.Pool
	for len(p.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		round := p.todo
		p.todo = nil
		parallel(len(round), func(i int) {
			s, _ := buffers.Get().(*insn.Sweep)
			if s == nil {
				s = &insn.Sweep{}
			}
			round[i].Func.sweep(s)
			buffers.Put(s)
		})
		for _, n := range round {
			p.follow(n)
		}
	}
	return nil
}

// follow lets live what a live function gives away.
func (p *Program) follow(n *Node) {
	c := n.Func.Code
	for _, b := range n.Func.branches {
		p.now = Edge{From: n, Site: b.Site, Reason: Call}
		p.reachAll(c, b.Target)
	}
	if f := n.Func; f.runsOn && !f.endsInCallForGood() {
		p.now = Edge{From: n, Site: f.End, Reason: Call}
		p.reachAll(c, f.End)
	}
	for _, s := range n.Func.calls {
		p.now = Edge{From: n, Site: s.Site, Reason: Call}
		p.callSlot(c, s.Slot)
	}
	for _, r := range n.Func.refs {
		p.now = Edge{From: n, Site: r.Site, Reason: Taken}
		if r.Access == insn.Address {
			p.address(c, r.Addr)
			continue
		}
		p.now.Reason = Data
		p.touch(c, r.Addr, uint64(r.Size))
	}
}

// reachAll lets control reach addr, through a PLT entry where it is one.
func (p *Program) reachAll(c *Code, addr uint64) {
	if slot, ok := c.pltSlot(addr); ok {
		p.callSlot(c, slot)
		return
	}
	if f := c.At(addr); f != nil {
		p.reach(f, addr)
	}
}

// pltSlot is the GOT slot that the PLT entry at addr jumps through.
func (c *Code) pltSlot(addr uint64) (uint64, bool) {
	sec := c.File.Section(addr)
	if sec == nil || !isPLT(sec) {
		return 0, false
	}
	return c.Machine.PLTSlot(sec.Data[addr-sec.Addr:], addr)
}

// callSlot lets control reach what a slot holds.
func (p *Program) callSlot(c *Code, addr uint64) {
	for i := c.slotFrom(addr); i < len(c.slots) && c.slots[i].addr == addr; i++ {
		s := c.slots[i]
		switch s.kind {
		case relative:
			p.reachAll(c, uint64(s.addend))
		case resolver:
			p.touchSlot(c, i)
		case bound:
			p.bind(c, s.symbol, use{p.now, true, s.addend})
		}
	}
}

func (p *Program) callDefinition(d link.Definition, addend int64) {
	c := p.codes[d.Object]
	if c == nil {
		return
	}
	if d.Symbol.Type == elf.STT_GNU_IFUNC {
		p.now.Reason = Resolve
	}
	if sec := c.File.Section(d.Symbol.Value); sec != nil && sec.Exec {
		p.reachAll(c, d.Symbol.Value+uint64(addend))
	}
}

// bind lets live what a use of a symbol of an object reaches.
func (p *Program) bind(c *Code, symbol int, u use) {
	if symbol <= 0 || symbol >= len(c.File.Symbols) {
		return
	}
	k := bindKey{c.Object, symbol}
	b := p.binds[k]
	if b == nil {
		defs, later := p.Link.Bind(c.Object, c.File.Symbols[symbol])
		b = &binding{key: k, defs: defs}
		p.binds[k] = b
		if later {
			p.later = append(p.later, b)
		}
	}
	b.uses = append(b.uses, u)
	p.used(u, b.defs)
}

// bindAgain looks for what symbols are bound to in objects that were opened
// since they were first used.
func (p *Program) bindAgain() {
	unseen := p.unseen
	p.unseen = nil
	for _, b := range p.later {
		for _, o := range unseen {
			d, ok := o.Match(b.key.obj.File.Symbols[b.key.symbol])
			if !ok || slices.Contains(b.defs, d) {
				continue
			}
			b.defs = append(b.defs, d)
			for _, u := range b.uses {
				p.used(u, []link.Definition{d})
			}
		}
	}
}

func (p *Program) used(u use, defs []link.Definition) {
	was := p.now
	for _, d := range defs {
		p.now = u.edge
		if u.call {
			p.callDefinition(d, u.addend)
		} else if c := p.codes[d.Object]; c != nil {
			p.define(c, d.Symbol, u.addend)
		}
	}
	p.now = was
}

// address says that code or data that runs has the address addr.
func (p *Program) address(c *Code, addr uint64) {
	sec := c.File.Section(addr)
	switch {
	case sec == nil:
	case sec.Exec:
		p.take(c, addr)
	case isGOT(sec):
		p.touch(c, addr, 16)
		p.touchExtents(c, addr)
	default:
		p.touchExtents(c, addr)
	}
}

// touchExtents says that code that runs can reach the data that an address is
// in.
func (p *Program) touchExtents(c *Code, addr uint64) {
	whole := p.data[c].whole
	from, to := c.extentsAt(addr)
	for i := from; i < to; i++ {
		if e := c.extents[i]; !whole[i] {
			whole[i] = true
			p.touch(c, e.lo, e.hi-e.lo)
		}
	}
}

// take says that calls through pointers may enter the code at addr.
func (p *Program) take(c *Code, addr uint64) {
	if slot, ok := c.pltSlot(addr); ok {
		p.touch(c, slot, 8)
		return
	}
	f := c.At(addr)
	if f == nil {
		return
	}
	n := p.reach(f, addr)
	n.taken(p.now, c)
	n.Escapes = n.Escapes || p.now.From == nil || p.now.From.Func.Code != c
}

// touch says that code that runs can read size bytes of data at addr.
func (p *Program) touch(c *Code, addr, size uint64) {
	i := c.slotFrom(addr - min(addr, 7))
	for ; i < len(c.slots) && c.slots[i].addr < addr+size; i++ {
		p.touchSlot(c, i)
	}
}

func (p *Program) touchSlot(c *Code, i int) {
	d := p.data[c]
	if d.slots[i] {
		return
	}
	d.slots[i] = true
	s := c.slots[i]
	was := p.now
	if p.now.Reason == Taken || p.now.Reason == Call {
		p.now.Reason = Data
	}
	switch s.kind {
	case relative:
		p.address(c, uint64(s.addend))
	case resolver:
		p.now.Reason = Resolve
		p.reachAll(c, uint64(s.addend))
	case bound:
		p.bind(c, s.symbol, use{p.now, false, s.addend})
	case copied:
		p.copy(c, s.symbol)
	}
	p.now = was
}

// define says that code or data that runs has the address of a symbol.
func (p *Program) define(c *Code, s elfx.Symbol, addend int64) {
	switch {
	case s.Type == elf.STT_TLS || s.Absolute:
	case s.Type == elf.STT_GNU_IFUNC:
		p.now.Reason = Resolve
		p.reachAll(c, s.Value)
	case s.Type == elf.STT_OBJECT && s.Size > 0 && !c.File.IsGo():
		p.touch(c, s.Value, s.Size)
		if addend < 0 || uint64(addend) >= s.Size {
			p.address(c, s.Value+uint64(addend))
		}
	default:
		p.address(c, s.Value+uint64(addend))
	}
}

// copy says that code that runs reads data that ld.so copied from another
// object at start.
func (p *Program) copy(c *Code, symbol int) {
	if symbol <= 0 || symbol >= len(c.File.Symbols) {
		return
	}
	name := c.File.Symbols[symbol].Name
	for _, d := range p.Link.BindName(name) {
		if d.Object == c.Object {
			continue
		}
		if dc := p.codes[d.Object]; dc != nil {
			p.define(dc, d.Symbol, 0)
		}
		return
	}
}

// reach makes a function live, and notes who enters it and where.
func (p *Program) reach(f *Func, addr uint64) *Node {
	if addr != f.Start {
		f.enter(addr)
	}
	n := p.nodes[f]
	if n == nil {
		n = &Node{Func: f, First: p.now}
		p.nodes[f] = n
		p.order = append(p.order, n)
		p.todo = append(p.todo, n)
	}
	if p.now.Reason == Call {
		e := p.now
		e.Inside = addr != f.Start
		n.Callers = append(n.Callers, e)
	}
	return n
}

// Live returns the functions that can run, in the order of their distance
// from an entry point. It must not be changed.
func (p *Program) Live() []*Node { return p.order }

// Node returns the function of an object at an address, if it can run.
func (p *Program) Node(o *link.Object, addr uint64) *Node {
	c := p.codes[o]
	if c == nil {
		return nil
	}
	i, ok := c.search(addr)
	if !ok {
		return nil
	}
	return p.nodes[c.funcs[i]]
}

// Instructions is how many instructions the functions that can run have.
func (p *Program) Instructions() int {
	n := 0
	for _, node := range p.order {
		n += node.Func.insts
	}
	return n
}

// parallel calls f for 0 to n-1, on all processors where that is worth it.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n/8+1)
	if workers == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	next := make(chan [2]int, workers)
	for range workers {
		wg.Go(func() {
			for span := range next {
				for i := span[0]; i < span[1]; i++ {
					f(i)
				}
			}
		})
	}
	const batch = 16
	for lo := 0; lo < n; lo += batch {
		next <- [2]int{lo, min(lo+batch, n)}
	}
	close(next)
	wg.Wait()
}
