package graph

import (
	"context"
	"runtime"
	"sync"

	"github.com/profgen/profgen/internal/scan/insn"
)

// Run follows everything live to a fix-point. Linear in the code that is live.
func (p *Program) Run(ctx context.Context) error {
	p.bindAgain()
	for len(p.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		round := p.todo
		p.todo = nil
		parallel(len(round), func(i int) {
			s := p.sweeps.Get().(*insn.Sweep)
			round[i].Func.sweep(s)
			p.sweeps.Put(s)
		})
		for _, n := range round {
			p.follow(n)
		}
	}
	p.calls.sort(len(p.order))
	return nil
}

// follow lets live what a live function gives away.
func (p *Program) follow(n *Node) {
	f := n.Func
	c := p.parts[f.Code.Object]
	out, site := f.out, f.Start
	for range out.number() {
		p.led(c, n, out.lead(&site))
	}
	if f.runsOn && !f.endsInCallForGood() {
		p.now = Edge{From: n, Site: f.End, Reason: Call}
		p.reachAll(c, f.End)
	}
	for len(out) > 0 {
		p.led(c, n, out.lead(&site))
	}
}

// led lets live what a function leads to in one way.
func (p *Program) led(c *part, n *Node, l lead) {
	p.now = Edge{From: n, Site: l.site, Reason: Call}
	switch l.way {
	case callsCode:
		p.reachAll(c, l.to)
		return
	case callsFunc:
		p.enters(p.live(c, int32(l.to)), p.now)
		return
	case callsSlot:
		p.callSlots(c, int(l.to))
		return
	}
	p.now.Reason = Taken
	switch l.way {
	case takesAddress:
		p.address(c, l.to)
	case takesFunc:
		p.given(c, p.order[p.live(c, int32(l.to))])
	case takesExtents:
		p.touchExtents(c, int(l.to), int(l.to)+l.n)
	case readsSlots:
		p.now.Reason = Data
		for i := range l.n {
			p.touchSlot(c, int(l.to)+i)
		}
	}
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
