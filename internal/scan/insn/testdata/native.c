// native runs pieces of machine code, for the test that compares them with
// what Lift makes of them. It reads records from stdin:
//
//	uint64 registers[32] (with the stack pointer), uint64 size, code
//
// and writes for each: uint64 faulted, uint64 registers[32], the stack window.
// The code lies at CODE, and the window around the stack pointer at WINDOW.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CODE 0x20000000UL
#define STACK 0x10000000UL
#define STACK_SIZE 0x10000UL
#define WINDOW (STACK + STACK_SIZE / 2 - WINDOW_SIZE / 2)
#define WINDOW_SIZE 1024

uint64_t in[32], out[32], saved_sp;
void run(uint64_t code);
void leave_code(void);

#if defined(__x86_64__)
__asm__(
	".text\n.globl run\nrun:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, saved_sp(%rip)\n"
	"mov %rdi, target(%rip)\n"
	"mov in+0(%rip), %rax\nmov in+8(%rip), %rcx\nmov in+16(%rip), %rdx\nmov in+24(%rip), %rbx\n"
	"mov in+32(%rip), %rsp\nmov in+40(%rip), %rbp\nmov in+48(%rip), %rsi\nmov in+56(%rip), %rdi\n"
	"mov in+64(%rip), %r8\nmov in+72(%rip), %r9\nmov in+80(%rip), %r10\nmov in+88(%rip), %r11\n"
	"mov in+96(%rip), %r12\nmov in+104(%rip), %r13\nmov in+112(%rip), %r14\nmov in+120(%rip), %r15\n"
	"jmp *target(%rip)\n"
	".globl leave_code\nleave_code:\n"
	"mov %rax, out+0(%rip)\nmov %rcx, out+8(%rip)\nmov %rdx, out+16(%rip)\nmov %rbx, out+24(%rip)\n"
	"mov %rsp, out+32(%rip)\nmov %rbp, out+40(%rip)\nmov %rsi, out+48(%rip)\nmov %rdi, out+56(%rip)\n"
	"mov %r8, out+64(%rip)\nmov %r9, out+72(%rip)\nmov %r10, out+80(%rip)\nmov %r11, out+88(%rip)\n"
	"mov %r12, out+96(%rip)\nmov %r13, out+104(%rip)\nmov %r14, out+112(%rip)\nmov %r15, out+120(%rip)\n"
	"mov saved_sp(%rip), %rsp\n"
	"cld\nemms\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
	".bss\ntarget: .quad 0\n.text\n");
// jmp *0(%rip), and the address to go to after it
static const uint8_t leave[] = {0xff, 0x25, 0, 0, 0, 0};
#elif defined(__aarch64__)
__asm__(
	".text\n.globl run\nrun:\n"
	"stp x19, x20, [sp, #-96]!\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
	"stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
	"adrp x1, saved_sp\nmov x2, sp\nstr x2, [x1, :lo12:saved_sp]\n"
	"mov x17, x0\n"
	"adrp x18, in\nadd x18, x18, :lo12:in\nldr x1, [x18, #248]\nmov sp, x1\n"
	"ldp x0, x1, [x18]\nldp x2, x3, [x18, #16]\nldp x4, x5, [x18, #32]\nldp x6, x7, [x18, #48]\n"
	"ldp x8, x9, [x18, #64]\nldp x10, x11, [x18, #80]\nldp x12, x13, [x18, #96]\nldp x14, x15, [x18, #112]\n"
	"ldr x16, [x18, #128]\nldp x19, x20, [x18, #152]\nldp x21, x22, [x18, #168]\nldp x23, x24, [x18, #184]\n"
	"ldp x25, x26, [x18, #200]\nldp x27, x28, [x18, #216]\nldp x29, x30, [x18, #232]\n"
	"br x17\n"
	".globl leave_code\nleave_code:\n"
	"adrp x17, out\nadd x17, x17, :lo12:out\n"
	"stp x0, x1, [x17]\nstp x2, x3, [x17, #16]\nstp x4, x5, [x17, #32]\nstp x6, x7, [x17, #48]\n"
	"stp x8, x9, [x17, #64]\nstp x10, x11, [x17, #80]\nstp x12, x13, [x17, #96]\nstp x14, x15, [x17, #112]\n"
	"str x16, [x17, #128]\nstp x19, x20, [x17, #152]\nstp x21, x22, [x17, #168]\nstp x23, x24, [x17, #184]\n"
	"stp x25, x26, [x17, #200]\nstp x27, x28, [x17, #216]\nstp x29, x30, [x17, #232]\n"
	"mov x1, sp\nstr x1, [x17, #248]\n"
	"adrp x1, saved_sp\nldr x1, [x1, :lo12:saved_sp]\nmov sp, x1\n"
	"ldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
	"ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp x19, x20, [sp], #96\nret\n");
// ldr x17, .+8; br x17, and the address to go to after it
static const uint8_t leave[] = {0x51, 0, 0, 0x58, 0x20, 0x02, 0x1f, 0xd6};
#endif

static sigjmp_buf faulted;

static void on_fault(int signal) {
	(void)signal;
	siglongjmp(faulted, 1);
}

static uint8_t *map(uint64_t addr, size_t size, int prot) {
	uint8_t *p = mmap((void *)addr, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void fill(uint8_t *p, size_t n) {
	for (size_t i = 0; i < n; i++)
		p[i] = i * 37 + 11;
}

int main(void) {
	uint8_t *code = map(CODE, 0x10000, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
	uint8_t *window = (uint8_t *)WINDOW;
	static uint8_t alternate[1 << 16];
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER};
	int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	sigaltstack(&ss, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &sa, NULL);
	uint64_t size, end = (uint64_t)leave_code;
	while (fread(in, sizeof in, 1, stdin) == 1 && fread(&size, sizeof size, 1, stdin) == 1 && size < 0x8000) {
		if (fread(code, 1, size, stdin) != size)
			return 1;
		memcpy(code + size, leave, sizeof leave);
		memcpy(code + size + sizeof leave, &end, sizeof end);
		__builtin___clear_cache((char *)code, (char *)code + size + 64);
		fill(window, WINDOW_SIZE);
		uint64_t bad = sigsetjmp(faulted, 1);
		if (!bad)
			run(CODE);
		fwrite(&bad, sizeof bad, 1, stdout);
		fwrite(out, sizeof out, 1, stdout);
		fwrite(window, WINDOW_SIZE, 1, stdout);
	}
	return 0;
}
