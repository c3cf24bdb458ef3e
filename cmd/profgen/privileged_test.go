package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
	"github.com/profgen/profgen/internal/profiledir"
)

// cappedImage is an image whose user app runs /cap/true, a program with
// CAP_NET_RAW as an effective file capability, and has a set-user-ID one that
// nobody runs.
func cappedImage(t *testing.T) string {
	t.Helper()
	here, err := image.ParsePlatform("")
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), testImages(t)+":busybox", here)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	files, err := img.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := files.ReadFile("bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	program := func(name string, mode int64) imagetest.Entry {
		e := imagetest.File(name, string(busybox))
		e.Mode = mode
		return e
	}
	capped := program("cap/true", 0o755)
	// VFS_CAP_REVISION_2 with VFS_CAP_FLAGS_EFFECTIVE; permitted: bit 13, CAP_NET_RAW.
	capped.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12)}
	app := imagetest.File("bin/app", "#!/bin/sh\nexec /cap/true\n")
	app.Mode = 0o755
	return imagetest.Layout(t, imagetest.Image(t, imagetest.Tar(t, program("bin/sh", 0o755), program("bin/su", 0o4755), capped, app,
		imagetest.File("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:7:7::/:/bin/sh\n"), imagetest.File("etc/group", "app:x:7:\n"))))
}

// A program with effective file capabilities is run only if the bounding set has
// them: the profile keeps those, says so, and passes; without them the kernel does
// what the evidence says it would.
func TestFileCapabilities(t *testing.T) {
	layout, dir := cappedImage(t), filepath.Join(t.TempDir(), "dir")
	must := func(args ...string) string {
		t.Helper()
		out, err := command(t, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("profgen %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	told := must("record", "-o", dir, "--image", layout)
	if !strings.Contains(told, "capabilities  CAP_NET_RAW\n") || !strings.Contains(told, "warning       the workload runs /cap/true: it is a file with capabilities CAP_NET_RAW=ep") {
		t.Errorf("recording says nothing of the program:\n%s", told)
	}
	in, err := profiledir.Input(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"CAP_NET_RAW"}; !slices.Equal(in.Plan.ToExec, want) {
		t.Errorf("to exec %v, want %v", in.Plan.ToExec, want)
	}
	evidence, err := os.ReadFile(filepath.Join(dir, "evidence.jsonl"))
	if want := `{"privileged":{"path":"/bin/su","setuid":true}}`; err != nil || !strings.Contains(string(evidence), want) {
		t.Errorf("the evidence has no %s (%v)", want, err)
	}
	if out := must("verify", dir, "--image", layout, "--runs", "2"); !strings.Contains(out, "passed 2 of 2 runs") {
		t.Errorf("under its profile:\n%s", out)
	}
	must("generate", dir, "--deny", "CAP_NET_RAW")
	if out, err := command(t, "verify", dir, "--image", layout, "--runs", "1").CombinedOutput(); err == nil || !strings.Contains(string(out), "passed 0 of 1") {
		t.Errorf("without CAP_NET_RAW in the bounding set execve is to fail: %v\n%s", err, out)
	}
}
