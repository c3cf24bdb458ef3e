package cache_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/profgen/profgen/internal/scan/cache"
)

func open(t testing.TB, dir, version string, size int64) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, version, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func want(t *testing.T, c *cache.Cache, key, value string) {
	t.Helper()
	got, ok := c.Get(key)
	if ok != (value != "") || string(got) != value {
		t.Errorf("%s is %q, %t; want %q", key, got, ok, value)
	}
}

func put(t *testing.T, c *cache.Cache, key, value string) {
	t.Helper()
	if err := c.Put(key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// files returns the entries of the cache.
func files(t *testing.T, dir string) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutAndGet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	c := open(t, dir, "1", 1<<20)
	want(t, c, "key", "")
	put(t, c, "key", "value")
	put(t, c, "key2", "value2")
	want(t, c, "key", "value")
	put(t, c, "key", "other")
	want(t, c, "key", "other")
	want(t, open(t, dir, "1", 1<<20), "key2", "value2")
	want(t, open(t, dir, "2", 1<<20), "key", "") // of another analysis
	for _, f := range append(files(t, dir), dir) {
		info, err := os.Lstat(f)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, error %v; want it to be the user's alone", f, info.Mode(), err)
		}
	}
	var none *cache.Cache
	put(t, none, "key", "value")
	want(t, none, "key", "")
}

// TestDamaged does to an entry what disks, crashes and other versions do. It is
// not there then, and the next Put puts it right.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, "1", 1<<20)
	put(t, c, "key", "a value")
	file := files(t, dir)[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "else", "of another key")
	var other []byte
	for _, f := range files(t, dir) {
		if f != file {
			other, _ = os.ReadFile(f)
		}
	}
	damaged := [][]byte{nil, append(bytes.Clone(whole), 0), other}
	for at := range whole {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << (at % 8)
		damaged = append(damaged, flipped, whole[:at])
	}
	for i, d := range damaged {
		if err := os.WriteFile(file, d, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("key"); ok {
			t.Fatalf("damage %d: %q", i, got)
		}
	}
	put(t, c, "key", "a value")
	want(t, c, "key", "a value")
}

// TestForeign: what somebody else could have put there is not taken.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, "1", 1<<20)
	put(t, c, "key", "value")
	file := files(t, dir)[0]
	for name, do := range map[string]func() error{
		"symlink": func() error {
			if err := os.Rename(file, filepath.Join(t.TempDir(), "entry")); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(t.TempDir(), "entry"), file)
		},
		"folder":       func() error { os.Remove(file); return os.Mkdir(file, 0o700) },
		"others write": func() error { return os.Chmod(file, 0o666) },
		"another user": func() error { return os.Chown(file, 12345, -1) },
	} {
		os.Remove(file)
		put(t, c, "key", "value")
		if err := do(); err != nil {
			t.Logf("%s: not tried: %v", name, err)
			continue
		}
		want(t, c, "key", "")
		os.Remove(file)
		put(t, c, "key", "value")
		want(t, c, "key", "value")
	}
}

// TestForeignFolder: a folder that others could have written to is no cache.
func TestForeignFolder(t *testing.T) {
	real := t.TempDir()
	if err := os.Chmod(real, 0o777); err != nil {
		t.Fatal(err)
	}
	if c, err := cache.Open(real, "1", 1<<20); err == nil {
		c.Close()
		t.Error("a folder that all may write to: no error")
	}
	os.Chmod(real, 0o700)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if c, err := cache.Open(link, "1", 1<<20); err == nil {
		c.Close()
		t.Error("a symlink: no error")
	}
	if os.Geteuid() == 0 {
		os.Chown(real, 12345, -1)
		if c, err := cache.Open(real, "1", 1<<20); err == nil {
			c.Close()
			t.Error("a folder of another user: no error")
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if c, err := cache.Open(file, "1", 1<<20); err == nil {
		c.Close()
		t.Error("a file: no error")
	}
}

// TestEviction: the cache stays within its size, and what was used last stays.
func TestEviction(t *testing.T) {
	dir := t.TempDir()
	const size = 64 << 10
	c := open(t, dir, "1", size)
	value := string(make([]byte, 6<<10))
	put(t, c, "used", value)
	left := filepath.Join(dir, "new-killed")
	os.WriteFile(left, make([]byte, 10), 0o600)
	long := time.Now().Add(-2 * time.Hour)
	os.Chtimes(left, long, long)
	for i := range 40 {
		put(t, c, fmt.Sprint(i), value)
		want(t, c, "used", value)
		total := int64(0)
		for _, f := range files(t, dir) {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size()
		}
		if total > size {
			t.Fatalf("%d bytes after %d entries, more than %d", total, i, size)
		}
		time.Sleep(2 * time.Millisecond) // that times differ
	}
	want(t, c, "39", value)
	want(t, c, "0", "")
	put(t, c, "large", string(make([]byte, size/2)))
	want(t, c, "large", "")
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed process left is still there")
	}
}

// TestConcurrent: several users of one folder get what was put in or nothing.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for worker := range 4 {
		c := open(t, dir, "1", 256<<10)
		group.Go(func() {
			for i := range 100 {
				key := fmt.Sprint(i % 7)
				value := bytes.Repeat([]byte(key), 5000)
				if (i+worker)%2 == 0 {
					if err := c.Put(key, value); err != nil {
						t.Error(err)
					}
				} else if got, ok := c.Get(key); ok && !bytes.Equal(got, value) {
					t.Errorf("%s: other bytes than were put in", key)
				}
			}
		})
	}
	group.Wait()
}

func TestVersion(t *testing.T) {
	a, err := cache.Version()
	b, err2 := cache.Version()
	if a == "" || a != b || err != nil || err2 != nil {
		t.Errorf("versions %q and %q, errors %v and %v", a, b, err, err2)
	}
}
