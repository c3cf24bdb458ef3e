package graph

import (
	"debug/elf"
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

	id int32 // index of Program.order
	// Escapes says that pointers to it may be in the hands of other objects than
	// its own.
	Escapes bool
	pointed bool // calls through pointers may enter it

	mu     sync.Mutex // of pointed, and of
	takers *[]*Func   // where code takes its address, and was not looked at yet; nil if nowhere
}

// Program is one program's objects and which of their functions can run.
type Program struct {
	Link *link.Program

	parts  map[*link.Object]*part
	order  []*Node // in the order in which they were reached
	todo   []*Node // reached, and not yet followed
	calls  calls
	unused []Node         // nodes to come
	unseen []*link.Object // objects that were loaded since symbols were last bound
	later  []*binding     // those that may get further definitions, in the order in which they were asked for
	rooted map[*link.Object]bool
	now    Edge // how what is reached now is reached
	sweeps sync.Pool
}

// part is what is known of an object in a program.
type part struct {
	*Code
	nodes []int32    // Node.id by Func.id, plus 1; 0 if it does not run; it grows
	binds []*binding // by index of File.Symbols; nil where nobody asked
	read  []bool     // by index of slots: code that runs can read them
	whole []bool     // by index of extents: code that runs can read them from end to end
}

// binding is what a symbol of an object is bound to, and where it is used, if it
// may get further definitions.
type binding struct {
	symbol *elfx.Symbol
	defs   []link.Definition
	later  bool
	uses   []use
}

// use is a call of a symbol, or its address in code or data that runs.
type use struct {
	edge   Edge
	addend int64
	call   bool
}

// Codes keeps prepared objects, for all programs. The zero value is ready.
type Codes struct {
	Cache Cache // nil for none

	mu     sync.Mutex
	all    map[*link.Object]*prepared
	lifted sync.Pool // of *[]insn.Inst
}

type prepared struct {
	once sync.Once
	code *Code
}

// Get returns the object prepared for analysis; nil if it is for a
// machine whose code cannot be read.
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
		if p.code = prepare(obj, &s.lifted); p.code != nil && s.Cache != nil {
			p.code.recall(s.Cache)
		}
	})
	return p.code
}

// New begins the analysis of a program.
func New(lp *link.Program, codes *Codes) *Program {
	p := &Program{Link: lp, parts: map[*link.Object]*part{}, rooted: map[*link.Object]bool{}}
	p.sweeps.New = func() any { return &insn.Sweep{} }
	p.Load(codes)
	return p
}

