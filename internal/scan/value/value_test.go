package value_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/value"
)

// functions compiles assembly and returns the analysis of its functions.
func functions(t *testing.T, source string) map[string]*value.Function {
	t.Helper()
	dir := t.TempDir()
	src, obj := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.so")
	if err := os.WriteFile(src, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-nostdlib", "-shared", "-o", obj, src).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	f, err := elf.Open(obj)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section(".text")
	code, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	m := insn.X8664()
	out := map[string]*value.Function{}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 {
			body := code[s.Value-text.Addr:][:s.Size]
			out[s.Name] = value.Analyze(m, m.Lift(nil, body, s.Value), m.Scratch, nil)
		}
	}
	return out
}

// assembly wraps the bodies of functions.
func assembly(bodies map[string]string) string {
	var b strings.Builder
	names := make([]string, 0, len(bodies))
	for n := range bodies {
		names = append(names, n)
	}
	slices.Sort(names)
	b.WriteString(".intel_syntax noprefix\n.text\n")
	for _, n := range names {
		fmt.Fprintf(&b, ".globl %s\n.type %s, @function\n%s:\n%s\n.size %s, .-%s\n", n, n, n, bodies[n], n, n)
	}
	b.WriteString(".section .note.GNU-stack,\"\",@progbits\n")
	return b.String()
}

