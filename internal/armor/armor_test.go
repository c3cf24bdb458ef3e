package armor_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/armor"
)

// needs skips a test where the kernel does not enforce AppArmor: scripts/vm boots one that does.
func needs(t *testing.T) {
	t.Helper()
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if !bytes.HasPrefix(enabled, []byte("Y")) {
		t.Skip("no AppArmor in this kernel: make test-vm runs this under one that has it")
	}
	if os.Geteuid() != 0 {
		t.Skip("loading a profile takes root")
	}
}

const policy = `
profile profgen-armor-test {
	/** mrix,
	/dev/{null,tty} rw,
	deny /etc/hostname r,
	audit deny /etc/fstab r,
	network unix,
}`

func TestLoad(t *testing.T) {
	needs(t)
	p, err := armor.Load(t.Context(), "profgen-armor-test", []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	again, err := armor.Load(t.Context(), "profgen-armor-test", []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	inForce := func() bool {
		list, err := os.ReadFile("/sys/kernel/security/apparmor/profiles")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(list, []byte("profgen-armor-test ("))
	}
	if err := again.Close(); err != nil || !inForce() {
		t.Errorf("a profile that was there before is gone (%v)", err)
	}
	if err := p.Close(); err != nil || inForce() {
		t.Errorf("the profile is still there (%v)", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	needs(t)
	for _, tc := range []struct{ name, policy, want string }{
		{"profgen-armor-test", "profile profgen-armor-test {", "apparmor_parser"},
		{"profgen-armor-other", policy, "none of that name"},
	} {
		if _, err := armor.Load(t.Context(), tc.name, []byte(tc.policy)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want an error that says %q", err, tc.want)
		}
	}
	os.WriteFile("/sys/kernel/security/apparmor/.remove", []byte("profgen-armor-test"), 0)
}

// Every refusal is heard, also of a thousand in a row.
func TestRecords(t *testing.T) {
	needs(t)
	p, err := armor.Load(t.Context(), "profgen-armor-test", []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	records, err := armor.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	const times = 1000
	cmd := exec.CommandContext(t.Context(), "aa-exec", "-p", "profgen-armor-test", "--", "/bin/bash", "-c",
		fmt.Sprintf("for ((i = 0; i < %d; i++)); do : </etc/fstab; done 2>/dev/null", times))
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("it could read the file: %s", out)
	}
	text, err := records.Text()
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `apparmor="DENIED"`) && strings.Contains(line, `profile="profgen-armor-test"`) && strings.Contains(line, `name="/etc/fstab"`) {
			got++
		}
	}
	if got != times {
		t.Errorf("%d refusals heard of %d: %.2000s", got, times, text)
	}
}
