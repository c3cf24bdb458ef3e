// What a C library has that matters here: see fuzz_test.go.
#if defined __x86_64__
__asm__(".globl syscall\nsyscall: mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; mov %r8,%r10; mov 8(%rsp),%r8; syscall; ret");
#else
__asm__(".globl syscall\nsyscall: mov x8,x0; mov x0,x1; mov x1,x2; mov x2,x3; mov x3,x4; svc #0; ret");
#endif
long syscall(long, ...);

void *dlopen(const char *name, int flags) { return (void *)syscall(257, -100, name, flags); }
void *dlsym(void *handle, const char *name) { return (void *)syscall(0, handle, name); }
int execve(const char *name, char **argv, char **env) { return syscall(59, name, argv, env); }
int system(const char *command) { return execve("/bin/prog2", (char **)&command, 0); }
int plugin(int n) { return syscall(41, n, 2, 0); }
static int first(int n) { return syscall(16, n, 0x5401); }
static int second(int n) { return syscall(157, n); }
int (*const table[])(int) = {first, second, plugin};
static int (*resolve(void))(int) { return first; }
int chosen(int n) __attribute__((ifunc("resolve")));
