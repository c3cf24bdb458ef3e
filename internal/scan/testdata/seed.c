// A program that uses what the analysis follows: see fuzz_test.go.
long syscall(long, ...);
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
int system(const char *);
int chosen(int);
extern int (*const table[])(int);
static int many(int n) {
	switch (n) {
	case 0: return syscall(1, 1, "x", 1);
	case 1: return syscall(3, n);
	case 2: return syscall(39);
	case 3: return system("/bin/prog2 -c 'exec $0'");
	case 4: return chosen(n);
	case 5: return table[n & 1](n);
	case 6: return syscall(101, n, 5);
	default: return 0;
	}
}
struct ops { int (*run)(int); const char *name; };
static struct ops ops = {many, "libseed.so"};
void _start(void) {
	struct ops *volatile o = &ops;
	void *h = dlopen(o->name, 2);
	int (*f)(int) = (int (*)(int))dlsym(h, "plugin");
	o->run(f ? f(1) : 7);
	for (;;)
		syscall(231, 0);
}
