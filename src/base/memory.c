/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "memory.h"

#include "say.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t page_size(void)
{
	return (uintptr_t)sysconf(_SC_PAGESIZE);
}

void give_back(void *at, size_t size)
{
	uintptr_t page = page_size(), from = ((uintptr_t)at + page - 1) & ~(page - 1);
	uintptr_t to = ((uintptr_t)at + size) & ~(page - 1);

	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

void *map_memory(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("memory");
	return memory;
}
