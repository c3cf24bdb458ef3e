package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/cache"
)

// openCache opens the user's cache; nil if there can be none. That is no error:
// a scan only takes longer.
func openCache(talk io.Writer) *cache.Cache {
	dir, err := cache.Dir()
	if err != nil {
		return nil // a user without a home
	}
	version, err := cache.Version()
	if err != nil {
		return nil
	}
	c, err := cache.Open(dir, version, cache.DefaultSize)
	if err != nil {
		fmt.Fprintf(talk, "profgen: scans without a cache: %v\n", err)
		return nil
	}
	return c
}

// cached returns what the cache has on the image, or else what anew finds, which
// it keeps.
//
// The key says all that a result depends on: the program that found it, the
// digests of the configuration and of all layers, and the arguments. So it is
// true of every image with these digests, and what is left to see is whether this
// one has them: the stored bytes are hashed, and not unpacked, since whoever put
// the result there had unpacked bytes of the same digest and compared them with
// the second digest in the key.
func cached(ctx context.Context, opt scanOptions, anew func(context.Context, scanOptions) (evidence.Set, error)) (evidence.Set, error) {
	identity := opt.Image.Identity()
	if opt.Cache == nil || identity == "" {
		return anew(ctx, opt)
	}
	key, err := json.Marshal([]any{"image", identity, append([]string{}, opt.Args...)})
	if err != nil {
		return evidence.Set{}, err
	}
	if data, ok := opt.Cache.Get(string(key)); ok {
		if set, err := evidence.Decode(bytes.NewReader(data)); err == nil {
			return set, opt.Image.Verify(ctx)
		}
	}
	set, err := anew(ctx, opt)
	if err != nil {
		return set, err
	}
	var data bytes.Buffer
	if err := evidence.Encode(&data, set); err != nil {
		return set, err
	}
	opt.Cache.Put(string(key), data.Bytes()) // a full disk makes the next scan slow, and no more
	return set, nil
}

// summaries is the cache as scan.Run wants it.
func summaries(c *cache.Cache) scan.Cache {
	if c == nil {
		return nil
	}
	return c
}

// forScan sets the memory up for a scan, which needs what it returns to stay.
//
// A scan allocates some hundred megabytes within a few tenths of a second. In small
// pages, the kernel's share of that is a fifth of all time; so the heap begins with
// a stretch of memory that is to come in large ones, of which nothing is touched
// before it is used.
//
// Nor is the ballast ever touched, and so it takes no memory. The collector counts
// it as what is in use: it begins late, with what a small image never needs, and a
// large one gets no more for it than it would with a higher percentage.
func forScan() (ballast []byte) {
	const heap, weight = 256 << 20, 160 << 20
	debug.SetGCPercent(-1)         // none of this is worth a collection but the one below
	ballast = make([]byte, weight) // first: memory that was never used needs no zeros written
	b := make([]byte, heap)
	unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without large pages has small ones
	runtime.KeepAlive(b)
	runtime.GC()           // b is free memory of the heap from here on
	debug.SetGCPercent(30) // a large image has little to spare: most of what is found out is kept
	return ballast
}
