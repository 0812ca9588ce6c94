/* SPDX-License-Identifier: MIT */
#include "embed/segment_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vec/elem.h"

#define SEGMENT_VERSION 1

static const unsigned char magic[8] = {0x89, 'H', 'E', 'M', 'B', '\r', '\n', 0x1a};

struct segment_head {
	unsigned char magic[8];
	uint32_t version, dim;
	uint64_t rows;
	uint64_t sum; /* XXH64 of the keys, seeded with that of what stands before */
};

struct segment_key segment_key(struct digest key, const float *v, uint32_t dim)
{
	return (struct segment_key){key, digest_xxh64(v, dim * sizeof *v, key.lo)};
}

static uint64_t keys_sum(const struct segment_head *h, const struct segment_key *keys)
{
	uint64_t seed = digest_xxh64(h, offsetof(struct segment_head, sum), 0);
	return digest_xxh64(keys, h->rows * sizeof *keys, seed);
}

static int order(struct digest a, struct digest b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo < b.lo ? -1 : a.lo > b.lo;
}

bool segment_read(struct segment *g)
{
	struct segment_head h;
	if (g->map.size < sizeof h)
		return false;
	memcpy(&h, g->map.data, sizeof h);
	if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != SEGMENT_VERSION ||
	    h.dim < 1 || h.dim > VEC_MAX_DIM || h.rows > VEC_MAX_ROWS)
		return false;
	size_t row = sizeof(struct segment_key) + h.dim * sizeof(float);
	if (g->map.size - sizeof h != h.rows * row)
		return false;
	g->dim = h.dim;
	g->rows = h.rows;
	g->keys = (const struct segment_key *)(g->map.data + sizeof h);
	g->v = (const float *)(g->keys + h.rows);
	return keys_sum(&h, g->keys) == h.sum;
}

void segment_release(struct segment *g)
{
	io_map_close(&g->map);
	free(g->name);
}

const float *segment_find(const struct segment *g, struct digest key)
{
	uint64_t lo = 0, hi = g->rows;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (order(g->keys[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == g->rows || order(g->keys[lo].key, key) != 0)
		return NULL;
	const float *v = g->v + lo * g->dim;
	return segment_key(key, v, g->dim).sum == g->keys[lo].sum ? v : NULL;
}

/* ---- writing ---- */

static int by_key(const void *a, const void *b)
{
	return order(((const struct segment_entry *)a)->k.key,
		     ((const struct segment_entry *)b)->k.key);
}

/* Sort entries, drop repeated keys; returns how many are left. */
static size_t sort_entries(struct segment_entry *e, size_t n)
{
	size_t kept = 0;
	qsort(e, n, sizeof *e, by_key);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || by_key(&e[kept - 1], &e[i]) != 0)
			e[kept++] = e[i];
	return kept;
}

int segment_write(int fd, struct segment_entry *e, size_t n, uint32_t dim, struct err *err)
{
	struct segment_head h = {.version = SEGMENT_VERSION, .dim = dim};
	struct io_sink out = IO_SINK_INIT(fd, "embeddings");
	struct segment_key *keys = mem_array(n, sizeof *keys, err);
	int ret = 0;
	if (!keys)
		return -1;
	h.rows = n = sort_entries(e, n);
	for (size_t i = 0; i < n; i++)
		keys[i] = e[i].k;
	memcpy(h.magic, magic, sizeof magic);
	h.sum = keys_sum(&h, keys);
	buf_add(&out.b, &h, sizeof h);
	buf_add(&out.b, keys, n * sizeof *keys);
	free(keys);
	for (size_t i = 0; i < n && ret == 0; i++) {
		buf_add(&out.b, e[i].v, dim * sizeof *e[i].v);
		ret = io_sink_spill(&out, err);
	}
	if (ret == 0)
		ret = io_sink_flush(&out, err);
	io_sink_release(&out);
	return ret;
}
