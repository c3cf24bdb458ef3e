package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

// busybox opens the image that tests run.
func busybox(t *testing.T) *image.Image {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: to run containers")
	}
	layout, err := filepath.Abs("../../.cache/images/oci")
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), layout+":busybox", image.Platform{})
	if err != nil {
		t.Fatalf("%v: make test builds the images that the tests run", err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func runc(t *testing.T) Runtime {
	t.Helper()
	rt, err := FindRuntime(t.Context(), "runc")
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// wrapped is a runtime that runs a line of shell before its command that is
// called so.
func (r Runtime) wrapped(t *testing.T, command, line string) Runtime {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *' %s '*) %s;; esac\nexec %s \"$@\"\n", command, line, r.Path)
	r.Path = filepath.Join(t.TempDir(), r.Name)
	if err := os.WriteFile(r.Path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// inBusybox returns a container of the image that runs a script, and what that
// printed.
func inBusybox(t *testing.T, script string) (*Container, func() string) {
	t.Helper()
	out, read := output(t)
	facts, err := host.Read()
	if err != nil {
		t.Fatal(err)
	}
	return &Container{
		Image: busybox(t), Runtime: runc(t), Args: []string{"sh", "-c", script},
		Stdio: Stdio{nil, out, os.Stderr}, Confinement: Confinement{Seccomp: AllowAll(facts.Arch)},
	}, read
}

// bundled makes a bundle of the image, whose process has the capabilities.
func bundled(t *testing.T, uid uint32, own *specs.LinuxCapabilities, script string) (*Container, func() string) {
	t.Helper()
	c, read := inBusybox(t, "")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rootfs.Unpack(t.Context(), c.Image, root, rootfs.Limits{}); err != nil {
		t.Fatal(err)
	}
	spec := newSpec(c.Image.Config(), process{argv: []string{"sh", "-c", script}, uid: uid}, "root", Confinement{}, false, nil)
	spec.Process.Capabilities = own
	config, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Image, c.Args, c.Bundle = nil, nil, dir
	return c, read
}

// start starts a container that ends with the test at the latest.
func start(t *testing.T, c *Container) {
	t.Helper()
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.guard.close() })
}

// run starts a container and waits for its end.
func run(t *testing.T, c *Container) int {
	t.Helper()
	start(t, c)
	code, err := waited(t, c)
	if err != nil {
		t.Fatal(err)
	}
	leavesNothing(t, c)
	return code
}

// leavesNothing checks that a container that has ended is gone without a trace.
func leavesNothing(t *testing.T, c *Container) {
	t.Helper()
	fileGone(t, c.dir)
	for _, trace := range traces(t, c.id) {
		t.Errorf("the container has left %s", trace)
	}
}

// traces are the cgroups, mounts and processes in which the id of a container
// is found.
func traces(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	cgroups, err := filepath.Glob("/sys/fs/cgroup/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range cgroups {
		filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Base(name) == id {
				out = append(out, name)
			}
			return nil
		})
	}
	out = append(out, hiddenTraces(id)...)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), id) {
		out = append(out, "a mount")
	}
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cmdlines {
		if cmdline, _ := os.ReadFile(name); strings.Contains(string(cmdline), id) {
			out = append(out, fmt.Sprintf("%s %q", name, cmdline))
		}
	}
	return out
}

// hiddenTraces are the files that crun leaves where a second hierarchy was
// taken away from it.
func hiddenTraces(id string) (out []string) {
	onThread(func() error {
		c := cleaner{hidden: []string{"/sys/fs/cgroup/unified"}}
		if c.hideAgain() == nil { // there is such a hierarchy
			out, _ = filepath.Glob("/sys/fs/cgroup/unified/" + id)
		}
		return nil
	})
	return out
}

func TestContainer(t *testing.T) {
	c, read := inBusybox(t, `hostname; cat /etc/hosts | head -1; grep NoNewPrivs /proc/self/status; grep Seccomp: /proc/self/status; echo $$; exit 7`)
	if code := run(t, c); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	if want := "profgen\n127.0.0.1\tlocalhost profgen\nNoNewPrivs:\t1\nSeccomp:\t2\n1\n"; read() != want {
		t.Errorf("printed %q, want %q", read(), want)
	}
}

