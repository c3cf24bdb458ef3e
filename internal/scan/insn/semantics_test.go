package insn

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What testdata/native.c and the test agree on.
const (
	codeAddr   = 0x20000000
	windowSize = 1024
	windowAddr = 0x10000000 + 0x10000/2 - windowSize/2
	stackAddr  = windowAddr + windowSize/2 // the initial stack pointer
)

// semantics is the test of Lift against a processor: random sequences of
// instructions are run natively and, lifted, interpreted. Whatever the lifted
// form claims to know of registers and memory must be what the processor has.
type semantics struct {
	machine   *Machine
	cc        []string // compiles the harness
	emulator  []string // runs it
	as        []string
	header    string   // of the assembly
	templates []string // with operands in braces
	operand   func(rng *rand.Rand, name string) string
	skip      RegSet // registers that the harness uses
	sequences int
}

// sequence is a piece of code with what the processor made of it.
type sequence struct {
	text    string
	code    []byte
	in, out [32]uint64
	faulted bool
	window  []byte
}

func (s *semantics) run(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seqs := s.assemble(t, rng)
	for i := range seqs {
		seqs[i].in = s.registers(rng)
	}
	s.execute(t, seqs)
	var faults, regs, known, bytesKnown, insts int
	for i := range seqs {
		q := &seqs[i]
		if q.faulted {
			faults++
			continue
		}
		lifted := s.machine.Lift(nil, q.code, codeAddr)
		insts += len(lifted)
		final := interpret(lifted, newState(q.in, s.machine.Regs))
		regs += s.machine.Regs
		known += s.checkRegisters(t, q, final)
		bytesKnown += checkMemory(t, q, final)
		if t.Failed() {
			t.Fatalf("sequence %d from %#x:\n%s\n% x\nlifted:\n%s", i, q.in, q.text, q.code, dump(lifted))
		}
	}
	t.Logf("%d sequences, %d of them faulted; %d lifted steps; %d of %d registers claimed, %d bytes of memory claimed, all right",
		len(seqs), faults, insts, known, regs, bytesKnown)
	if known < regs/2 || faults > len(seqs)/4 {
		t.Error("too little is claimed, or too much faults, for the test to tell anything")
	}
}

func (s *semantics) checkRegisters(t *testing.T, q *sequence, final *state) (known int) {
	t.Helper()
	for r := range s.machine.Regs {
		v := final.regs[r]
		if v == nil || s.skip.Has(Reg(r)) {
			continue
		}
		known++
		if !slices.Contains(v, q.out[r]) {
			t.Errorf("register %d is %#x, claimed %#x", r, q.out[r], v)
		}
	}
	return known
}

func checkMemory(t *testing.T, q *sequence, final *state) (known int) {
	t.Helper()
	for i, b := range q.window {
		if v, ok := final.mem.get(windowAddr + uint64(i)); ok {
			known++
			if v != b {
				t.Errorf("byte at %#x is %#x, claimed %#x", windowAddr+i, b, v)
			}
		}
	}
	return known
}

// assemble makes the sequences: each template once alone, then random ones.
func (s *semantics) assemble(t *testing.T, rng *rand.Rand) []sequence {
	seqs := make([]sequence, s.sequences)
	var src strings.Builder
	src.WriteString(s.header)
	for i := range seqs {
		var q strings.Builder
		if i < 8*len(s.templates) {
			q.WriteString(s.expand(rng, s.templates[i%len(s.templates)]))
		} else {
			for range 2 + rng.IntN(7) {
				q.WriteString(s.expand(rng, s.templates[rng.IntN(len(s.templates))]))
			}
		}
		seqs[i].text = q.String()
		fmt.Fprintf(&src, "s%d:\n%s", i, seqs[i].text)
	}
	src.WriteString("end:\n")
	text, labels := assemble(t, s.as, src.String())
	for i := range seqs {
		from, to := labels[fmt.Sprintf("s%d", i)], labels[fmt.Sprintf("s%d", i+1)]
		if i == len(seqs)-1 {
			to = labels["end"]
		}
		seqs[i].code = text[from:to]
	}
	return seqs
}

// expand fills in the operands of a template.
func (s *semantics) expand(rng *rand.Rand, template string) string {
	var b strings.Builder
	for rest := template; ; {
		before, after, ok := strings.Cut(rest, "{")
		b.WriteString(before)
		if !ok {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		b.WriteString(s.operand(rng, name))
		rest = tail
	}
	return b.String() + "\n"
}

// assemble returns the code of a source and the addresses of its labels.
func assemble(t *testing.T, as []string, source string) ([]byte, map[string]uint64) {
	t.Helper()
	object := filepath.Join(t.TempDir(), "a.o")
	cmd := exec.Command(as[0], append(as[1:], "-o", object, "-")...)
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%.2000s", as, err, out)
	}
	f, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		t.Fatal(err)
	}
	labels := map[string]uint64{}
	for _, s := range symbols {
		labels[s.Name] = s.Value
	}
	return text, labels
}

// registers returns what a sequence starts with.
func (s *semantics) registers(rng *rand.Rand) (out [32]uint64) {
	interesting := []uint64{0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, ^uint64(0), ^uint64(6)}
	for i := range out {
		switch rng.IntN(4) {
		case 0:
			out[i] = rng.Uint64()
		case 1:
			out[i] = uint64(rng.Uint32())
		case 2:
			out[i] = interesting[rng.IntN(len(interesting))]
		case 3:
			out[i] = uint64(rng.IntN(64))
		}
	}
	out[s.machine.SP] = stackAddr
	for _, r := range s.pointers() {
		out[r] = windowAddr + uint64(rng.IntN(windowSize/4)*2+windowSize/4)
	}
	return out
}

// pointers are the registers that templates use as addresses.
func (s *semantics) pointers() []Reg {
	if s.machine.Name == "x86_64" {
		return []Reg{rbp, rbx}
	}
	return []Reg{19, 20}
}

// execute runs the sequences in the harness.
func (s *semantics) execute(t *testing.T, seqs []sequence) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "native")
	cc := exec.Command(s.cc[0], append(s.cc[1:], "-O1", "-o", program, "testdata/native.c")...)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", s.cc, err, out)
	}
	var input bytes.Buffer
	for i := range seqs {
		q := &seqs[i]
		for _, v := range q.in {
			input.Write(binary.LittleEndian.AppendUint64(nil, v))
		}
		input.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(q.code))))
		input.Write(q.code)
	}
	argv := append(slices.Clone(s.emulator), program)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stderr = &input, os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	const record = 8 + 32*8 + windowSize
	if len(output) != record*len(seqs) {
		t.Fatalf("%d bytes of output for %d sequences", len(output), len(seqs))
	}
	for i := range seqs {
		b := output[i*record:][:record]
		seqs[i].faulted = b[0] != 0
		for r := range seqs[i].out {
			seqs[i].out[r] = binary.LittleEndian.Uint64(b[8+8*r:])
		}
		seqs[i].window = b[8+32*8:]
	}
}

// dump prints lifted code.
func dump(insts []Inst) string {
	var b strings.Builder
	for _, i := range insts {
		fmt.Fprintf(&b, "%+v\n", i)
	}
	return b.String()
}
