/* SPDX-License-Identifier: MIT */
/* Going on with the graph of an older index: its links, and their distances. */
#include "hnsw/build_internal.h"

#include <string.h>

static void measure_row(const struct build *b, struct hnsw_scratch *s, const struct hnsw_point *p,
			const struct layer *l, size_t row, bool upper)
{
	uint32_t nodes[2 * HNSW_MAX_M], n = 0;
	const uint32_t *links = l->links + row * l->stride;
	for (; n < l->room && links[n] != HNSW_NONE; n++)
		nodes[n] = upper ? b->h->upper_node[links[n]] : links[n];
	hnsw_distances(b->h, s, p, nodes, n, l->dist + row * l->stride);
}

static void measure_nodes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t i = begin; i < end; i++) {
		hnsw_point_node(b->h, s, (uint32_t)i, 0, &p);
		measure_row(b, s, &p, &b->base, i, false);
	}
}

static void measure_uppers(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct build *b = ctx;
	const struct hnsw *h = b->h;
	struct hnsw_scratch *s = &b->scratch[thread];
	struct hnsw_point p;
	for (uint64_t u = begin; u < end; u++) {
		hnsw_point_node(h, s, h->upper_node[u], 0, &p);
		for (uint32_t row = h->upper_first[u]; row < h->upper_first[u + 1]; row++)
			measure_row(b, s, &p, &b->upper, row, true);
	}
}

void hnsw_take_links(struct build *b)
{
	const struct hnsw *older = b->h->older;
	const struct hnsw_head *d = &older->head;
	memcpy(b->base.links, older->links0, (size_t)d->nodes * d->stride0 * sizeof *older->links0);
	memcpy(b->upper.links, older->upper_links,
	       (size_t)d->upper_rows * d->stride_upper * sizeof *older->upper_links);
	par_run(b->par, d->nodes, 256, measure_nodes, b);
	par_run(b->par, d->upper, 256, measure_uppers, b);
	b->done = d->nodes;
}
