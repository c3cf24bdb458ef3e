package scan_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan"
)

// header begins the assembly of each case: a program that calls test, whose
// functions have unwind information (func) or none (bare).
const header = `
.macro func name
	.type \name, @function
\name:	.cfi_startproc
.endm
.macro done name
	.cfi_endproc
	.size \name, . - \name
.endm
.macro sys nr
	mov $\nr, %eax
	syscall
.endm
.macro object name
	.type \name, @object
\name:
.endm
.text
.globl _start
func _start
	sub $8, %rsp
	call test
	mov $231, %eax
	xor %edi, %edi
	syscall
	hlt
done _start
`

// soundness are the rules that an analysis of machine code must keep, each as a
// small program, with the calls that it makes and some that it cannot make.
// getpid is 39, getuid 102, getgid 104, getppid 110, sync 162.
var soundness = []struct {
	name, source string
	args         []string // of the compiler
	makes, never string
	gap          bool // what is not found may be a gap
}{
	{
		name:  "a set that the linker puts together is walked from end to end",
		makes: "getuid getgid",
		source: `
func test
	lea __start_set(%rip), %rbx
1:	call *(%rbx)
	add $128, %rbx
	lea __stop_set(%rip), %rax
	cmp %rax, %rbx
	jne 1b
	ret
done test
func one
	sys 102
	ret
done one
func two
	sys 104
	ret
done two
.section set,"aw"
object one_in_set
	.quad one
	.zero 120
	.size one_in_set, 128
object two_in_set
	.quad two
	.zero 120
	.size two_in_set, 128
`,
	},
	{
		name:  "the address of a table may be folded with the -1 of its index",
		makes: "getuid",
		source: `
func test
	lea table-8(%rip), %rdx
	mov $1, %eax
	call *(%rdx,%rax,8)
	ret
done test
func one
	sys 102
	ret
done one
.data
object other
	.quad 0, 0
	.size other, 16
object table
	.quad one
	.size table, 8
`,
	},
	{
		name:  "the end of a table is where a loop downwards begins",
		makes: "getuid",
		source: `
func test
	lea table+8(%rip), %rdx
	call *-8(%rdx)
	ret
done test
func one
	sys 102
	ret
done one
.data
object table
	.quad one
	.size table, 8
object other
	.quad 0
	.size other, 8
`,
	},
	{
		name:  "the address of one object does not give its neighbours away",
		makes: "getuid",
		never: "getgid",
		source: `
func test
	lea table(%rip), %rdx
	call *8(%rdx)
	ret
done test
func one
	sys 102
	ret
done one
func two
	sys 104
	ret
done two
.data
object table
	.quad 0, one
	.zero 128
	.size table, 144
object other
	.quad two
	.size other, 8
`,
	},
	{
		name:  "between symbols of known size may be any number of objects",
		makes: "getuid getgid",
		source: `
func test
	lea field(%rip), %rdx
	call *(%rdx)
	call *-104(%rdx)
	ret
done test
func one
	sys 102
	ret
done one
func two
	sys 104
	ret
done two
.data
	.quad two
	.zero 96
field:	.quad one
object other
	.quad 0
	.size other, 8
`,
	},
	{
		name:  "a cold part jumps back into the middle of the hot one",
		makes: "getpid getuid",
		gap:   true,
		source: `
func test
	mov $39, %eax
	test %edi, %edi
	jne cold
back:	syscall
	ret
done test
.section .text.unlikely,"ax"
func cold
	mov $102, %eax
	jmp back
done cold
`,
	},
	{
		name:  "a word that looks like the address of a function may be none",
		makes: "getuid getgid",
		gap:   true,
		source: `
test:	lea table(%rip), %rax
	call one
	ret
	.p2align 4
one:	mov $102, %eax
	syscall
	mov $104, %eax
	syscall
	ret
.data
table:	.quad one + 1, one + 8
`,
	},
	{
		name:  "a function runs on into the next one",
		makes: "getuid",
		source: `
func test
	mov $102, %edi
done test
func next
	mov %edi, %eax
	syscall
	ret
done next
`,
	},
	{
		name:  "unwind information ends before the function does",
		makes: "getuid",
		source: `
func test
	mov $102, %eax
done test
	syscall
	ret
`,
	},
	{
		name:  "registers that a callee keeps, and those that it does not",
		makes: "getuid getgid",
		gap:   true,
		source: `
func test
	push %rbx
	mov $102, %ebx
	mov $39, %r8d
	call other
	mov %ebx, %eax
	syscall
	mov %r8d, %eax
	syscall
	pop %rbx
	ret
done test
func other
	mov $104, %r8d
	ret
done other
`,
	},
	{
		name:  "who has the address of a variable may change it",
		makes: "getpid getuid",
		gap:   true,
		source: `
func test
	sub $24, %rsp
	movl $39, 8(%rsp)
	mov 8(%rsp), %eax
	syscall
	lea 8(%rsp), %rdi
	call other
	mov 8(%rsp), %eax
	syscall
	add $24, %rsp
	ret
done test
func other
	movl $102, (%rdi)
	ret
done other
`,
	},
	{
		name:  "one jump goes through a table, another one does not",
		makes: "getpid getuid",
		gap:   true,
		source: `
func test
	sub $8, %rsp
	cmp $1, %edi
	ja 3f
	lea table(%rip), %rdx
	movslq (%rdx,%rdi,4), %rax
	add %rdx, %rax
	jmp *%rax
1:	mov $39, %eax
	jmp 4f
2:	lea 4f(%rip), %rcx
	mov $102, %eax
	jmp *%rcx
3:	mov $39, %eax
4:	syscall
	add $8, %rsp
	ret
done test
.section .rodata
table:	.long 1b - table, 2b - table
`,
	},
	{
		name:  "a table longer than any number that is compared",
		makes: "getpid getuid",
		source: `
func test
	sub $8, %rsp
	mov $102, %eax
	test %esi, %esi
	jne 2f
	mov $39, %eax
	cmp $1, %edx
	lea table(%rip), %rdx
	movslq (%rdx,%rdi,4), %rcx
	add %rdx, %rcx
	jmp *%rcx
1:	jmp 3f
2:	syscall
3:	add $8, %rsp
	ret
done test
.section .rodata
table:	.long 1b - table, 1b - table, 1b - table, 1b - table, 2b - table
`,
	},
	{
		name:  "a function that returns twice finds its variables changed",
		makes: "getpid getuid",
		gap:   true,
		source: `
func test
	sub $216, %rsp
	movl $39, 8(%rsp)
	lea buffer(%rip), %rdi
	call setjmp
	mov 8(%rsp), %eax
	syscall
	movl $102, 8(%rsp)
	lea buffer(%rip), %rdi
	call longjmp
	hlt
done test
.globl setjmp
func setjmp
	mov (%rsp), %rax
	mov %rax, (%rdi)
	mov %rsp, 8(%rdi)
	ret
done setjmp
func longjmp
	mov 8(%rdi), %rsp
	mov (%rdi), %rax
	mov %rax, (%rsp)
	ret
done longjmp
.bss
buffer:	.zero 256
`,
	},
	{
		name:  "what a wrapper is given on the stack",
		makes: "getuid sync",
		never: "getgid",
		source: `
func test
	sub $8, %rsp
	push $102
	call cancel
	pop %rax
	push $162
	call cancel
	pop %rax
	add $8, %rsp
	ret
done test
func cancel
	sub $16, %rsp
	push 24(%rsp)
	call inner
	pop %rdx
	add $16, %rsp
	ret
done cancel
func inner
	mov 8(%rsp), %rax
	syscall
	ret
done inner
`,
	},
	{
		name:  "a comparison says what a register holds",
		makes: "read getuid getgid",
		source: `
func test
	sub $8, %rsp
	call other
	test %rax, %rax
	je 2f
	mov %rbx, %rax
	cmp $104, %rax
	je 2f
	mov $102, %eax
2:	syscall
	add $8, %rsp
	ret
done test
func other
	mov (%rdi), %rax
	ret
done other
`,
	},
	{
		name:  "a function that is only jumped to, and has no unwind information",
		makes: "getuid getgid",
		source: `
test:	call first
	mov $104, %edi
	jmp wrapper
first:	mov $102, %edi
	jmp wrapper
	.p2align 4
before:	mov $1, %edi
	ret
	.p2align 4
wrapper: mov %rdi, %rax
	syscall
	ret
`,
	},
	{
		name:  "an address that is compared is given to nobody",
		makes: "getuid",
		source: `
func test
	lea inner(%rip), %rcx
	cmp %rcx, %rdi
	mov $102, %edi
	xor %ecx, %ecx
	call inner
	ret
done test
func inner
	mov %rdi, %rax
	syscall
	ret
done inner
`,
	},
}

