package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/profgen/profgen/internal/profiledir"
)

// scanned returns every file that a scan writes, by name, run as a process of its
// own.
func scanned(t *testing.T, env []string, args ...string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "profile")
	cmd := command(t, append([]string{"scan", "--allow-incomplete", "-o", dir}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scan %v: %v\n%s", args, err, out)
	}
	out := map[string]string{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	if len(out[profiledir.EvidenceFile]) < 1000 {
		t.Fatalf("scan %v: evidence of %d bytes", args, len(out[profiledir.EvidenceFile]))
	}
	return out
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s: %s differs from what a scan without a cache writes", what, name)
		}
	}
}

// TestCacheChangesNothing: a scan writes the same bytes without a cache, with an
// empty one, a full one, one that another image filled, and one of which every
// entry was damaged; on one processor and on two.
func TestCacheChangesNothing(t *testing.T) {
	layout := testImages(t)
	nginx, redis := layout+":nginx", layout+":redis"
	want := scanned(t, nil, "--no-cache", nginx)
	same(t, "one processor", scanned(t, []string{"GOMAXPROCS=1"}, "--no-cache", nginx), want)
	home := t.TempDir()
	env := []string{"XDG_CACHE_HOME=" + home}
	wantRedis := scanned(t, nil, "--no-cache", redis)
	same(t, "empty cache", scanned(t, env, redis), wantRedis)
	same(t, "cache of another image", scanned(t, env, nginx), want)
	same(t, "full cache", scanned(t, env, nginx), want)
	same(t, "arguments", scanned(t, env, nginx, "--", "nginx", "-t"), scanned(t, nil, "--no-cache", nginx, "--", "nginx", "-t"))
	entries, err := filepath.Glob(filepath.Join(home, "profgen", "*"))
	if err != nil || len(entries) < 10 {
		t.Fatalf("%d entries, error %v", len(entries), err)
	}
	for _, damage := range []struct {
		name string
		do   func([]byte) []byte
	}{
		{"a bit flipped in each entry", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
		{"each entry cut", func(b []byte) []byte { return b[:len(b)/3] }},
		{"each entry empty", func([]byte) []byte { return nil }},
	} {
		for _, f := range entries {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, damage.do(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		same(t, damage.name, scanned(t, env, nginx), want)
		same(t, damage.name+", and again", scanned(t, env, nginx), want)
	}
}

// TestCacheOfADamagedImage: that a result is known does not make an image whole
// whose layers are not those it was found in.
func TestCacheOfADamagedImage(t *testing.T) {
	layout := filepath.Join(t.TempDir(), "oci")
	if err := os.CopyFS(layout, os.DirFS(testImages(t))); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CACHE_HOME=" + t.TempDir()}
	scanned(t, env, layout+":busybox")
	scanned(t, env, layout+":busybox")
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		if info, err := os.Stat(b); err != nil || info.Size() < 1<<16 {
			continue // manifests and configurations
		}
		flipByte(t, b)
	}
	cmd := command(t, "scan", "--allow-incomplete", "-o", filepath.Join(t.TempDir(), "p"), layout+":busybox")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("digest mismatch")) {
		t.Errorf("error %v, output %s; want the damage named", err, out)
	}
}

func flipByte(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], 1<<15); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], 1<<15); err != nil {
		t.Fatal(err)
	}
}

// TestProgressInAPipe: nothing of what renews itself on a terminal goes into a
// pipe.
func TestProgressInAPipe(t *testing.T) {
	cmd := command(t, "scan", "--no-cache", "--allow-incomplete", "-o", filepath.Join(t.TempDir(), "p"), "/usr/bin/dash")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.ContainsAny(out, "\r\x1b") {
		t.Errorf("error %v, output %q", err, out)
	}
}
