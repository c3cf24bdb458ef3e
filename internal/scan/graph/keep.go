package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/profgen/profgen/internal/scan/insn"
)

// Cache keeps bytes by key: what it gives back is what was put in, or nothing.
type Cache interface {
	Get(key string) ([]byte, bool)
	Put(key string, value []byte) error
}

// summary is what was read from an object's functions, now or by an earlier
// scan: for each stretch of code, what a sweep of it finds, which depends on
// nothing but its bytes and its address. It does not depend on what else is in
// the program, so that programs and images that share an object share it.
type summary struct {
	key   string
	known []record // by an earlier scan, sorted

	mu    sync.Mutex
	fresh []record
}

// record is the sweep of [start, end).
type record struct {
	start, end uint64
	sweep      []byte
}

// recall makes what an earlier scan read from the object known. The key holds the
// build ID, and the digest of the file: a build ID says what it likes.
func (c *Code) recall(cache Cache) {
	c.summary = &summary{key: fmt.Sprintf("object %s %x", c.File.BuildID, sha256.Sum256(c.File.Contents()))}
	if b, ok := cache.Get(c.summary.key); ok {
		c.summary.known = records(b)
	}
}

// records reads what Save wrote; nil if it cannot have.
func records(b []byte) []record {
	var out []record
	at := uint64(0)
	for len(b) > 0 {
		var v [3]uint64 // distance, size, length of the sweep
		for i := range v {
			n := 0
			if v[i], n = binary.Uvarint(b); n <= 0 {
				return nil
			}
			b = b[n:]
		}
		if v[2] > uint64(len(b)) {
			return nil
		}
		at += v[0]
		out = append(out, record{at, at + v[1], b[:v[2]:v[2]]})
		b = b[v[2]:]
	}
	return out
}

func compareRecords(a, b record) int {
	if a.start != b.start {
		return compare(a.start, b.start)
	}
	return compare(a.end, b.end)
}

// read sweeps [start, end) of the object, or recalls what that found.
func (c *Code) read(start, end uint64, opt insn.SweepOptions, out *insn.Sweep) {
	s := c.summary
	if s != nil {
		i, ok := slices.BinarySearchFunc(s.known, record{start: start, end: end}, compareRecords)
		if ok && out.Recall(s.known[i].sweep, start) {
			return
		}
	}
	c.Machine.Sweep(c.File.Bytes(start, int(end-start)), start, opt, out)
	if s == nil {
		return
	}
	r := record{start, end, out.Append(nil, start)}
	s.mu.Lock()
	s.fresh = append(s.fresh, r)
	s.mu.Unlock()
}

// Save keeps what was read from the objects for later scans. What cannot be kept
// is not: they read it again.
func (s *Codes) Save() {
	if s.Cache == nil {
		return
	}
	for _, p := range s.all {
		if p.code != nil && p.code.summary != nil {
			p.code.summary.save(s.Cache)
		}
	}
}

func (s *summary) save(cache Cache) {
	if len(s.fresh) == 0 {
		return
	}
	all := slices.Concat(s.fresh, s.known)
	slices.SortStableFunc(all, compareRecords)
	all = slices.CompactFunc(all, func(a, b record) bool { return compareRecords(a, b) == 0 })
	var b []byte
	at := uint64(0)
	for _, r := range all {
		for _, v := range []uint64{r.start - at, r.end - r.start, uint64(len(r.sweep))} {
			b = binary.AppendUvarint(b, v)
		}
		b, at = append(b, r.sweep...), r.start
	}
	cache.Put(s.key, b)
}