// show writes a value for the table below.
func show(v value.Value) string {
	atoms, ok := v.Known()
	if !ok {
		return "?"
	}
	var out []string
	for _, a := range atoms {
		s := ""
		switch a.Kind {
		case value.Const:
			s = fmt.Sprint(a.N)
		case value.Param:
			s = fmt.Sprintf("reg%d", a.Reg)
		case value.StackParam:
			s = fmt.Sprintf("stack+%d", a.N)
		case value.Frame:
			s = fmt.Sprintf("frame%+d", a.N)
		case value.Field:
			s = fmt.Sprintf("[reg%d%+d]:%d", a.Reg, a.N, a.Width)
		case value.Global:
			s = "global"
		}
		if a.Kind != value.Const && a.Kind != value.Frame {
			if a.Add != 0 {
				s += fmt.Sprintf("%+d", a.Add)
			}
			if a.And != ^uint64(0) {
				s += fmt.Sprintf("&%#x", a.And)
			}
			if a.Or != 0 {
				s += fmt.Sprintf("|%#x", a.Or)
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// What RAX holds at the one system call of each function.
func TestNumber(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"constant", "mov eax, 39\n syscall\n ret", "39"},
		{"zero", "xor eax, eax\n syscall\n ret", "0"},
		{"push_pop", "push 60\n pop rax\n syscall", "60"},
		{"partial", "xor eax, eax\n mov al, 56\n syscall\n ret", "56"},
		{"parameter", "mov rax, rdi\n mov rdi, rsi\n syscall\n ret", "reg7"},
		{"parameter32", "movsxd rax, edi\n mov eax, eax\n syscall\n ret", "reg7&0xffffffff"},
		{"wrapper_of_seven", "mov rax, [rsp+8]\n syscall\n ret", "stack+8"},
		{"wrapper_with_frame", "push rbx\n sub rsp, 32\n mov rax, [rsp+48]\n syscall\n add rsp, 32\n pop rbx\n ret", "stack+8"},
		{"frame_pointer", "push rbp\n mov rbp, rsp\n and rsp, -32\n mov rax, [rbp+16]\n syscall\n leave\n ret", "stack+8"},
		{"two_ways", "test edi, edi\n je 1f\n mov eax, 1\n jmp 2f\n1: mov eax, 2\n2: syscall\n ret", "1 2"},
		{"choose", "mov eax, 3\n mov ecx, 4\n test edi, edi\n cmove eax, ecx\n syscall\n ret", "3 4"},
		{"or_bits", "mov eax, edi\n or eax, 0x40000000\n syscall\n ret", "reg7&0xbfffffff|0x40000000"},
		{"spilled", "sub rsp, 24\n mov [rsp+8], rdi\n call f@plt\n mov rax, [rsp+8]\n syscall\n add rsp, 24\n ret", "reg7"},
		{"saved_register", "push rbx\n mov rbx, rdi\n call f@plt\n mov rax, rbx\n syscall\n pop rbx\n ret", "reg7"},
		{"lost_in_call", "mov r8, rdi\n call f@plt\n mov rax, r8\n syscall\n ret", "?"},
		// f may write anywhere in the buffer whose address it gets, and above.
		{"leaked", "sub rsp, 24\n mov qword ptr [rsp+8], 5\n lea rdi, [rsp]\n call f@plt\n mov rax, [rsp+8]\n syscall\n add rsp, 24\n ret", "?"},
		{"below_the_leak", "sub rsp, 24\n mov qword ptr [rsp+8], 5\n lea rdi, [rsp+16]\n call f@plt\n mov rax, [rsp+8]\n syscall\n add rsp, 24\n ret", "5"},
		{"leaked_before", "sub rsp, 24\n lea rax, [rsp]\n mov [rdi], rax\n mov qword ptr [rsp+8], 5\n mov [rsi], rdi\n mov rax, [rsp+8]\n syscall\n add rsp, 24\n ret", "?"},
		{"loop", "xor eax, eax\n1: inc eax\n cmp eax, edi\n jb 1b\n syscall\n ret", "?"},
		{"result", "call f@plt\n syscall\n ret", "?"},
		{"half_overwritten", "sub rsp, 24\n mov qword ptr [rsp+8], 5\n mov byte ptr [rsp+9], 1\n mov rax, [rsp+8]\n syscall\n add rsp, 24\n ret", "?"},
		{"half_a_parameter", "mov byte ptr [rsp+9], 1\n mov rax, [rsp+8]\n syscall\n ret", "?"},
		{"field", "mov eax, [rdi+4]\n syscall\n ret", "[reg7+4]:4&0xffffffff"},
		{"kernel_clobbers", "mov rcx, 3\n mov eax, 39\n syscall\n mov rax, rcx\n nop\n jmp 1f\n1: hlt", "39"},
		{"indirect_jump", "lea rax, [rip+1f]\n sub rsp, 8\n mov eax, 7\n test edi, edi\n je 1f\n jmp rsi\n mov eax, 8\n1: syscall\n add rsp, 8\n ret", "?"},
		{"landing_pad", "ret\n mov eax, 9\n syscall\n ret", "9"},
		{"imul", "mov eax, 3\n imul eax, eax, 13\n syscall\n ret", "39"},
		{"shift", "mov eax, 1\n shl eax, 5\n syscall\n ret", "32"},
		{"shift_right_32", "mov rax, -1\n shr eax, 28\n syscall\n ret", "15"},
		{"sign", "mov eax, -1\n cdqe\n syscall\n ret", "-1"},
	}
	bodies := map[string]string{}
	for _, tt := range tests {
		bodies["t_"+tt.name] = tt.body
	}
	got := functions(t, assembly(bodies))
	for _, tt := range tests {
		f := got["t_"+tt.name]
		i := slices.IndexFunc(f.Sites(), func(s value.Site) bool { return s.Op == insn.Syscall })
		if i < 0 {
			t.Errorf("%s: no system call found", tt.name)
			continue
		}
		if s := show(f.Sites()[i].Reg(0)); s != tt.want {
			t.Errorf("%s: RAX is %s, want %s", tt.name, s, tt.want)
		}
	}
}

// A callee's parameter in terms of its caller.
func TestResolve(t *testing.T) {
	fns := functions(t, assembly(map[string]string{
		"by_register": "mov edi, 5\n call f@plt\n ret",
		"by_stack":    "sub rsp, 8\n push 221\n call f@plt\n add rsp, 16\n ret",
		"by_jump":     "mov qword ptr [rsp+8], 6\n mov edi, 1\n jmp f@plt",
		"by_struct":   "sub rsp, 24\n mov dword ptr [rsp+4], 105\n lea rdi, [rsp]\n call f@plt\n add rsp, 24\n ret",
		"passed_on":   "mov rsi, rdi\n jmp f@plt",
	}))
	m := insn.X8664()
	reg := func(r insn.Reg) value.Atom { a, _ := value.Entry(r).Known(); return a[0] }
	stack := reg(0)
	stack.Kind, stack.N = value.StackParam, 8
	field := reg(7)
	field.Kind, field.N, field.Width = value.Field, 4, 4
	for _, tt := range []struct {
		fn   string
		atom value.Atom
		want string
	}{
		{"by_register", reg(7), "5"},
		{"by_stack", stack, "221"},
		{"by_jump", stack, "6"},
		{"by_struct", field, "105"},
		{"passed_on", reg(6), "reg7"},
		{"passed_on", stack, "stack+8"},
	} {
		sites := fns[tt.fn].Sites()
		if got := show(sites[0].Resolve(m, tt.atom)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.fn, got, tt.want)
		}
	}
}
