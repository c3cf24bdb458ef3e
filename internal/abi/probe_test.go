package abi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// exercise makes the kernel answer for rows of the capability table.
type exercise struct {
	calls  string               // the rows' system calls
	cap    string               // and capability
	row    string               // part of what describes the row, where calls and cap do not single it out
	run    func(p *probe) error // prepares with every capability, then makes the call with p.call; the error is the kernel's
	also   string               // capabilities the call needs besides, for other rows
	less   string               // broader capabilities that do as well, and that the row does not name
	deny   []error              // what a refusal is; EPERM and EACCES if empty
	absent []error              // what the kernel answers where it is built without
	half   string               // why the call is only made to be refused
	none   string               // why the kernel is not asked at all
}

// probe is a process that makes one call for one row.
type probe struct {
	row     abi.Need
	dir     string // its own folder, empty, of user 0
	keep    uint64 // capabilities to make the call with
	dropped bool
	pinned  []any // what arguments point to
}

// mode is the set of capabilities that the call is made with.
type mode string

const (
	without mode = "without" // all but the row's
	with    mode = "with"    // the row's alone
	instead mode = "instead" // the one that does as well, alone
)

const (
	probeVar = "PROFGEN_ABI_PROBE" // exercise, system call, row, mode, folder
	other    = 1                   // a user that is not the caller
	at       = unix.AT_FDCWD
)

// missing is what a machine lacks for an exercise.
type missing string

func (m missing) Error() string { return string(m) }

func TestMain(m *testing.M) {
	if spec, ok := os.LookupEnv(probeVar); ok {
		if spec == "" {
			return // a process to be gone
		}
		if spec == "free" {
			runtime.LockOSThread()
			freeMain()
			return
		}
		probeMain(strings.Fields(spec))
		return
	}
	os.Exit(m.Run())
}

// probeMain prints how the kernel answered: ok, an errno, or what is missing.
func probeMain(spec []string) {
	runtime.LockOSThread()
	e := exercises()[number(spec[0])]
	p := &probe{row: abi.Needs(spec[1])[number(spec[2])], dir: spec[4]}
	p.keep = p.permitted(mode(spec[3]), e)
	var errno syscall.Errno
	switch err := p.run(e); {
	case err == nil:
		fmt.Println("ok")
	case errors.As(err, &errno):
		fmt.Println("errno", int(errno))
	case errors.As(err, new(missing)):
		fmt.Println("missing", err)
	default:
		fmt.Println("broken", err)
	}
	os.Exit(0)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// run turns a preparation that failed into an error of its own kind, so that
// no EPERM of it passes for the kernel's answer.
func (p *probe) run(e exercise) (err error) {
	defer func() {
		if r := recover(); r != nil {
			var m missing
			if err, _ = r.(error); !errors.As(err, &m) {
				err = fmt.Errorf("prepare: %v", r)
			}
		}
	}()
	must(unix.Setgroups(nil))
	err = e.run(p)
	if !p.dropped {
		panic("the call was never made")
	}
	if errors.Is(err, unix.ENOSYS) || slices.ContainsFunc(e.absent, func(a error) bool { return errors.Is(err, a) }) {
		return missing(fmt.Sprintf("this kernel has none: %s: %v", p.row.Syscall, err))
	}
	return err
}

// must ends a preparation that failed: what the exercise is about is not there,
// or the exercise is wrong.
func must(err error) {
	switch {
	case err == nil:
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY):
		panic(missing("prepare: " + err.Error()))
	default:
		panic(err.Error())
	}
}

func need[T any](v T, err error) T {
	must(err)
	return v
}

// permitted returns the capabilities of a mode, out of those this process has.
func (p *probe) permitted(m mode, e exercise) uint64 {
	_, data := capabilities()
	all := uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
	switch m {
	case with:
		return capSet(p.row.Cap + " " + e.also)
	case instead:
		return capSet(p.row.Or + " " + e.also)
	default:
		return all &^ capSet(p.row.Cap+" "+p.row.Or+" "+e.less)
	}
}

