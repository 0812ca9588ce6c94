/* SPDX-License-Identifier: MIT */
/* Whether searches reach every node, and what is done about those that none does. */
#include "hnsw/search_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * By inner product the large vectors are the neighbours of all others, and most of the small ones
 * are nobody's.  Links to them would be computed in every search, and lead to no answers; so only
 * where no more than this part of the nodes is not reached they get some.
 */
#define FEW 32

static bool is_set(const uint64_t *bits, uint32_t i)
{
	return bits[i >> 6] >> (i & 63) & 1;
}

uint32_t hnsw_reach(const struct hnsw *h, uint32_t from, uint64_t *reached, uint32_t *queue)
{
	uint32_t head = 0, tail = 0;
	if (is_set(reached, from))
		return 0;
	reached[from >> 6] |= (uint64_t)1 << (from & 63);
	queue[tail++] = from;
	while (head < tail) {
		uint32_t node = queue[head++];
		const uint32_t *row = hnsw_row0(h, node);
		for (uint32_t i = 0; i < h->head.m0 && row[i] < h->head.nodes; i++) {
			if (is_set(reached, row[i]))
				continue;
			reached[row[i] >> 6] |= (uint64_t)1 << (row[i] & 63);
			queue[tail++] = row[i];
		}
	}
	return tail;
}

struct repair {
	const struct hnsw *h;
	uint32_t *links;
	struct hnsw_scratch *scratch;
	uint64_t *reached;
	uint32_t *queue, *stray;
};

/* Let ${from} link to ${to}; false if its row is full. */
static bool adopt(const struct repair *r, uint32_t from, uint32_t to)
{
	uint32_t *row = r->links + (size_t)from * r->h->head.stride0;
	for (uint32_t i = 0; i < r->h->head.m0; i++)
		if (row[i] == HNSW_NONE) {
			row[i] = to;
			return true;
		}
	return false;
}

/* Near nodes that are reached, nearest first, as keys in the pool. */
static size_t near_nodes(const struct repair *r, uint32_t node)
{
	const struct hnsw *h = r->h;
	struct hnsw_scratch *s = r->scratch;
	uint32_t entry = hnsw_entry_node(h);
	struct hnsw_point p;
	float d;
	hnsw_point_node(h, s, node, 0, &p);
	if (h->head.upper)
		entry = h->upper_node[pool_node(hnsw_descend(h, s, &p, 0))];
	if (!is_set(r->reached, entry))
		entry = hnsw_entry_node(h);
	hnsw_distances(h, s, &p, &entry, 1, &d);
	s->pool[0] = pool_key(d, entry);
	return hnsw_beam(h, s, &p, 0, 1, h->head.ef_construction);
}

/* Have the nearest reached node that has a free place link to one that is not reached. */
static bool connect(const struct repair *r, uint32_t node)
{
	size_t count = near_nodes(r, node);
	for (size_t i = 0; i < count; i++) {
		uint32_t near = pool_node(r->scratch->pool[i]);
		if (is_set(r->reached, near) && adopt(r, near, node))
			return true;
	}
	return false;
}

/* Keep the strays for as long as the index lives. */
static int keep_strays(struct hnsw *h, const uint32_t *stray, uint32_t count, struct err *err)
{
	h->stray = NULL;
	h->head.strays = 0;
	if (!count)
		return 0;
	uint32_t *kept = hnsw_block(h, count, sizeof *kept, err);
	if (!kept)
		return -1;
	memcpy(kept, stray, count * sizeof *kept);
	h->stray = kept;
	h->head.strays = count;
	return 0;
}

int hnsw_repair(struct hnsw *h, uint32_t *links, bool add, struct hnsw_scratch *s, struct err *err)
{
	uint32_t nodes = h->head.nodes, strays = 0;
	struct repair r = {.h = h, .links = links, .scratch = s};
	int ret = -1;
	r.reached = mem_zeroed((size_t)nodes / 64 + 1, sizeof *r.reached, err);
	r.queue = mem_array(nodes, sizeof *r.queue, err);
	r.stray = mem_array(nodes, sizeof *r.stray, err);
	if (!r.reached || !r.queue || !r.stray)
		goto out;
	uint32_t count = hnsw_reach(h, hnsw_entry_node(h), r.reached, r.queue);
	add = add && (h->head.metric != VEC_IP || nodes - count <= nodes / FEW);
	for (uint32_t node = 0; node < nodes && count < nodes; node++) {
		if (is_set(r.reached, node))
			continue;
		if (!add || !connect(&r, node))
			r.stray[strays++] = node;
		count += hnsw_reach(h, node, r.reached, r.queue);
	}
	ret = keep_strays(h, r.stray, strays, err);
out:
	free(r.reached);
	free(r.queue);
	free(r.stray);
	return ret;
}
