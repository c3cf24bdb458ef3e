package scan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// arm64Root has programs of Debian's arm64 packages, fetched by
// scripts/arm64-programs.
const arm64Root = "../../.cache/arm64"

// What Debian's programs for arm64 do under emulation is found in their code. Of
// what is not resolved there is little: Perl's syscall makes any call, in one place
// for each number of arguments.
func TestDebianARM64(t *testing.T) {
	if _, err := os.Stat(arm64Root); err != nil {
		t.Skip("needs programs for arm64: scripts/arm64-programs .cache/arm64")
	}
	root, err := filepath.Abs(arm64Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"bin/dash", "-c", "echo $$ | while read a; do echo $a; done >/dev/null; cd /; kill -0 $$; umask 22; trap : USR1; wait"},
		{"bin/bash", "-c", "cat() { while read -r l; do echo $l; done; }; cat </etc/hostname >/dev/null; (ulimit -n; exit 3) || echo $?; kill -0 $$; cd /"},
		{"usr/bin/perl", "-e", `open F, "<", "/etc/passwd"; $l = <F>; pipe R, W; unless (fork) { print W $l; exit } wait; utime 1, 1, "/nowhere"; sleep 0; select undef, undef, undef, .01; chdir "/"; opendir D, "."; readdir D`},
		{"usr/bin/python3.11", "-ISc", "import posix, time, _thread; posix.listdir('/'); r, w = posix.pipe(); posix.write(w, b'x'); time.sleep(.01); _thread.start_new_thread(time.time, ()); posix.waitpid(posix.fork() or posix._exit(0), 0); posix.getloadavg()"},
		{"usr/bin/sqlite3", "@/db", "create table t(a, b); insert into t values(1, 'x'), (2, 'y'); pragma journal_mode=wal; insert into t select * from t; select count(*) from t; vacuum;"},
		{"usr/bin/openssl", "genpkey", "-algorithm", "ed25519", "-out", "@/key"},
		{"usr/bin/jq", "-n", "[range(1000)] | add, now, env.HOME, input_filename"},
		{"usr/bin/lua5.4", "-e", "f = io.open(os.tmpname(), 'w'); f:write('x'); f:seek('set'); f:setvbuf('full', 1 << 16); f:close(); os.rename('/nowhere', '/'); os.remove('/nowhere'); io.popen('true'):close(); print(os.time(), os.getenv('HOME'))"},
		{"usr/bin/gawk", `BEGIN { "echo a" | getline x; print x | "cat"; close("cat"); while ((getline l < "/etc/passwd") > 0) n++; print n > "/dev/stderr"; system("exit 2"); srand(); print strftime() }`},
		{"usr/bin/find", "/etc", "-maxdepth", "1", "-newer", "/etc/passwd", "-size", "+1", "-exec", "true", "{}", ";"},
		{"bin/tar", "-cf", "@/tar", "/etc/hostname", "/etc/passwd"},
	} {
		t.Run(filepath.Base(argv[0]), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := []string{"-L", root, "-strace", filepath.Join(root, argv[0])}
			for _, a := range argv[1:] {
				args = append(args, strings.ReplaceAll(a, "@", dir))
			}
			cmd := exec.Command("qemu-aarch64", args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
			trace, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", cmd.Args, err, trace)
			}
			most := 3
			if argv[0] == "usr/bin/perl" {
				most = 8
			}
			hold(t, root, argv[0], traced(string(trace)), most)
		})
	}
}