func TestContainerThatCannotStart(t *testing.T) {
	c, _ := inBusybox(t, "")
	c.Args, c.Stdio.Err = []string{"/no/such/program"}, nil
	quiet, read := output(t)
	c.Stdio.Err = quiet
	if code := run(t, c); code == 0 || !strings.Contains(read(), "/no/such/program") {
		t.Errorf("code %d, printed %q", code, read())
	}
}

const capability = `sed -n 's/^Cap\(Bnd\|Eff\|Prm\|Amb\):\t/\1 /p' /proc/self/status`

// What confines a bundle is what was asked for, and not what is in it, unless
// that was asked for.
func TestBundleIsConfinedAsAsked(t *testing.T) {
	const kill, setuid, bind, raw = "CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW" // 5 7 10 13
	two := []string{bind, raw}
	own := &specs.LinuxCapabilities{Bounding: two, Effective: two, Permitted: two}
	ambient := &specs.LinuxCapabilities{Bounding: two, Effective: two, Permitted: two, Inheritable: two, Ambient: two}
	for _, tc := range []struct {
		name       string
		uid        uint32
		own        *specs.LinuxCapabilities
		asked      Confinement
		held, most int // permitted and effective; bounding
		ambient    int
	}{
		{"its own", 0, own, Confinement{}, 0x2400, 0x2400, 0},
		{"its own and one more", 0, own, Confinement{Added: []string{kill}}, 0x2420, 0x2420, 0},
		{"none", 0, own, Confinement{Capabilities: []string{}}, 0, 0, 0},
		{"others", 0, own, Confinement{Capabilities: []string{kill, setuid}}, 0xa0, 0xa0, 0},
		{"it has none", 0, nil, Confinement{Capabilities: []string{kill}}, 0x20, 0x20, 0},
		{"its own, no root", 1, ambient, Confinement{}, 0x2400, 0x2400, 0x2400},
		{"part of its own, no root", 1, ambient, Confinement{Capabilities: []string{bind, kill}}, 0x400, 0x420, 0x400},
		{"none, no root", 1, ambient, Confinement{Capabilities: []string{}}, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, read := bundled(t, tc.uid, tc.own, capability)
			c.Confinement = tc.asked
			want := fmt.Sprintf("Prm %016x\nEff %016x\nBnd %016x\nAmb %016x\n", tc.held, tc.held, tc.most, tc.ambient)
			if code := run(t, c); code != 0 || read() != want {
				t.Errorf("code %d, has\n%swant\n%s", code, read(), want)
			}
		})
	}
}

func TestImageIsConfinedAsAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		asked Confinement
		most  int
	}{
		"nothing":     {Confinement{}, 0},
		"one":         {Confinement{Capabilities: []string{"CAP_KILL"}}, 0x20},
		"one and one": {Confinement{Capabilities: []string{"CAP_KILL"}, Added: []string{"CAP_SETUID", "CAP_KILL"}}, 0xa0},
	} {
		t.Run(name, func(t *testing.T) {
			c, read := inBusybox(t, capability)
			c.Confinement = tc.asked
			want := fmt.Sprintf("Prm %016x\nEff %016x\nBnd %016x\nAmb %016x\n", tc.most, tc.most, tc.most, 0)
			if code := run(t, c); code != 0 || read() != want {
				t.Errorf("code %d, has\n%swant\n%s", code, read(), want)
			}
		})
	}
}