func TestSoundness(t *testing.T) {
	for _, tt := range soundness {
		t.Run(tt.name, func(t *testing.T) {
			set := scanAssembly(t, tt.source, tt.args...)
			open := unresolved(set) > 0
			made := syscalls(set.Facts)
			for _, n := range strings.Fields(tt.makes) {
				if !slices.ContainsFunc(made, func(s string) bool { return strings.HasPrefix(s, n+"[") }) && !(open && tt.gap) {
					t.Errorf("does not find %s: %v, %d unresolved", n, made, unresolved(set))
				}
			}
			for _, n := range strings.Fields(tt.never) {
				if slices.ContainsFunc(made, func(s string) bool { return strings.HasPrefix(s, n+"[") }) {
					t.Errorf("finds %s", n)
				}
			}
			if open && !tt.gap {
				t.Errorf("%d system calls without a number: %+v", unresolved(set), set.Gaps)
			}
		})
	}
}

// scanAssembly scans a program of assembly.
func scanAssembly(t *testing.T, source string, args ...string) evidence.Set {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "a.s")
	if err := os.WriteFile(src, []byte(header+source), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "-nostdlib", "-pie", "-Wl,--no-dynamic-linker", "-o", filepath.Join(dir, "prog"), src)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	files, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := scan.Run(context.Background(), scan.Options{Files: files, Binaries: []string{"prog"}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
