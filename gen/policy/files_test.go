package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

func used(path, perms string, change ...func(*evidence.FileAccess)) evidence.FileAccess {
	f := evidence.FileAccess{
		Path: evidence.Path(path), Perms: perms, Kind: evidence.Regular, Owner: true, Origin: evidence.FromImage,
		Phase: evidence.Start, Basis: evidence.Observed,
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

func made(f *evidence.FileAccess)      { f.Origin = evidence.FromItself }
func mounted(f *evidence.FileAccess)   { f.Origin = evidence.FromMount }
func another(f *evidence.FileAccess)   { f.Owner = false }
func directory(f *evidence.FileAccess) { f.Kind = evidence.Directory }

// fileRules returns the rules as text, those that every profile has left out.
func fileRules(p policy.Policy) []string {
	always := []string{"/dev/", "/etc/ld.so.", "/proc/sys/vm/", "/sys/"}
	var out []string
	for _, r := range p.Files.Rules {
		if slices.ContainsFunc(always, func(a string) bool { return strings.HasPrefix(r.Name.String(), a) }) {
			continue
		}
		line := r.Name.String() + " " + r.Perms
		if r.Owner {
			line = "owner " + line
		}
		out = append(out, line)
	}
	return out
}

func TestFileRules(t *testing.T) {
	failed := func(errno string) func(*evidence.FileAccess) {
		return func(f *evidence.FileAccess) { f.Errno = errno }
	}
	tests := []struct {
		name string
		uses []evidence.Fact
		want []string
	}{
		{"union", []evidence.Fact{used("/a", "r"), used("/a", "m"), used("/a", "k")}, []string{"owner /a rkm"}},
		{"write covers append", []evidence.Fact{used("/a", "a"), used("/a", "w")}, []string{"owner /a w"}},
		{"not only the owner", []evidence.Fact{used("/a", "r"), used("/a", "w", another)}, []string{"/a rw"}},
		{"not only the owner, in any order", []evidence.Fact{used("/a", "r", another), used("/a", "w")}, []string{"/a rw"}},
		{"directory", []evidence.Fact{used("/a", "r", directory)}, []string{"owner /a/ r"}},
		{"root", []evidence.Fact{used("/", "r", directory)}, []string{"owner / r"}},
		{"refused anyway", []evidence.Fact{used("/a", "r"), used("/b", "r", failed("EACCES")), used("/c", "w", failed("EROFS")), used("/d", "w", failed("EXDEV"))}, []string{"owner /a r", "owner /d w"}},
		{"an image's names are literal", []evidence.Fact{used("/a-1.2/123456789/9f86d081884c7d659a2feaa0c55ad015", "r")}, []string{"owner /a-1.2/123456789/9f86d081884c7d659a2feaa0c55ad015 r"}},
		{"number that stands apart", []evidence.Fact{used("/a/temp-1.rdb", "w", made)}, []string{"owner /a/temp-<digits>.rdb rw"}},
		{"number within a word", []evidence.Fact{used("/a/utf8", "w", made)}, []string{"owner /a/utf8 rw"}},
		{"numbers within a word", []evidence.Fact{used("/a/job1", "w", made), used("/a/job2", "w", made)}, []string{"owner /a/job<digits> rw"}},
		{"digest", []evidence.Fact{used("/a/9f86d081884c7d659a2feaa0c55ad015", "w", made)}, []string{"owner /a/<hex> rw"}},
		{"mkstemp", []evidence.Fact{used("/a/tmp.a8Kj2Q", "w", made)}, []string{"owner /a/tmp.<random> rw"}},
		{"words are no accidents", []evidence.Fact{used("/a/access.README", "w", made), used("/a/nginx.config", "w", made), used("/a/Makefile", "w", made)}, []string{"owner /a/Makefile rw", "owner /a/access.README rw", "owner /a/nginx.config rw"}},
		{"only what was made is made up", []evidence.Fact{used("/a/job-1", "w", directory), used("/a/job-1/part-1", "w", made)}, []string{"owner /a/job-1/ w", "owner /a/job-1/part-<digits> rw"}},
		{"below a folder that was made", []evidence.Fact{used("/a/job-1", "w", directory, made), used("/a/job-1/x", "w", made)}, []string{"owner /a/job-<digits>/ w", "owner /a/job-<digits>/x rw"}},
		{"processes", []evidence.Fact{used("/proc/self/maps", "r"), used("/proc/7/stat", "r"), used("/proc/7/task/8/comm", "r"), used("/proc/sys/x", "r")}, []string{"owner /proc/<pid>/maps r", "owner /proc/<pid>/stat r", "owner /proc/<pid>/task/<pid>/comm r", "owner /proc/sys/x r"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := decide(t, tt.uses...)
			if diff := cmp.Diff(tt.want, fileRules(p)); diff != "" || !p.Files.Confined {
				t.Errorf("confined %t, rules (-want +got):\n%s", p.Files.Confined, diff)
			}
		})
	}
}

// What was asked for, and no more: other images of the kind have other libraries
// and versions, but not other names.
func TestRelaxed(t *testing.T) {
	facts := []evidence.Fact{
		call("read"), used("/usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "rm"), used("/usr/lib/x86_64-linux-gnu/libc.so.6", "rm"),
		used("/usr/bin/python3.11", "rmx"), used("/usr/lib64/python3.11", "r", directory), used("/usr/lib64/python3.11/os.py", "r"),
		used("/srv/x.so", "w", made), used("/data/libx.so.1", "rm", mounted), used("/etc/passwd", "r"),
	}
	rules := func(relax ...string) (policy.Policy, string) {
		p, err := policy.Decide(evidence.Set{Facts: facts}, policy.Options{Relax: relax})
		if err != nil {
			t.Fatal(err)
		}
		return p, strings.Join(fileRules(p), "\n")
	}
	_, tight := rules()
	libs, text := rules(policy.RelaxLibs)
	if want := strings.Replace(tight, "owner /usr/lib/x86_64-linux-gnu/libc.so.6 rm\nowner /usr/lib/x86_64-linux-gnu/libz.so.1.2.13 rm", "owner /usr/lib/x86_64-linux-gnu/<object> rm", 1); text != want {
		t.Errorf("libs (-want +got):\n%s", cmp.Diff(want, text))
	}
	_, text = rules(policy.RelaxVersions)
	want := strings.NewReplacer("libc.so.6", "libc.so.<digits>", "1.2.13", "<digits>.<digits>.<digits>", "python3.11", "python<digits>.<digits>").Replace(tight)
	if text != want {
		t.Errorf("versions (-want +got):\n%s", cmp.Diff(want, text))
	}
	image := []string{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/x86_64-linux-gnu/a.so", "/usr/lib/x86_64-linux-gnu/perl/b.so", "/usr/lib/x86_64-linux-gnu/c.socket"}
	for _, price := range policy.Prices(libs, evidence.Set{Facts: facts}, image) {
		want := []string(nil)
		if strings.Contains(price.Rule, "<object>") {
			want = []string{"/usr/lib/x86_64-linux-gnu/a.so", "/usr/lib/x86_64-linux-gnu/libm.so.6"}
		}
		if diff := cmp.Diff(want, price.Files); diff != "" {
			t.Errorf("%s admits (-want +got):\n%s", price.Rule, diff)
		}
	}
	if _, err := policy.Decide(evidence.Set{Facts: facts}, policy.Options{Relax: []string{"all"}}); err == nil {
		t.Error("relax all: accepted")
	}
}

// Where a use of a file may have gone unseen, any file may be used, and that is
// said; without a look at files at all there is nothing to say.
func TestFilesNotAllSeen(t *testing.T) {
	for _, tt := range []struct {
		kind evidence.GapKind
		want bool
	}{
		{evidence.UnseenFiles, false}, {evidence.Hidden, false}, {evidence.Lost, false}, {evidence.UnseenStart, false},
		{evidence.Refused, false}, {evidence.UnseenCaps, true}, {evidence.UnresolvedExec, true},
	} {
		set := evidence.Set{Facts: []evidence.Fact{call("read"), used("/a", "r")}, Gaps: []evidence.Gap{{Kind: tt.kind, Detail: "why"}}}
		p, err := policy.Decide(set, policy.Options{})
		if err != nil || p.Files.Confined != tt.want || slices.Contains(warned(p), "files-unconfined") == tt.want {
			t.Errorf("%s: confined %t, %v, warnings %v", tt.kind, p.Files.Confined, err, warned(p))
		}
	}
	var many []evidence.Fact
	for i := range 5000 {
		many = append(many, used(fmt.Sprintf("/srv/%d", i), "r"))
	}
	if p := decide(t, many...); p.Files.Confined || !slices.Contains(warned(p), "files-unconfined") || len(p.Files.Rules) > 0 {
		t.Errorf("%d files: confined %t, warnings %v", len(many), p.Files.Confined, warned(p))
	}
	if p := decide(t); p.Files.Confined || len(p.Files.Rules) > 0 || len(p.Warnings) > 0 {
		t.Errorf("without a look at files: %+v, %v", p.Files, p.Warnings)
	}
}

// What leads out of a container speaks up, and so does a name that stands for
// others.
func TestFileWarnings(t *testing.T) {
	for _, tt := range []struct {
		use  evidence.FileAccess
		want string
	}{
		{used("/run/docker.sock", "rw", mounted), "sensitive-file"},
		{used("/root/.ssh/id_rsa", "r"), "sensitive-file"},
		{used("/proc/sysrq-trigger", "w", mounted), "sensitive-file"},
		{used("/tmp/x-1", "w", made), "file-pattern"},
		{used("/proc/self/maps", "r"), ""},
	} {
		if got := strings.Join(warned(decide(t, tt.use)), " "); got != tt.want {
			t.Errorf("%s: warnings %q, want %q", tt.use.Path, got, tt.want)
		}
	}
}

func TestNamesMatch(t *testing.T) {
	uses := []evidence.Fact{
		used("/tmp/temp-17.rdb", "w", made), used("/tmp/0123456789abcdef0123456789abcdef", "w", made),
		used("/tmp/x.aB3dEf", "w", made), used("/proc/7/stat", "r"), used("/odd/\xff\n", "r"), used("/d", "r", directory),
	}
	p := decide(t, uses...)
	matches := func(name string) bool {
		return slices.ContainsFunc(p.Files.Rules, func(r policy.FileRule) bool { return r.Name.Matches(name) })
	}
	for _, name := range []string{
		"/tmp/temp-17.rdb", "/tmp/temp-4.rdb", "/tmp/ffffffffffffffffffffffffffffffff", "/tmp/x.000000", "/proc/1234567/stat", "/odd/\xff\n", "/d/",
	} {
		if !matches(name) {
			t.Errorf("no rule for %q", name)
		}
	}
	for _, name := range []string{
		"/tmp/temp-.rdb", "/tmp/temp-x.rdb", "/tmp/fffffffffffffffffffffffffffffff", "/tmp/x.00000", "/tmp/x.0000000", "/tmp/x.00/000",
		"/proc/12345678/stat", "/proc//stat", "/proc/7/status", "/odd/\xff", "/d", "", "/",
	} {
		if matches(name) {
			t.Errorf("a rule for %q", name)
		}
	}
}

// What failed by itself when it was recorded may fail for another reason, as long as
// there is no such use that did not.
func TestFailsAnyway(t *testing.T) {
	failed := func(errno string) func(*evidence.FileAccess) {
		return func(f *evidence.FileAccess) { f.Errno = errno }
	}
	set := evidence.Set{Facts: []evidence.Fact{
		used("/dev/kmsg", "rw", failed("EPERM")),
		used("/dev/mem", "w", failed("EPERM")), used("/dev/mem", "r"),
		used("/dev/tty", "rw", failed("ENXIO")),
		used("/dev/mixed", "rw", failed("EACCES")), used("/dev/mixed", "w"),
	}}
	for _, tt := range []struct {
		refused evidence.FileAccess
		want    bool
	}{
		{used("/dev/kmsg", "rw"), true},
		{used("/dev/kmsg", "r"), true},
		{used("/dev/kmsg", "a"), true},
		{used("/dev/kmsg", "rwk"), false},
		{used("/dev/kmsg", "rw", another), false},
		{used("/dev/mem", "w"), true},
		{used("/dev/mem", "r"), false},
		{used("/dev/mem", "rw"), false},
		{used("/dev/mixed", "w"), false},
		{used("/dev/tty", "rw"), false},
		{used("/dev/null", "rw"), false},
		{used("/dev/kmsg", ""), false},
	} {
		if got := policy.FailsAnyway(set, tt.refused); got != tt.want {
			t.Errorf("%s of %s, by its owner %t: %t", tt.refused.Perms, tt.refused.Path, tt.refused.Owner, got)
		}
	}
}

// What static analysis found of files is told of where nothing was recorded, and
// never a reason to allow more than a recording shows.
func TestFoundFiles(t *testing.T) {
	reachable := func(f *evidence.FileAccess) { f.Basis = evidence.Reachable }
	found := []evidence.Fact{call("read"), used("/usr/bin/app", "rmx", reachable), used("/etc/shadow", "r", reachable)}
	for _, tt := range []struct {
		name     string
		facts    []evidence.Fact
		confined bool
		found    []string
	}{
		{"found", found, false, []string{"owner /usr/bin/app rmx"}},
		{"recorded", append(slices.Clone(found), used("/etc/app.conf", "r")), true, nil},
		{"nothing", []evidence.Fact{call("read")}, false, nil},
	} {
		p, err := policy.Decide(evidence.Set{Facts: tt.facts}, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range p.Files.Found {
			if r.Origin != evidence.FromMount {
				got = append(got, r.String())
			}
		}
		if p.Files.Confined != tt.confined || !slices.Equal(got, tt.found) {
			t.Errorf("%s: confined %t, found %q", tt.name, p.Files.Confined, got)
		}
		if slices.ContainsFunc(p.Files.Rules, func(r policy.FileRule) bool { return r.Name.String() == "/usr/bin/app" }) {
			t.Errorf("%s: a rule for what was not seen to be used", tt.name)
		}
	}
}