// Containers of one root see neither each other's changes nor leave any, in
// whatever folder the private ones are made.
func TestRootIsShared(t *testing.T) {
	const script = "[ ! -e /mark ] && touch /mark && rm /etc/passwd && echo clean"
	for name, tmp := range map[string]string{
		"plain": "plain", "comma": "a,b", "colon": "a:b", "all": `a, b:c=d\e"f'`,
	} {
		t.Run(name, func(t *testing.T) {
			first, read := inBusybox(t, script)
			second, readSecond := inBusybox(t, script)
			t.Chdir(t.TempDir())
			if err := os.Mkdir(tmp, 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("TMPDIR", tmp) // relative, too
			root, err := Unpack(t.Context(), first.Image, rootfs.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			first.Root, second.Root = root, root
			start(t, first)
			if code := run(t, second); code != 0 || readSecond() != "clean\n" {
				t.Errorf("one container: code %d, printed %q", code, readSecond())
			}
			if code, err := waited(t, first); code != 0 || err != nil || read() != "clean\n" {
				t.Errorf("the other: code %d, %v, printed %q", code, err, read())
			}
			if _, err := os.Stat(filepath.Join(root.dir, "mark")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a container has changed the root: %v", err)
			}
			if _, err := os.Stat(filepath.Join(root.dir, "etc/passwd")); err != nil {
				t.Errorf("a container has changed the root: %v", err)
			}
			root.Close()
			fileGone(t, root.dir)
		})
	}
}

func TestRelativeTMPDIR(t *testing.T) {
	c, read := bundled(t, 0, nil, "echo here")
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", ".")
	if code := run(t, c); code != 0 || read() != "here\n" {
		t.Errorf("code %d, printed %q", code, read())
	}
}

func TestInterruptedWhileUnpacking(t *testing.T) {
	c, _ := inBusybox(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.Start(ctx, ignore)
	if !errors.Is(err, context.Canceled) || err.Error() != "unpack image: context canceled" {
		t.Errorf("Start: %v", err)
	}
	_, err = Unpack(ctx, c.Image, rootfs.Limits{})
	if !errors.Is(err, context.Canceled) || err.Error() != "unpack image: context canceled" {
		t.Errorf("Unpack: %v", err)
	}
}

// fetch is a client of port 8080.
func fetch() {
	conn, err := net.Dial("tcp", "127.0.0.1:8080")
	if err != nil {
		os.Exit(1)
	}
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	_, page, _ := strings.Cut(string(answer), "\r\n\r\n")
	fmt.Print(page)
	os.Exit(0)
}

// A check reaches what listens in the container, by its own port.
func TestShellInTheContainersNetwork(t *testing.T) {
	c, _ := inBusybox(t, "mkdir /www; echo a page >/www/index.html; exec httpd -f -p 127.0.0.1:8080 -h /www")
	start(t, c)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the page is there", func() bool {
		out, err := c.Shell(t.Context(), "HELPER=fetch "+self)
		return err == nil && string(out) == "a page\n"
	})
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.Shell(t.Context(), "readlink /proc/self/ns/net"); err != nil || strings.TrimSpace(string(out)) == here {
		t.Errorf("the check ran in this network namespace: %q, %v", out, err)
	}
	c.Stop()
	c.Stop()
	if _, err := waited(t, c); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Shell(t.Context(), "true"); !errors.Is(err, errEnded) {
		t.Errorf("Shell after the end: %q, %v", out, err)
	}
}

// A process that is not the container's is not taken for it, whatever its id.
func TestNamespaceOfAStranger(t *testing.T) {
	stranger := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Command{Argv: []string{"sleep", "1000"}, Stdio: Talk()}
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	defer c.guard.close()
	own := descendants(c.guard.pid(), skipNone)[0]
	ns, err := namespaceBelow(c.guard.pid(), own, "net")
	if err != nil {
		t.Fatal(err)
	}
	ns.Close()
	if _, err := namespaceBelow(c.guard.pid(), stranger.Process.Pid, "net"); !errors.Is(err, errEnded) {
		t.Errorf("namespaceBelow of a stranger: %v", err)
	}
	stranger.Process.Kill()
	stranger.Wait()
	if _, err := namespaceBelow(os.Getpid(), stranger.Process.Pid, "net"); !errors.Is(err, errEnded) {
		t.Errorf("namespaceBelow of what has ended: %v", err)
	}
}

func TestPublishedPortsReachTheContainer(t *testing.T) {
	c, _ := inBusybox(t, "while :; do echo hello | nc -l -p 7777 127.0.0.1; done")
	var at net.Addr
	c.Ports = []Port{{0, 7777}}
	c.Published = func(_ Port, a net.Addr) { at = a }
	start(t, c)
	eventually(t, "the port answers", func() bool {
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Second))
		conn.(*net.TCPConn).CloseWrite()
		said, err := io.ReadAll(conn)
		return err == nil && string(said) == "hello\n"
	})
	c.Stop()
	c.Stop()
	if _, err := waited(t, c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func TestStopSignal(t *testing.T) {
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) {
			c, read := inBusybox(t, `trap "echo usr1; exit 5" USR1; echo 1; while :; do sleep 0.05; done`)
			var err error
			if c.Runtime, err = FindRuntime(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			c.StopSignal = "SIGUSR1"
			start(t, c)
			numbers(t, c.Stdio.Out.Name(), 1)
			c.Stop()
			if code, err := waited(t, c); code != 5 || err != nil || read() != "1\nusr1\n" {
				t.Errorf("code %d, %v, printed %q", code, err, read())
			}
			leavesNothing(t, c)
		})
	}
}