// Load takes in the objects that were added to the program since.
func (p *Program) Load(codes *Codes) {
	var fresh []*link.Object
	for _, o := range p.Link.Objects {
		if _, ok := p.parts[o]; !ok {
			fresh = append(fresh, o)
		}
	}
	ready := make([]*Code, len(fresh))
	parallel(len(fresh), func(i int) { ready[i] = codes.Get(fresh[i]) })
	for i, o := range fresh {
		p.parts[o] = nil
		if c := ready[i]; c != nil {
			p.parts[o] = &part{Code: c, read: make([]bool, len(c.slots)), whole: make([]bool, len(c.extents))}
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
	if c := p.parts[o]; c != nil && addr != 0 {
		p.reachAll(c, addr)
	}
}

// Initialise makes live what ld.so and exit call in an object.
func (p *Program) Initialise(o *link.Object) {
	c := p.parts[o]
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
	for i := range c.slots {
		if c.slots[i].Type == c.rels.irelative {
			p.now = Edge{Reason: Resolve}
			p.touchSlot(c, i)
		}
	}
}

// Plugin makes live what whoever loads an object at run time can call: its
// initialisers and everything it exports.
func (p *Program) Plugin(o *link.Object) {
	p.Initialise(o)
	for i := range o.File.Symbols {
		s := &o.File.Symbols[i]
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
	if c := p.parts[d.Object]; c != nil {
		p.define(c, d.Symbol, 0)
	}
}

// reachAll lets control reach addr, through a PLT entry where it is one.
func (p *Program) reachAll(c *part, addr uint64) {
	if slot, ok := c.pltSlot(addr); ok {
		p.callSlot(c, slot)
		return
	}
	if f := c.At(addr); f != nil {
		p.reach(c, f, addr)
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
func (p *Program) callSlot(c *part, addr uint64) {
	if i := c.slotFrom(addr); i < len(c.slots) && c.slots[i].Offset == addr {
		p.callSlots(c, i)
	}
}

// callSlots is callSlot for the i-th slot, and all that are in the same place.
func (p *Program) callSlots(c *part, i int) {
	for addr := c.slots[i].Offset; i < len(c.slots) && c.slots[i].Offset == addr; i++ {
		s := c.slot(i)
		switch s.kind {
		case relative:
			p.reachAll(c, uint64(s.addend))
		case resolver:
			p.touchSlot(c, i)
		case bound:
			p.bind(c, s.symbol, use{p.now, s.addend, true})
		}
	}
}

func (p *Program) callDefinition(d link.Definition, addend int64) {
	c := p.parts[d.Object]
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
func (p *Program) bind(c *part, symbol int32, u use) {
	if symbol <= 0 || int(symbol) >= len(c.File.Symbols) {
		return
	}
	if c.binds == nil {
		c.binds = make([]*binding, len(c.File.Symbols))
	}
	b := c.binds[symbol]
	if b == nil {
		b = &binding{symbol: &c.File.Symbols[symbol]}
		b.defs, b.later = p.Link.Bind(c.Object, b.symbol)
		c.binds[symbol] = b
		if b.later {
			p.later = append(p.later, b)
		}
	}
	if b.later {
		b.uses = append(b.uses, u)
	}
	p.used(u, b.defs)
}

// bindAgain looks for what symbols are bound to in objects that were opened
// since they were first used.
func (p *Program) bindAgain() {
	unseen := p.unseen
	p.unseen = nil
	for _, b := range p.later {
		for _, o := range unseen {
			d, ok := o.Match(b.symbol)
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
		} else if c := p.parts[d.Object]; c != nil {
			p.define(c, d.Symbol, u.addend)
		}
	}
	p.now = was
}

// address says that code or data that runs has the address addr.
func (p *Program) address(c *part, addr uint64) {
	sec := c.File.Section(addr)
	switch {
	case sec == nil:
	case sec.Exec:
		p.take(c, addr)
	case isGOT(sec):
		p.touch(c, addr, 16)
		fallthrough
	default:
		from, to := c.extentsAt(addr)
		p.touchExtents(c, from, to)
	}
}

// touchExtents says that code that runs can reach some of c.extents.
func (p *Program) touchExtents(c *part, from, to int) {
	for i := from; i < to; i++ {
		if e := c.extents[i]; !c.whole[i] {
			c.whole[i] = true
			p.touch(c, e.lo, e.hi-e.lo)
		}
	}
}

// take says that calls through pointers may enter the code at addr.
func (p *Program) take(c *part, addr uint64) {
	if slot, ok := c.pltSlot(addr); ok {
		p.touch(c, slot, 8)
		return
	}
	f := c.At(addr)
	if f == nil {
		return
	}
	p.given(c, p.reach(c, f, addr))
}

// given says that code or data that runs has the address of a function.
func (p *Program) given(c *part, n *Node) {
	n.taken(p.now)
	n.Escapes = n.Escapes || p.now.From == nil || p.now.From.Func.Code != c.Code
}

// touch says that code that runs can read size bytes of data at addr.
func (p *Program) touch(c *part, addr, size uint64) {
	from, to := c.slotsIn(addr, size)
	for i := from; i < to; i++ {
		p.touchSlot(c, i)
	}
}

func (p *Program) touchSlot(c *part, i int) {
	if c.read[i] {
		return
	}
	c.read[i] = true
	s := c.slot(i)
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
		p.bind(c, s.symbol, use{p.now, s.addend, false})
	case copied:
		p.copy(c, s.symbol)
	}
	p.now = was
}

// define says that code or data that runs has the address of a symbol.
func (p *Program) define(c *part, s *elfx.Symbol, addend int64) {
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
func (p *Program) copy(c *part, symbol int32) {
	if symbol <= 0 || int(symbol) >= len(c.File.Symbols) {
		return
	}
	name := c.File.Symbols[symbol].Name
	for _, d := range p.Link.BindName(name) {
		if d.Object == c.Object {
			continue
		}
		if dc := p.parts[d.Object]; dc != nil {
			p.define(dc, d.Symbol, 0)
		}
		return
	}
}

// reach makes a function live, and notes who enters it and where.
func (p *Program) reach(c *part, f *Func, addr uint64) *Node {
	if addr != f.Start {
		f.enter(addr)
	}
	n := p.live(c, f.id)
	if p.now.Reason == Call {
		e := p.now
		e.Inside = addr != f.Start
		p.enters(n, e)
	}
	return p.order[n]
}

// live makes a function of an object live, if it is not yet, and returns its
// Node.id.
func (p *Program) live(c *part, id int32) int32 {
	if int(id) >= len(c.nodes) {
		c.nodes = append(c.nodes, make([]int32, len(c.all)-len(c.nodes))...)
	}
	if c.nodes[id] == 0 {
		c.nodes[id] = p.node(c.all[id]).id + 1
	}
	return c.nodes[id] - 1
}

// node makes a function live.
func (p *Program) node(f *Func) *Node {
	if len(p.unused) == 0 {
		p.unused = make([]Node, 1<<10)
	}
	n := &p.unused[0]
	p.unused = p.unused[1:]
	n.Func, n.First, n.id = f, p.now, int32(len(p.order))
	p.order = append(p.order, n)
	p.todo = append(p.todo, n)
	return n
}

// Live returns the functions that can run, in the order of their distance
// from an entry point. It must not be changed.
func (p *Program) Live() []*Node { return p.order }

// Node returns the function of an object at an address, if it can run.
func (p *Program) Node(o *link.Object, addr uint64) *Node {
	c := p.parts[o]
	if c == nil {
		return nil
	}
	i, ok := c.search(addr)
	if !ok || int(c.funcs[i].id) >= len(c.nodes) || c.nodes[c.funcs[i].id] == 0 {
		return nil
	}
	return p.order[c.nodes[c.funcs[i].id]-1]
}

// Instructions is how many instructions the functions that can run have.
func (p *Program) Instructions() int {
	n := 0
	for _, node := range p.order {
		n += int(node.Func.insts)
	}
	return n
}