func capabilities() (unix.CapUserHeader, [2]unix.CapUserData) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(unix.Capget(&header, &data[0]))
	return header, data
}

func capSet(names string) uint64 {
	var set uint64
	for name := range strings.FieldsSeq(names) {
		nr, ok := abi.CapabilityNumber(name)
		if !ok {
			panic("no capability " + name)
		}
		set |= 1 << nr
	}
	return set
}

// drop gives up what the mode does not have. From here on the kernel is asked.
func (p *probe) drop() {
	if p.dropped {
		return
	}
	p.dropped = true
	header, data := capabilities()
	have := uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
	if lacking, _ := abi.CapabilityNames(p.keep &^ have); lacking != nil {
		panic(missing("not granted here: " + strings.Join(lacking, " ")))
	}
	for i := range data {
		half := uint32(p.keep >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	must(unix.Capset(&header, &data[0]))
}

// user makes the probe another user that keeps its capabilities until drop.
func (p *probe) user(uid int) {
	must(unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0))
	must(p.sys("setresuid", uid, uid, uid))
	header, data := capabilities()
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	must(unix.Capset(&header, &data[0]))
}

// call makes the row's system call, with what is left of the capabilities. The
// row must say that it is about such a call.
func (p *probe) call(args ...any) error {
	p.drop()
	p.check(args)
	return p.sys(p.row.Syscall, args...)
}

// descriptor makes the row's call, for what it opens.
func (p *probe) descriptor(args ...any) (int, error) {
	p.drop()
	p.check(args)
	return p.result(p.row.Syscall, args...)
}

func (p *probe) check(args []any) {
	if known := p.known(args); p.row.Matches(known) != abi.Yes {
		panic(fmt.Sprintf("the row does not match the call: %v", known))
	}
}

// sys makes any system call.
func (p *probe) sys(name string, args ...any) error {
	_, err := p.result(name, args...)
	return err
}

func (p *probe) known(args []any) abi.Args {
	known := abi.Args{}
	for i, r := range p.registers(args) {
		known[uint8(i)] = []uint64{uint64(r)}
	}
	return known
}

func (p *probe) number(name string) uintptr {
	arch, err := abi.ByGOARCH(runtime.GOARCH)
	must(err)
	nr, ok := arch.Number(name)
	if !ok {
		panic(missing(string(arch) + " has no " + name))
	}
	return uintptr(nr)
}

func (p *probe) result(name string, args ...any) (int, error) {
	nr, r := p.number(name), p.registers(args)
	got, _, errno := syscall.Syscall6(nr, r[0], r[1], r[2], r[3], r[4], r[5])
	if errno != 0 {
		return -1, errno
	}
	return int(got), nil
}

// registers lays out arguments: numbers, strings and bytes by their address.
func (p *probe) registers(args []any) [6]uintptr {
	var out [6]uintptr
	p.pinned = append(p.pinned, args)
	for i, a := range args {
		switch a := a.(type) {
		case nil:
		case int:
			out[i] = uintptr(a)
		case string:
			s := append([]byte(a), 0)
			p.pinned = append(p.pinned, s)
			out[i] = uintptr(unsafe.Pointer(&s[0]))
		case []byte:
			out[i] = uintptr(unsafe.Pointer(&a[0]))
		case unsafe.Pointer:
			out[i] = uintptr(a)
		default:
			panic(fmt.Sprintf("argument of type %T", a))
		}
	}
	return out
}

// outcome is how a probe ended.
type outcome struct {
	errno   error // nil: the call succeeded
	missing string
}

func startProbe(t *testing.T, index int, n abi.Need, row int, m mode) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	for _, d := range []string{dir, dir + "/.."} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %d %s %s", probeVar, index, n.Syscall, row, m, dir))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.CombinedOutput()
	verdict, rest, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	switch {
	case err == nil && verdict == "ok":
		return outcome{}
	case err == nil && verdict == "errno":
		return outcome{errno: syscall.Errno(number(rest))}
	case err == nil && verdict == "missing":
		return outcome{missing: rest}
	}
	t.Fatalf("%s: %v: %s", m, err, out)
	return outcome{}
}

