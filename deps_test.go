package profgen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports is who may import whom. A line is
//
//	package: packages of this module | other modules | what its tests import besides
//
// and a package that has no line must not exist. Blank lines part layers: a
// package imports only from layers below its own, so that siblings never know
// each other. Tests may: an oracle is often a sibling. Other modules go by the
// names in the table after this one, and are caged: only where a line names
// one may it be imported.
const imports = `
cmd/profgen:                gen gen/apparmor/access gen/apparmor/syntax gen/attest gen/caps gen/convert gen/diff gen/evidence gen/findings gen/formats gen/lint gen/policy gen/report gen/runconfig gen/seccomp internal/abi internal/armor internal/host internal/image internal/profiledir internal/record internal/record/auditlog internal/record/ebpf internal/record/usernotif internal/sandbox internal/sandbox/rootfs internal/scan internal/scan/cache internal/scan/program internal/scmp internal/verify profiles | cli renameio sh sys term | gen/apparmor/access internal/image/imagetest
internal/bench:             gen/evidence internal/elfx internal/image internal/record internal/record/ebpf internal/record/usernotif internal/sandbox internal/scan internal/scan/cache internal/scan/insn internal/scan/program | sys |

gen/report:                 gen gen/evidence gen/formats gen/policy gen/seccomp internal/abi profiles templates | |
internal/profiledir:        gen gen/attest gen/caps gen/evidence gen/formats gen/seccomp | renameio sys | internal/abi

gen/convert:                gen/seccomp | yaml | internal/abi
gen/diff:                   gen/apparmor/aare gen/apparmor/access gen/apparmor/syntax gen/findings gen/seccomp internal/abi | | profiles
gen/lint:                   gen/apparmor/aare gen/apparmor/access gen/apparmor/syntax gen/findings gen/seccomp internal/abi profiles | | gen gen/evidence
gen/attest:                 gen/evidence gen/formats | | gen/policy in-toto internal/abi protobuf

gen:                        gen/apparmor gen/apparmor/access gen/apparmor/syntax gen/caps gen/evidence gen/formats gen/policy gen/seccomp internal/abi profiles | |
internal/verify:            gen/evidence gen/policy gen/seccomp internal/abi internal/record internal/scmp | sys | internal/record/recordtest

gen/formats:                gen/caps gen/policy internal/abi | yaml | compose-go gen/seccomp hcl k8s

internal/scan:              gen/evidence internal/abi internal/elfx internal/scan/graph internal/scan/link internal/scan/program | | internal/image

gen/apparmor:               gen/apparmor/syntax gen/evidence gen/policy internal/abi templates | | gen/apparmor/aare gen/apparmor/access sys
gen/caps:                   gen/policy internal/abi templates | | common
gen/seccomp:                gen/policy internal/abi | | common moby-seccomp profiles
internal/record/auditlog:   gen/evidence internal/abi internal/record | | sys
internal/record/ebpf:       gen/evidence internal/abi internal/host internal/record | ebpf sys | internal/record/recordtest
internal/record/recordtest: gen/evidence internal/record | go-cmp go-internal |
internal/record/usernotif:  gen/evidence internal/abi internal/record | sys | internal/record/ebpf internal/sandbox

internal/scan/graph:        internal/elfx internal/scan/insn internal/scan/link internal/scan/value | |

gen/policy:                 gen/evidence internal/abi | |
internal/record:            gen/evidence internal/abi | | internal/record/recordtest
internal/sandbox:           gen/evidence internal/abi internal/host internal/image internal/sandbox/rootfs | moby-user sys |

gen/runconfig:              gen/findings | sh yaml3 | gen/formats gen/policy
gen/apparmor/access:        gen/apparmor/aare gen/apparmor/syntax | |
gen/evidence:               internal/abi | |
internal/scan/link:         internal/elfx | | internal/image
internal/scan/program:      internal/elfx | sh | internal/image
internal/scan/value:        internal/scan/insn | |
internal/host:              internal/abi | sys |
internal/image/imagetest:   | ggcr |
internal/sandbox/rootfs:    internal/image | apex-log moby-user securejoin sys umoci | internal/image/imagetest
internal/scmp:              internal/abi | libseccomp net sys | gen/policy gen/seccomp moby-seccomp profiles

.:                          | |
gen/apparmor/aare:          | |
gen/apparmor/syntax:        | |
gen/findings:               | |
internal/abi:               | | moby-capability sys
internal/abi/mktables:      | |
internal/armor:             | sys |
internal/elfx:              | |
internal/image:             internal/image/inflate | ggcr gzip sys zstd | internal/image/imagetest
internal/scan/cache:        | sys |
internal/scan/insn:         | |
profiles:                   | moby-apparmor moby-seccomp | internal/abi
templates:                  | |

internal/image/inflate:     | sys |
`

