/* SPDX-License-Identifier: MIT */
/*
 * Distances of many nodes to many.  A row is loaded once for several others, so that it is the
 * arithmetic that takes the time and not the memory.
 */
#include "hnsw/bulk_internal.h"

#include <string.h>

#define BLOCK 64 /* rows that stay in the cache while others pass by */
#define EDGE 16	 /* nodes whose distances are mirrored at once */

size_t hnsw_wide_dim(const struct hnsw *h)
{
	return h->codes ? num_round_up(h->head.dim, DIST_WIDE_PAD) : 0;
}

void hnsw_widen(const struct hnsw *h, const struct dist_kernels *k, const uint32_t *node,
		size_t count, int16_t *wide)
{
	size_t dim = hnsw_wide_dim(h);
	for (size_t i = 0; dim && i < count; i++)
		k->code_widen(hnsw_code(h, node[i]), dim, wide + i * dim);
}

/* ${count} rows from ${at} on; the last one again where there are not so many. */
static void rows_at(const struct hnsw_some *some, size_t dim, size_t at, int count,
		    const int16_t **row)
{
	for (int i = 0; i < count; i++) {
		size_t k = at + (size_t)i < some->count ? at + (size_t)i : some->count - 1;
		row[i] = some->wide + k * dim;
	}
}

/* Products of DIST_TILE nodes with a block. */
static void multiply(const struct dist_kernels *k, const struct hnsw_some *from, size_t at,
		     const struct hnsw_some *to, size_t first, size_t count, size_t dim,
		     int32_t dot[DIST_TILE][BLOCK])
{
	const int16_t *q[DIST_TILE], *row[4];
	int32_t tile[4 * DIST_TILE];
	rows_at(from, dim, at, DIST_TILE, q);
	for (size_t j = 0; j < count; j += 4) {
		rows_at(to, dim, first + j, 4, row);
		k->code_tile(q, row, dim, tile);
		for (int i = 0; i < DIST_TILE; i++)
			memcpy(dot[i] + j, tile + 4 * i, 4 * sizeof *tile);
	}
}

/* With ${half}, distances to those that come before a node are left out, as far as is easy. */
static void by_codes(const struct hnsw *h, const struct dist_kernels *k,
		     const struct hnsw_some *from, const struct hnsw_some *to, float *out,
		     size_t stride, bool half)
{
	const struct hnsw_head *d = &h->head;
	float unit = (d->metric == VEC_COSINE ? 0.5f : 1) * (d->unit * d->unit);
	int32_t dot[DIST_TILE][BLOCK];
	for (size_t j = 0; j < to->count; j += BLOCK) {
		size_t n = to->count - j < BLOCK ? to->count - j : BLOCK;
		size_t end = half && j + n < from->count ? j + n : from->count;
		for (size_t i = 0; i < end; i += DIST_TILE) {
			multiply(k, from, i, to, j, n, hnsw_wide_dim(h), dot);
			for (size_t m = 0; m < DIST_TILE && i + m < end; m++)
				k->code_squares(unit, h->norms[from->node[i + m]], dot[m], h->norms,
						to->node + j, n, out + (i + m) * stride + j);
		}
	}
}

static void by_floats(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_some *from,
		      const struct hnsw_some *to, float *out, size_t stride, bool half)
{
	struct hnsw_point p;
	for (size_t i = 0; i < from->count; i++) {
		hnsw_point_node(h, s, from->node[i], 0, &p);
		for (size_t j = half ? i : 0; j < to->count; j += BLOCK)
			hnsw_distances(h, s, &p, to->node + j,
				       to->count - j < BLOCK ? to->count - j : BLOCK,
				       out + i * stride + j);
	}
}

static void distances(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_some *from,
		      const struct hnsw_some *to, float *out, size_t stride, bool half)
{
	if (h->codes)
		by_codes(h, s->kernels, from, to, out, stride, half);
	else
		by_floats(h, s, from, to, out, stride, half);
}

void hnsw_many_distances(const struct hnsw *h, struct hnsw_scratch *s,
			 const struct hnsw_some *from, const struct hnsw_some *to, float *out,
			 size_t stride)
{
	distances(h, s, from, to, out, stride, false);
}

void hnsw_mutual_distances(const struct hnsw *h, struct hnsw_scratch *s,
			   const struct hnsw_some *some, float *out)
{
	size_t n = some->count;
	distances(h, s, some, some, out, n, true);
	for (size_t first = 0; first < n; first += EDGE)
		for (size_t j = first; j < n; j++)
			for (size_t i = first; i < first + EDGE && i < j; i++)
				out[j * n + i] = out[i * n + j];
}
