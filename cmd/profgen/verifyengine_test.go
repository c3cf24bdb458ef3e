package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// profgen runs profgen with the engine at hand, and returns what it printed and its
// exit code.
func (e engine) profgen(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(os.Environ(), e.env...)
	both, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(both), cmd.ProcessState.ExitCode()
}

// A profile is proven by the engine that will run the workload: it passes, what is
// taken from it is reported as refused, and healed; and an image that is another
// than that of the profile is refused whatever it is called.
func TestVerifyWithEngines(t *testing.T) {
	images := filepath.Dir(testImages(t))
	buildArchives(t, images)
	for _, start := range []func(*testing.T) engine{startDocker, startPodman} {
		e := start(t)
		for _, s := range servers[:2] {
			e.must(t, "load", "-i", filepath.Join(images, s.name+".docker.tar"))
		}
		s, dir := servers[0], filepath.Join(t.TempDir(), "profile")
		check := []string{"--engine", e.name, "--check", s.checkAt("127.0.0.1", s.port)}
		if out, code, _ := e.record(t, dir, append(check, "--", "run", "--network", "none", nginxImage)...); code != 0 {
			t.Fatalf("record: exit code %d: %s", code, out)
		}
		verify := append([]string{"verify", "--image", nginxImage, "--pass=--network=none"}, check...)
		t.Run(e.name+" passes", func(t *testing.T) {
			out, code := e.profgen(t, append(verify, "--runs", "3", dir)...)
			if code != 0 || !strings.Contains(out, "passed 3 of 3 runs, denials 0\n") {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
		t.Run(e.name+" refuses what is not in the profile", func(t *testing.T) {
			profgen(t, "generate", "--deny", "listen", "--deny", "CAP_CHOWN", dir)
			out, code := e.profgen(t, append(verify, "--runs", "1", "--check-timeout", "3s", dir)...)
			if code != 3 || !strings.Contains(out, "passed 0 of 1 runs") || !strings.Contains(out, "\ndenied listen(") && !strings.Contains(out, "\ndenied CAP_CHOWN in ") {
				t.Errorf("exit code %d, want 3: %s", code, out)
			}
			profgen(t, "generate", dir)
		})
		t.Run(e.name+" refuses another image of the same name", func(t *testing.T) { e.testSwapped(t, dir, verify) })
		if left := e.must(t, "ps", "-a", "-q"); left != "" {
			t.Errorf("containers left behind: %s", left)
		}
	}
}

// testSwapped has the tag of the image come to mean another one.
func (e engine) testSwapped(t *testing.T, dir string, verify []string) {
	e.must(t, "tag", nginxImage, "localhost/kept")
	e.must(t, "tag", "localhost/"+servers[1].name, nginxImage)
	defer e.must(t, "tag", "localhost/kept", nginxImage)
	for _, args := range [][]string{
		append(verify, "--runs", "1", dir),
		{"run", "--with", e.name, "--pass=--network=none", dir, nginxImage},
		{"run", "--with", e.name, "--dry-run", dir, nginxImage},
	} {
		out, code := e.profgen(t, args...)
		if code != 1 || !strings.Contains(out, errOtherImage.Error()) || !strings.Contains(out, "profgen diff "+dir) {
			t.Errorf("profgen %s: exit code %d: %s", strings.Join(args, " "), code, out)
		}
	}
	if out, code := e.profgen(t, "run", "--with", e.name, "--allow-other-image", "--dry-run", dir, nginxImage); code != 0 || !strings.Contains(out, "note: "+nginxImage) {
		t.Errorf("told to take it: exit code %d: %s", code, out)
	}
}
