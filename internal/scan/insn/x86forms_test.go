package insn

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestX86Forms assembles testdata/forms.s, and expects the decoder to cut its
// code where the assembler's instructions begin.
func TestX86Forms(t *testing.T) {
	need(t, "as", "binutils")
	source, err := os.ReadFile("testdata/forms.s")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var lines []string
	for line := range strings.Lines(string(source)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.HasPrefix(line, ".intel") {
			fmt.Fprintf(&b, "l%d: ", len(lines))
			lines = append(lines, line)
		}
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "l%d:\n", len(lines))
	text, labels := assemble(t, []string{"as", "--64", "--no-warn"}, b.String())
	var in x86Inst
	for i, line := range lines {
		from, to := labels[fmt.Sprintf("l%d", i)], labels[fmt.Sprintf("l%d", i+1)]
		if !in.decode(text[from:]) {
			t.Errorf("%s: % x: not decoded", line, text[from:to])
		} else if uint64(in.len) != to-from {
			t.Errorf("%s: % x: %d bytes", line, text[from:to], in.len)
		}
	}
	t.Logf("%d instructions", len(lines))
}

// The decoder must not take for an instruction what the processor does not, as
// far as opcodes go, nor what it does not know.
func TestX86Bad(t *testing.T) {
	for _, code := range []string{
		"\x06", "\x27", "\x60", "\x82\xc0\x01", "\x9a\x00\x00\x00\x00\x00\x00", "\xce", "\xd4\x0a", "\xd6", "\xea", // not in 64-bit mode
		"\x0f\x04", "\x0f\x0a", "\x0f\x24\xc0", "\x0f\x36", "\x0f\x7a\xc0", "\x0f\x38\x50\xc0", "\x0f\x3a\x00\xc0\x01", // not assigned
		"\xfe\xd0", "\xff\xff", "\x8f\xc8\xc0", "\xc6\xc8\x01", "\x0f\xba\xc0\x01", // groups
		"\xc4\xe0\x78\x58\xc0", "\xc4\xe4\x78\x58\xc0", "\xc5\xf8\x05\xc0", // VEX maps 0 and 4, VEX syscall
		"\x62\xf0\x7c\x48\x58\xc0", "\x62\xf4\x7c\x08\x58\xc0", "\x62\xf7\x7c\x48\x58\xc0", "\x62\xf9\x7c\x48\x58\xc0", "\x62\xf1\x78\x48\x58\xc0", // EVEX maps 0, 4, 7; APX
		"\xd5\x00\x70\x00", "\xd5\x80\x05\x00"[:2] + "\x30", "\xd5\x00\xa1\x00\x00\x00\x00\x00\x00\x00\x00", "\xd5\x00\x0f", "\xd5\x00\x48", // REX2
		"\x66", "\x0f", "\x48", "\xe8\x00\x00\x00", "\x48\xb8\x00\x00\x00", "\xc7\x05", "\x8b\x04", // short
		strings.Repeat("\x66", 15) + "\x90", strings.Repeat("\x66", 13) + "\xb8\x00\x00\x00", // too long
	} {
		var in x86Inst
		if in.decode([]byte(code)) {
			t.Errorf("% x: %d bytes", code, in.len)
		}
	}
}

// APX's REX2 has the maps of REX.
func TestX86REX2(t *testing.T) {
	for _, tt := range []struct {
		code string
		len  uint8
	}{
		{"\xd5\x10\x50", 3},                                  // push r16
		{"\xd5\x48\x01\xc0", 4},                              // add rax, r16
		{"\xd5\x19\x81\xc0\x78\x56\x34\x12", 8},              // add r24, imm32
		{"\xd5\x80\xaf\xc0", 4},                              // imul eax, eax
		{"\xd5\x08\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 11}, // mov rax, imm64
		{"\xd5\x28\x8b\x44\x20\x10", 6},                      // mov rax, [rax+r20+0x10]
	} {
		var in x86Inst
		if !in.decode([]byte(tt.code)) || in.len != tt.len {
			t.Errorf("% x: %d bytes, want %d", tt.code, in.len, tt.len)
		}
	}
}
