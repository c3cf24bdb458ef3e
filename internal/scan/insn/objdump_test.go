package insn

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// listed is an instruction as objdump lists it.
type listed struct {
	addr uint64
	code []byte // as memory has it; arm64 words are printed the other way round
	text string
}

// disassemble calls yield with each instruction of a section that the
// disassembler finds.
func disassemble(t *testing.T, tool, file string, yield func(listed), args ...string) {
	t.Helper()
	cmd := exec.Command(tool, append(args, "-d", "-w", file)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<16), 1<<22)
	var code [64]byte
	for lines.Scan() {
		if l, ok := parseListed(lines.Bytes(), code[:0]); ok {
			yield(l)
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		t.Fatalf("%s %s: %v", tool, file, err)
	}
}

// parseListed reads a line such as "  401000:\tf3 0f 1e fa   \tendbr64".
func parseListed(line, code []byte) (listed, bool) {
	head, rest, ok := bytes.Cut(line, []byte(":\t"))
	if !ok {
		return listed{}, false
	}
	addr, err := strconv.ParseUint(string(bytes.TrimSpace(head)), 16, 64)
	if err != nil {
		return listed{}, false
	}
	raw, text, _ := bytes.Cut(rest, []byte("\t"))
	for _, b := range bytes.Fields(raw) {
		if code, err = hex.AppendDecode(code, b); err != nil {
			return listed{}, false
		}
	}
	return listed{addr, code, string(text)}, true
}

// need skips the test if a tool or file is missing.
func need(t testing.TB, name, pkg string) string {
	t.Helper()
	if filepath.IsAbs(name) {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	} else if path, err := exec.LookPath(name); err == nil {
		return path
	}
	t.Skipf("%s is missing: install %s", name, pkg)
	return ""
}

// extents are the functions of an ELF file by its .eh_frame, sorted.
type extents [][2]uint64

func (e extents) has(addr uint64) bool {
	i, ok := slices.BinarySearchFunc(e, addr, func(x [2]uint64, a uint64) int {
		switch {
		case x[1] <= a:
			return -1
		case x[0] > a:
			return 1
		}
		return 0
	})
	_ = i
	return ok
}

// frames reads the extents through the table of .eh_frame_hdr (LSB Core,
// 10.6.2), of the usual encoding only: sorted, relative to the section, 32-bit.
func frames(f *elf.File) (extents, error) {
	hdr, eh := f.Section(".eh_frame_hdr"), f.Section(".eh_frame")
	if hdr == nil || eh == nil {
		return nil, nil
	}
	table, err := hdr.Data()
	if err != nil {
		return nil, err
	}
	frame, err := eh.Data()
	if err != nil {
		return nil, err
	}
	if len(table) < 12 || !bytes.Equal(table[:4], []byte{1, 0x1b, 3, 0x3b}) {
		return nil, fmt.Errorf("unusual .eh_frame_hdr: % x", table[:4])
	}
	var out extents
	for e := table[12:]; len(e) >= 8; e = e[8:] {
		start := hdr.Addr + uint64(int64(int32(binary.LittleEndian.Uint32(e))))
		fde := hdr.Addr + uint64(int64(int32(binary.LittleEndian.Uint32(e[4:])))) - eh.Addr
		size := uint64(binary.LittleEndian.Uint32(frame[fde+12:]))
		out = append(out, [2]uint64{start, start + size})
	}
	return out, nil
}

// opaqueText reports text of objdump that is no instruction.
func opaqueText(text string) bool {
	return strings.Contains(text, "(bad)") || strings.HasPrefix(text, ".")
}