// A stop that comes while the runtime is at work waits for the image's program
// and ends that.
func TestStopBeforeTheContainerIsThere(t *testing.T) {
	c, _ := inBusybox(t, "echo 1; sleep 1000")
	c.Runtime = c.Runtime.wrapped(t, "run", "sleep 0.3")
	c.StopSignal = "SIGKILL"
	start(t, c)
	c.Stop()
	if code, err := waited(t, c); code != 128+9 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
	leavesNothing(t, c)
}

// A runtime that hangs when it is to pass the signal on does not keep Stop from
// returning, nor the container from being killed in the end.
func TestStopWithARuntimeThatHangs(t *testing.T) {
	c, _ := inBusybox(t, "echo 1; sleep 1000")
	pids := filepath.Join(t.TempDir(), "pids")
	c.Runtime = c.Runtime.wrapped(t, "kill", "echo $$ >>"+pids+"; sleep 1000; true")
	start(t, c)
	c.guard.grace = 3 * time.Second
	numbers(t, c.Stdio.Out.Name(), 1)
	begun := time.Now()
	c.Stop()
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("Stop took %s", took)
	}
	if code, err := waited(t, c); code != 128+9 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
	processGone(t, numbers(t, pids, 1)[0])
	leavesNothing(t, c)
}

// doomedContainer is a profgen that runs a container and waits to be killed.
func doomedContainer() {
	ctx := context.Background()
	rt, err := FindRuntime(ctx, os.Getenv("RUNTIME"))
	if err != nil {
		panic(err)
	}
	img, err := image.Open(ctx, os.Getenv("IMAGE"), image.Platform{})
	if err != nil {
		panic(err)
	}
	root, err := Unpack(ctx, img, rootfs.Limits{})
	if err != nil {
		panic(err)
	}
	c := Container{Image: img, Root: root, Runtime: rt, Args: []string{"sh", "-c", "setsid sleep 1000 & sleep 1000"}, Stdio: Talk()}
	if err := c.Start(ctx, ignore); err != nil {
		panic(err)
	}
	fmt.Println(c.dir, root.dir)
	select {}
}

// Nothing is left of a container whose profgen is killed, be it at work or
// about to start.
func TestNoContainerOutlivesProfgen(t *testing.T) {
	busybox(t)
	layout, err := filepath.Abs("../../.cache/images/oci")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"runc", "crun"} {
		for i, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, time.Second} {
			t.Run(fmt.Sprint(name, " ", after), func(t *testing.T) {
				cmd := helper(t, "doomed container", "IMAGE="+layout+":busybox", "RUNTIME="+name, "TMPDIR="+t.TempDir())
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				var dir, root string
				if _, err := fmt.Fscanln(out, &dir, &root); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after)
				if before := traces(t, filepath.Base(dir)); i == 3 && len(before) < 2 {
					t.Errorf("the container was not there: %q", before)
				}
				cmd.Process.Kill()
				cmd.Wait()
				leavesNothing(t, &Container{dir: dir, id: filepath.Base(dir)})
				fileGone(t, filepath.Dir(root))
			})
		}
	}
}

// Nor of one whose guard is killed.
func TestNoContainerOutlivesItsGuard(t *testing.T) {
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) {
			c, _ := inBusybox(t, "setsid sleep 1000 & echo 1; sleep 1000")
			var err error
			if c.Runtime, err = FindRuntime(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if c.Root, err = Unpack(t.Context(), c.Image, rootfs.Limits{}); err != nil {
				t.Fatal(err)
			}
			defer c.Root.Close()
			start(t, c)
			numbers(t, c.Stdio.Out.Name(), 1)
			inside := descendants(c.guard.pid(), skipNone)
			if len(inside) < 3 {
				t.Fatalf("%d processes below the guard", len(inside))
			}
			unix.Kill(c.guard.pid(), unix.SIGKILL)
			_, err = waited(t, c)
			if err == nil || !regexp.MustCompile(`guard process \d+ was killed`).MatchString(err.Error()) {
				t.Errorf("Wait: %v", err)
			}
			for _, pid := range inside {
				processGone(t, pid)
			}
			leavesNothing(t, c)
			list, err := exec.Command(c.Runtime.Path, "list", "-q").CombinedOutput()
			if err == nil && strings.Contains(string(list), c.id) {
				t.Errorf("%s list: %s", name, list)
			}
		})
	}
}
