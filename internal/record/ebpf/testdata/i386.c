// Three calls of the 32-bit ABI and nothing else.
static int call(int nr, int arg)
{
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(arg) : "memory");
	return ret;
}

void _start(void)
{
	call(64, 0); // getppid
	call(36, 0); // sync
	call(1, 0);  // exit
	__builtin_unreachable();
}
