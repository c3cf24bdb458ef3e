package attest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/profgen/profgen/gen/attest"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

var digest = "sha256:" + strings.Repeat("a", 64)

func plan() formats.Plan {
	return formats.Plan{
		Version: 1, Profile: "app", Capabilities: []string{}, Sockets: []policy.Network{},
		Run: policy.Run{Network: policy.NoNetwork, IPC: policy.PrivateIPC, Image: policy.Image{Reference: "registry.example/app:1", Digest: digest}},
	}
}

func set() evidence.Set {
	read, _ := abi.X8664.Number("read")
	return evidence.Set{
		Sources: []evidence.Source{{Tool: "profgen record", Kernel: "6.1.0-13-amd64"}},
		Facts: []evidence.Fact{
			evidence.Syscall{Arch: abi.X8664, Nr: read, Name: "read", Phase: evidence.Start, Basis: evidence.Observed},
			evidence.Syscall{Arch: abi.X8664, Nr: read + 1, Name: "write", Phase: evidence.Start, Basis: evidence.Reachable},
			evidence.Executed{Path: "/bin/app", Phase: evidence.Start, Basis: evidence.Observed},
			evidence.FileAccess{Path: "/etc/a b", Perms: "r", Phase: evidence.Start, Basis: evidence.Observed},
			evidence.Resource{Kind: evidence.TCPPort, Value: 80, Phase: evidence.Serve, Basis: evidence.Observed},
		},
	}
}

// in-toto's own library reads the statements and finds them valid.
func TestStatementsAreValid(t *testing.T) {
	files := []attest.File{{Name: "seccomp.json", Bytes: []byte("{}")}, {Name: "apparmor", Bytes: []byte("x")}}
	for kind, predicate := range map[string]any{attest.Trace: attest.TracePredicate(set()), attest.Policy: attest.PolicyPredicate(plan(), files)} {
		text, err := attest.Statement(plan(), kind, predicate)
		if err != nil {
			t.Fatal(err)
		}
		var st intoto.Statement
		if err := protojson.Unmarshal(text, &st); err != nil { // refuses unknown fields
			t.Fatalf("%s: %v\n%s", kind, err, text)
		}
		if err := st.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if st.PredicateType != kind || st.Subject[0].Digest["sha256"] != strings.Repeat("a", 64) {
			t.Errorf("%s: type %s, subject %v", kind, st.PredicateType, st.Subject)
		}
		again, err := attest.Statement(plan(), kind, predicate)
		if err != nil || !bytes.Equal(text, again) {
			t.Errorf("%s: not the same bytes: %v", kind, err)
		}
	}
}

// What was observed is in the trace, and what is merely reachable is not; each
// file descriptor is one that in-toto takes.
func TestTrace(t *testing.T) {
	text, err := attest.Encode(attest.TracePredicate(set()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"read"`, `"processBinary": "/bin/app"`, `"uri": "file:///etc/a%20b"`, `"access": "r"`, `"value": 80`, `urn:profgen:host:linux:6.1.0-13-amd64`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), `"write"`) {
		t.Error("what is merely reachable was traced")
	}
}

// Without the digest of a manifest there is nothing to attest.
func TestNoDigest(t *testing.T) {
	p := plan()
	p.Image.Digest = ""
	if _, err := attest.Statement(p, attest.Policy, nil); !errors.Is(err, attest.ErrNoDigest) {
		t.Errorf("statement: %v", err)
	}
	if _, err := attest.Command(p, attest.Policy, "f"); !errors.Is(err, attest.ErrNoDigest) {
		t.Errorf("command: %v", err)
	}
	command, err := attest.Command(plan(), attest.Policy, "policy.json")
	if err != nil || command != "cosign attest --type "+attest.Policy+" --predicate policy.json registry.example/app@"+digest {
		t.Errorf("command: %q, %v", command, err)
	}
}