// TestNeedsOfTheKernel asks the running kernel about every row: a call without
// the capability, but with every other, is refused, and one with the capability
// alone is not. For a row that names a second one that does as well, so it is
// with that one alone.
func TestNeedsOfTheKernel(t *testing.T) {
	if os.Getuid() != 0 || !can("CAP_SYS_ADMIN CAP_SETPCAP") {
		t.Skip("asking the kernel for refusals takes root and most capabilities")
	}
	found := map[string]int{}
	list := exercises()
	counts := map[string][]string{}
	t.Run("rows", func(t *testing.T) {
		for _, call := range syscallsOf(abi.AllNeeds()) {
			for row, n := range abi.Needs(call) {
				i := find(t, list, n, found)
				if i < 0 {
					continue
				}
				t.Run(describe(n), func(t *testing.T) {
					how, why := ask(t, list[i], i, row, n)
					counts[how] = append(counts[how], describe(n)+": "+n.If+": "+why)
				})
			}
		}
	})
	for i, e := range list {
		for call := range strings.FieldsSeq(e.calls) {
			if found[fmt.Sprint(i, call)] != 1 {
				t.Errorf("exercise of %s for %s %q: %d rows, want 1", call, e.cap, e.row, found[fmt.Sprint(i, call)])
			}
		}
	}
	for _, how := range []string{"half", "none"} {
		for _, line := range counts[how] {
			t.Log(how, line)
		}
	}
	full, half, none := len(counts["full"]), len(counts["half"]), len(counts["none"])
	t.Logf("%d rows exercised, %d by refusal only, %d not at all", full, half, none)
	if full < 2*(half+none) && !t.Failed() {
		t.Errorf("fewer than two rows in three were exercised")
	}
}

func can(names string) bool {
	_, data := capabilities()
	return capSet(names)&^(uint64(data[1].Effective)<<32|uint64(data[0].Effective)) == 0
}

func syscallsOf(rows []abi.Need) []string {
	var out []string
	for _, n := range rows {
		out = append(out, n.Syscall)
	}
	return slices.Compact(out)
}

// find returns the one exercise of a row.
func find(t *testing.T, list []exercise, n abi.Need, found map[string]int) int {
	t.Helper()
	index := -1
	for i, e := range list {
		if e.cap != n.Cap || !slices.Contains(strings.Fields(e.calls), n.Syscall) || !strings.Contains(describe(n)+": "+n.If, e.row) {
			continue
		}
		if found[fmt.Sprint(i, n.Syscall)]++; index >= 0 {
			t.Errorf("%s: %s: two exercises", describe(n), n.If)
		}
		index = i
	}
	if index < 0 {
		t.Errorf("%s: %s: no exercise", describe(n), n.If)
	}
	return index
}

// ask returns full, half or none: how far the row was exercised, and why no
// further.
func ask(t *testing.T, e exercise, index, row int, n abi.Need) (how, why string) {
	t.Helper()
	if e.none != "" {
		return "none", e.none
	}
	deny := e.deny
	if deny == nil {
		deny = []error{unix.EPERM, unix.EACCES}
	}
	got := startProbe(t, index, n, row, without)
	if got.missing != "" {
		return "none", got.missing
	}
	if !slices.Contains(deny, got.errno) {
		t.Errorf("without %s: %v, want a refusal", n.Cap, got.errno)
	}
	if e.half != "" {
		return "half", e.half
	}
	how = "full"
	for _, m := range []mode{with, instead} {
		if m == instead && n.Or == "" {
			continue
		}
		got := startProbe(t, index, n, row, m)
		if got.missing != "" {
			how, why = "half", got.missing
		} else if slices.Contains(deny, got.errno) {
			t.Errorf("%s %s: refused with %v", m, n.Cap, got.errno)
		}
	}
	return how, why
}