// modules names the other modules, by the prefix of what is imported.
const modules = `
apex-log        github.com/apex/log
cli             github.com/urfave/cli/v2
compose-go      github.com/compose-spec/compose-go/v2
common          github.com/containers/common/pkg
ebpf            github.com/cilium/ebpf
ggcr            github.com/google/go-containerregistry
gzip            github.com/klauspost/compress/gzip
go-cmp          github.com/google/go-cmp
go-internal     github.com/rogpeppe/go-internal
hcl             github.com/hashicorp/hcl/v2
in-toto         github.com/in-toto/attestation
k8s             k8s.io
libseccomp      github.com/seccomp/libseccomp-golang
moby-apparmor   github.com/moby/profiles/apparmor
moby-capability github.com/moby/sys/capability
moby-seccomp    github.com/moby/profiles/seccomp
moby-user       github.com/moby/sys/user
net             golang.org/x/net/bpf
protobuf        google.golang.org/protobuf
renameio        github.com/google/renameio/v2
runtime-spec    github.com/opencontainers/runtime-spec
securejoin      github.com/cyphar/filepath-securejoin
sh              mvdan.cc/sh/v3
sys             golang.org/x/sys/unix
term            golang.org/x/term
umoci           github.com/opencontainers/umoci
yaml            sigs.k8s.io/yaml
yaml3           go.yaml.in/yaml/v3
zstd            github.com/klauspost/compress/zstd
`

const (
	thisModule = "github.com/profgen/profgen"
	everywhere = "runtime-spec"       // the vocabulary of seccomp
	inTests    = "go-cmp go-internal" // in tests of any package
)

// impure is what gen and everything under it must not import, tests apart: the
// same evidence gives the same bytes on any machine.
const impure = "C math/rand math/rand/v2 net net/http os os/exec os/signal os/user runtime syscall time unsafe"

// line is a line of the table.
type line struct {
	layer int // from the top
	code  []string
	tests []string // besides code
}

func table(t *testing.T) map[string]line {
	t.Helper()
	out := map[string]line{}
	layer := 0
	for s := range strings.SplitSeq(strings.Trim(imports, "\n"), "\n") {
		if s == "" {
			layer++
			continue
		}
		pkg, rest, ok := strings.Cut(s, ":")
		columns := strings.Split(rest, "|")
		if !ok || len(columns) != 3 {
			t.Fatalf("%q: want package: packages | modules | in tests", s)
		}
		code := slices.Concat(strings.Fields(columns[0]), strings.Fields(columns[1]), []string{everywhere})
		out[pkg] = line{layer, code, slices.Concat(strings.Fields(columns[2]), strings.Fields(inTests), []string{pkg})}
	}
	return out
}

// The table itself must name only what exists and go only downwards.
func TestImportTable(t *testing.T) {
	lines := table(t)
	for pkg, l := range lines {
		for _, name := range slices.Concat(l.code, l.tests) {
			other, isPackage := lines[name]
			if isPackage && slices.Contains(l.code, name) && other.layer <= l.layer {
				t.Errorf("%s may import %s, which is not in a layer below it", pkg, name)
			}
			if !isPackage && !slices.Contains(strings.Fields(modules), name) {
				t.Errorf("%s may import %s, which is in neither table", pkg, name)
			}
		}
	}
}

// Imports are parsed here and now: the output of go list would be cached
// without regard to them.
func TestImports(t *testing.T) {
	lines := table(t)
	used := map[use]bool{}
	for _, f := range sources(t, parser.ImportsOnly) {
		pkg := filepath.ToSlash(filepath.Dir(f.name))
		l, ok := lines[pkg]
		if !ok {
			t.Errorf("%s: package %s is not in the import table", f.name, pkg)
			continue
		}
		allowed := l.code
		if f.test {
			allowed = slices.Concat(l.code, l.tests)
		}
		for _, imported := range f.imports(t) {
			if reason := refuse(pkg, imported, allowed, f.test); reason != "" {
				t.Errorf("%s imports %s: %s", f.name, imported, reason)
			}
			used[use{pkg, nameOf(imported), f.test}] = true
		}
	}
	for pkg, l := range lines {
		checkUse(t, pkg, l, used)
	}
}

