/* SPDX-License-Identifier: MIT */
/* What an index in memory lies in. */
#include "hnsw/graph_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *hnsw_block(struct hnsw *h, size_t count, size_t size, struct err *err)
{
	size_t bytes;
	struct mem_block *block = &h->block[h->blocks];
	if (!num_mul(count, size, &bytes)) {
		err_nomem(err);
		return NULL;
	}
	if (mem_block_alloc(block, bytes ? bytes : 64, err) != 0)
		return NULL;
	h->blocks++;
	return block->p;
}

void hnsw_drop_block(struct hnsw *h, const void *p)
{
	for (size_t i = 0; i < h->blocks; i++)
		if (h->block[i].p == p)
			mem_block_release(&h->block[i]);
}

/* The pages that hold the vectors of some nodes. */
static void *find_pages(const struct hnsw *h, uint32_t node, uint32_t count, size_t *bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), row = h->row_bytes;
	uintptr_t first = (uintptr_t)h->vectors + node * row, begin = first / page * page;
	*bytes = first + count * row - begin;
	return (void *)begin;
}

void hnsw_ask_disk(const struct hnsw *h, uint32_t node, uint32_t count)
{
	size_t bytes;
	void *p = find_pages(h, node, count, &bytes);
	(void)madvise(p, bytes, MADV_WILLNEED);
}

uint64_t hnsw_cached_bytes(const struct hnsw *h)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes, cached = 0;
	if (!h->on_disk)
		return 0;
	void *p = find_pages(h, 0, h->head.nodes, &bytes);
	size_t pages = (bytes + page - 1) / page;
	unsigned char *held = malloc(pages);
	if (!held || mincore(p, bytes, held) != 0)
		cached = pages;
	else
		for (size_t i = 0; i < pages; i++)
			cached += held[i] & 1;
	free(held);
	return (uint64_t)cached * page;
}

int hnsw_keep_ids(struct hnsw *h, const struct vec_set *set, struct err *err)
{
	if (!set->id_end)
		return 0;
	uint64_t bytes = set->id_end[set->rows - 1];
	uint64_t *end = hnsw_block(h, set->rows, sizeof *end, err);
	char *text = hnsw_block(h, bytes, 1, err);
	if (!end || !text)
		return -1;
	memcpy(end, set->id_end, set->rows * sizeof *end);
	memcpy(text, set->id_text, bytes);
	h->id_end = end;
	h->id_text = text;
	h->id_text_bytes = bytes;
	return 0;
}
