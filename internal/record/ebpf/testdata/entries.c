// One program, three ABIs.
static long call(long nr, long arg)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(arg) : "rcx", "r11", "memory");
	return ret;
}

static int call32(int nr, int arg)
{
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(arg) : "memory");
	return ret;
}

void _start(void)
{
	call32(64, 0);                 // getppid
	call32(136, -1);               // personality
	call(0x40000000 | 39, 0);      // getpid, x32
	call(0x40000000 | 516, -1);    // writev, a number that only x32 has
	call(0x40000000 | 135, -1);    // personality, x32
	call(231, 0);                  // exit_group
	__builtin_unreachable();
}