// use is an import by its name in the tables.
type use struct {
	pkg, name string
	test      bool
}

// checkUse refuses leave that nobody takes: it would let in what nobody decided
// on.
func checkUse(t *testing.T, pkg string, l line, used map[use]bool) {
	t.Helper()
	for _, name := range l.code {
		if name != everywhere && !used[use{pkg, name, false}] {
			t.Errorf("%s may import %s, and does not", pkg, name)
		}
	}
	for _, name := range l.tests {
		if name != pkg && !slices.Contains(strings.Fields(inTests), name) && !used[use{pkg, name, true}] {
			t.Errorf("tests of %s may import %s, and do not", pkg, name)
		}
	}
}

// nameOf is what the tables call a package.
func nameOf(imported string) string {
	if name, ok := strings.CutPrefix(imported, thisModule+"/"); ok {
		return name
	}
	return moduleOf(imported)
}

// refuse returns why a file of pkg must not import the package; "" if it may.
func refuse(pkg, imported string, allowed []string, test bool) string {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") { // the standard library
		if within(pkg, "gen") && !test && slices.Contains(strings.Fields(impure), imported) {
			return "gen is pure: no host, clock, network, chance or cgo"
		}
		if imported == "C" && pkg != "internal/scmp" {
			return "cgo is for internal/scmp alone"
		}
		return ""
	}
	if name, ok := strings.CutPrefix(imported, thisModule+"/"); ok {
		if !slices.Contains(allowed, name) {
			return "the import table does not say that " + pkg + " may"
		}
		return ""
	}
	name := moduleOf(imported)
	switch {
	case name == "":
		return "the module is not in the table of modules"
	case !slices.Contains(allowed, name):
		return "the import table does not say that " + pkg + " may import " + name
	}
	return ""
}

// moduleOf returns the name of the module that has the package; "" if the
// table has none.
func moduleOf(imported string) string {
	for s := range strings.Lines(modules) {
		if f := strings.Fields(s); len(f) == 2 && within(imported, f[1]) {
			return f[0]
		}
	}
	return ""
}

// within reports whether the path is dir or below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// source is a parsed Go file.
type source struct {
	name string
	test bool
	fset *token.FileSet
	ast  *ast.File
}

func (s source) imports(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, i := range s.ast.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

// sources parses every Go file of the module, whatever its build constraints,
// but for testdata and hidden folders, as the go command has it.
func sources(t *testing.T, mode parser.Mode) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(filepath.ToSlash(name))
		if d.IsDir() {
			if name != "." && (base == "testdata" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, mode)
		if err != nil {
			return err
		}
		out = append(out, source{name, strings.HasSuffix(base, "_test.go"), fset, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no Go files found")
	}
	return out
}

// The rules must refuse what they are there to refuse.
func TestRefuse(t *testing.T) {
	lines := table(t)
	for _, tt := range []struct {
		pkg, imported string
		test, refused bool
	}{
		{"gen/policy", "os", false, true},
		{"gen/policy", "os", true, false},
		{"gen", "time", false, true},
		{"internal/host", "os", false, false},
		{"gen/policy", thisModule + "/internal/host", false, true},
		{"gen/apparmor", thisModule + "/gen/caps", false, true},
		{"gen/apparmor", thisModule + "/gen/policy", false, false},
		{"gen/apparmor", "github.com/urfave/cli/v2", false, true},
		{"cmd/profgen", "github.com/urfave/cli/v2", false, false},
		{"cmd/profgen", "github.com/urfave/cli", false, true},
		{"internal/record", "github.com/cilium/ebpf/link", false, true},
		{"internal/record/ebpf", "github.com/cilium/ebpf/link", false, false},
		{"gen/seccomp", "github.com/opencontainers/runtime-spec/specs-go", false, false},
		{"gen/caps", "github.com/google/go-cmp/cmp", false, true},
		{"gen/caps", "github.com/google/go-cmp/cmp", true, false},
		{"internal/record/ebpf", "C", false, true},
		{"internal/host", "example.com/new", false, true},
	} {
		allowed := lines[tt.pkg].code
		if tt.test {
			allowed = slices.Concat(allowed, lines[tt.pkg].tests)
		}
		if reason := refuse(tt.pkg, tt.imported, allowed, tt.test); (reason != "") != tt.refused {
			t.Errorf("%s imports %s, test %t: %q", tt.pkg, tt.imported, tt.test, reason)
		}
	}
}
