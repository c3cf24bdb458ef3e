// hugepages HOW: asks for memory in huge pages, of which there need not be any.
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "mmap") == 0)
		mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	else
		return memfd_create("pages", MFD_HUGETLB) < 0;
	return 0;
}
