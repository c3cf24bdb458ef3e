package seccomp_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

func TestParseRefuses(t *testing.T) {
	const ok = `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}`
	if _, err := seccomp.Parse([]byte(ok)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{ok, ``, "not a JSON object"},
		{ok, `null`, "not a JSON object"},
		{ok, `[]`, "not a JSON object"},
		{`}]}]}`, `}]}]`, "unexpected EOF"},
		{`}]}]}`, `}]}]}{}`, "text after the profile"},
		{`"SCMP_ACT_ERRNO"`, `"SCMP_ACT_ERNNO"`, `action "SCMP_ACT_ERNNO": unknown`},
		{`"SCMP_ACT_ERRNO"`, `"SCMP_ACT_NOTIFY"`, "runtimes refuse it"},
		{`"defaultAction":"SCMP_ACT_ERRNO",`, ``, `default action "": unknown`},
		{`"SCMP_ACT_ALLOW"`, `"SCMP_ACT_ALLOW","errnoRet":1`, "rule 1: action SCMP_ACT_ALLOW takes no errno"},
		{`"SCMP_ACT_ALLOW"`, `"SCMP_ACT_ERRNO","errnoRet":4096`, "at most 4095"},
		{`"SCMP_ACT_ALLOW"`, `"SCMP_ACT_TRACE","errnoRet":65536`, "at most 65535"},
		{`"SCMP_ACT_ALLOW"`, `"SCMP_ACT_ERRNO","errnoRet":-1`, "cannot unmarshal"},
		{`"SCMP_ACT_ALLOW"`, `7`, "cannot unmarshal"},
		{`"SCMP_CMP_EQ"`, `"SCMP_CMP_IS"`, `operator "SCMP_CMP_IS": unknown`},
		{`"index":0`, `"index":6`, "arguments 0 to 5"},
		{`"value":1`, `"value":18446744073709551616`, "cannot unmarshal"},
		{`"value":1`, `"value":1.5`, "cannot unmarshal"},
		{`["read"]`, `[]`, "no names"},
		{`["read"]`, `["sys read"]`, `name "sys read"`},
		{`"names"`, `"Names"`, `unknown key "Names"`},
		{`"names":["read"]`, `"names":["read"],"names":["write"]`, `key "names" given twice`},
		{`"names":["read"]`, `"name":"read"`, "dialect of Docker"},
		{`"names"`, `"includes":{"caps":["CAP_BPF"]},"names"`, `key "includes" belongs to the dialect`},
		{`"syscalls"`, `"archMap":[],"syscalls"`, `key "archMap"`},
		{`"syscalls"`, `"architectures":["SCMP_ARCH_VAX"],"syscalls"`, `architecture "SCMP_ARCH_VAX"`},
		{`"syscalls"`, `"flags":["FAST"],"syscalls"`, `flag "FAST"`},
		{`"syscalls"`, `"listenerMetadata":"x","syscalls"`, "without listenerPath"},
		{`["read"]`, strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100), "nested too deeply"},
		{`}]}]}`, `}]}]}` + strings.Repeat(" ", 1<<20), "more than 1048576"},
	} {
		s, err := seccomp.Parse([]byte(strings.Replace(ok, c.old, c.new, 1)))
		if err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: got %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

func TestParseSaysDialect(t *testing.T) {
	docker, _ := profiles.DockerDefault()
	if _, err := seccomp.Parse(docker); !errors.Is(err, seccomp.ErrDialect) {
		t.Errorf("docker's default: got %v, want ErrDialect", err)
	}
}

// FuzzParse: what Parse accepts it accepts again as it is written out, and
// every system call can be judged by it.
func FuzzParse(f *testing.F) {
	file, err := seccomp.Render(web())
	if err != nil {
		f.Fatal(err)
	}
	docker, _ := profiles.DockerDefault()
	f.Add(file)
	f.Add(docker)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := seccomp.Parse(b)
		if err != nil {
			if s != nil {
				t.Fatalf("a profile and an error: %v", err)
			}
			return
		}
		once := encoded(t, s)
		again, err := seccomp.Parse(once)
		if err != nil {
			t.Fatalf("refused what it had accepted: %v\n%s", err, once)
		}
		if twice := encoded(t, again); string(twice) != string(once) {
			t.Fatalf("got %s, want %s", twice, once)
		}
		for _, a := range abi.Arches() {
			for _, args := range [][6]uint64{{}, {1, 2, 3, 4, 5, 6}} {
				if action, _ := seccomp.Evaluate(s, a, 41, args); action == "" {
					t.Fatalf("%s 41: no answer", a)
				}
			}
		}
	})
}

func encoded(t *testing.T, s *specs.LinuxSeccomp) []byte {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
