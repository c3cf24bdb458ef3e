package rootfs_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

func accounts(t *testing.T, passwd, group string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestUser reads every form of USER.
func TestUser(t *testing.T) {
	full := accounts(t,
		"root:x:0:0::/root:/bin/sh\nnginx:x:101:102::/:/bin/false\nbad:x:-5:0::/:\nhuge:x:4294967296:0::/:\n",
		"root:x:0:\nnginx:x:102:\nssl:x:200:root,nginx\nlog:x:201:nginx\n")
	none := t.TempDir()
	for _, tt := range []struct {
		dir, spec string
		uid, gid  uint32
		more      []uint32
		says      string // of the error, if there is to be one
	}{
		{full, "", 0, 0, []uint32{200}, ""},
		{full, "root", 0, 0, []uint32{200}, ""},
		{full, "nginx", 101, 102, []uint32{200, 201}, ""},
		{full, "101", 101, 102, []uint32{200, 201}, ""},
		{full, "nginx:ssl", 101, 200, nil, ""},
		{full, "nginx:0", 101, 0, nil, ""},
		{full, "1000", 1000, 0, nil, ""},
		{full, "1000:2000", 1000, 2000, nil, ""},
		{full, "nobody", 0, 0, nil, "give a number"},
		{full, "nginx:wheel", 0, 0, nil, "wheel"},
		{full, "bad", 0, 0, nil, "the number -5"},
		{full, "huge", 0, 0, nil, "the number 4294967296"},
		{full, "-1", 0, 0, nil, "range"},
		{full, "4294967295", 0, 0, nil, "range"},
		{none, "", 0, 0, nil, ""},
		{none, "1000:1000", 1000, 1000, nil, ""},
		{none, "nginx", 0, 0, nil, `user "nginx"`},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			uid, gid, more, err := rootfs.User(tt.dir, tt.spec)
			if tt.says != "" {
				wantError(t, err, nil, tt.says)
				return
			}
			if err != nil || uid != tt.uid || gid != tt.gid || !slices.Equal(more, tt.more) {
				t.Errorf("got %d:%d and %v, %v", uid, gid, more, err)
			}
		})
	}
}

// TestUserStaysInside has account files that are not plain files.
func TestUserStaysInside(t *testing.T) {
	outside := filepath.Join(accounts(t, "app:x:66:66::/:\n", ""), "etc/passwd")
	for _, tt := range []struct {
		name string
		make func(file string) error
		uid  uint32 // of "app", if it is found
		says string
	}{
		{"symlink out", func(f string) error { return os.Symlink(outside, f) }, 0, "no matching entries"},
		{"climbing symlink out", func(f string) error { return os.Symlink("../../../../../.."+outside, f) }, 0, "no matching entries"},
		{"absolute symlink within", func(f string) error { return os.Symlink("/usr/passwd", f) }, 42, ""},
		{"symlink to itself", func(f string) error { return os.Symlink("passwd", f) }, 0, "etc/passwd"},
		{"pipe", func(f string) error { return syscall.Mkfifo(f, 0o600) }, 0, "not a regular file"},
		{"folder", func(f string) error { return os.Mkdir(f, 0o700) }, 0, "not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := accounts(t, "", "")
			os.Mkdir(filepath.Join(dir, "usr"), 0o755)
			os.WriteFile(filepath.Join(dir, "usr/passwd"), []byte("app:x:42:42::/:\n"), 0o600)
			os.Remove(filepath.Join(dir, "etc/passwd"))
			if err := tt.make(filepath.Join(dir, "etc/passwd")); err != nil {
				t.Fatal(err)
			}
			uid, _, _, err := rootfs.User(dir, "app")
			if tt.says != "" {
				wantError(t, err, nil, tt.says)
				return
			}
			if err != nil || uid != tt.uid {
				t.Errorf("got %d, %v", uid, err)
			}
		})
	}
}
