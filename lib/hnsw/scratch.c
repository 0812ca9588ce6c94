/* SPDX-License-Identifier: MIT */
/* What one searching thread works in. */
#include "hnsw/codec_internal.h"

#include <stdlib.h>

int hnsw_scratch_init(struct hnsw_scratch *s, const struct hnsw *h,
		      const struct dist_kernels *kernels, struct err *err)
{
	size_t words = (h->head.nodes + 63u) / 64 + 1;
	*s = (struct hnsw_scratch){.kernels = kernels};
	s->visited = mem_zeroed(words, sizeof *s->visited, err);
	s->touched = mem_array(HNSW_TOUCHED_MAX, sizeof *s->touched, err);
	/* Aligned rows make aligned loads. */
	size_t stride = h->head.stride, codes = h->head.code_stride,
	       wide = h->codec->half ? stride : 0,
	       bytes = 2 * ((stride + wide) * sizeof *s->query + codes);
	s->query = aligned_alloc(64, bytes);
	s->bytes = words * 8 + HNSW_TOUCHED_MAX * sizeof *s->touched + bytes;
	if (s->query) {
		s->row = s->query + stride;
		s->wide[0] = s->row + stride;
		s->wide[1] = s->wide[0] + wide;
		s->code[0] = (int8_t *)(s->wide[1] + wide);
		s->code[1] = s->code[0] + codes;
	}
	if (!s->visited || !s->touched || !s->query) {
		hnsw_scratch_release(s);
		return err_nomem(err);
	}
	return 0;
}

void hnsw_scratch_release(struct hnsw_scratch *s)
{
	free(s->query);
	free(s->pool);
	free(s->visited);
	free(s->memo);
	free(s->touched);
	*s = (struct hnsw_scratch){0};
}

int hnsw_scratch_reserve(struct hnsw_scratch *s, size_t keys, struct err *err)
{
	if (s->pool_cap >= keys)
		return 0;
	uint64_t *pool = mem_resize(s->pool, keys, sizeof *pool, err);
	if (!pool)
		return -1;
	s->bytes += (keys - s->pool_cap) * sizeof *pool;
	s->pool = pool;
	s->pool_cap = keys;
	return 0;
}
