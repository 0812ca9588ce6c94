/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/num.h"

#define HUGE_PAGE ((size_t)2 << 20)

int mem_block_alloc(struct mem_block *m, size_t bytes, struct err *err)
{
	*m = (struct mem_block){0};
	if (bytes == 0)
		return 0;
	size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : 4096, total;
	if (!num_add(bytes, 2 * align, &total))
		return err_nomem(err);
	size_t size = num_round_up(bytes, align);
	char *raw =
	    mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw == MAP_FAILED)
		return err_set(err, ERR_ENV, "out of memory: cannot have %zu bytes", bytes);
	/* Give back what lies before and after the aligned block. */
	size_t skip = num_round_up((uintptr_t)raw, align) - (uintptr_t)raw;
	if (skip)
		munmap(raw, skip);
	if (align - skip)
		munmap(raw + skip + size, align - skip);
	m->p = raw + skip;
	m->bytes = size;
#ifdef MADV_HUGEPAGE
	if (align == HUGE_PAGE)
		(void)madvise(m->p, size, MADV_HUGEPAGE);
#endif
	return 0;
}

void mem_block_release(struct mem_block *m)
{
	if (m->p)
		munmap(m->p, m->bytes);
	*m = (struct mem_block){0};
}

void *mem_resize(void *old, size_t count, size_t size, struct err *err)
{
	size_t bytes;
	if (!num_mul(count, size, &bytes)) {
		err_nomem(err);
		return NULL;
	}
	void *p = realloc(old, bytes ? bytes : 1);
	if (!p)
		err_nomem(err);
	return p;
}

void *mem_array(size_t count, size_t size, struct err *err)
{
	return mem_resize(NULL, count, size, err);
}

void *mem_zeroed(size_t count, size_t size, struct err *err)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		err_nomem(err);
	return p;
}
