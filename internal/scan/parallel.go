package scan

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// each calls f for 0 to n-1, on all processors.
func each(n int, f func(int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	group.Wait()
}

// warm reads objects, on all processors, before each is asked for: what comes of
// them then does not depend on the order.
func (a *analysis) warm(paths []string) {
	each(len(paths), func(i int) {
		if o, err := a.linker.Object(paths[i]); err == nil {
			a.codes.Get(o)
		}
	})
}
