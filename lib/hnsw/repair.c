/* SPDX-License-Identifier: MIT */
#include "hnsw/graph_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_set(const uint64_t *bits, uint32_t i)
{
	return bits[i >> 6] >> (i & 63) & 1;
}

uint32_t hnsw_reach(const struct hnsw *h, uint32_t from, uint64_t *reached, uint32_t *parent,
		    uint32_t *queue)
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
			if (parent)
				parent[row[i]] = node;
			queue[tail++] = row[i];
		}
	}
	return tail;
}

struct repair {
	struct hnsw *h;
	uint32_t *links;
	struct hnsw_scratch *scratch;
	uint64_t *reached;
	uint32_t *parent, *queue;
};

/* Let ${from} link to ${to}; false if its row is full of links that paths depend on. */
static bool adopt(struct repair *r, uint32_t from, uint32_t to, bool may_replace)
{
	const struct hnsw *h = r->h;
	uint32_t *row = r->links + (size_t)from * h->head.stride0, at = HNSW_NONE;
	for (uint32_t i = 0; i < h->head.m0 && at == HNSW_NONE; i++)
		if (row[i] == HNSW_NONE)
			at = i;
	if (at == HNSW_NONE && may_replace) {
		/* The farthest link that is not how its target was reached. */
		float d, worst = 0;
		struct hnsw_point p;
		hnsw_point_node(h, r->scratch, from, 0, &p);
		for (uint32_t i = 0; i < h->head.m0; i++) {
			if (r->parent[row[i]] == from)
				continue;
			hnsw_distances(h, r->scratch, &p, &row[i], 1, &d);
			if (at == HNSW_NONE || d >= worst) {
				at = i;
				worst = d;
			}
		}
	}
	if (at == HNSW_NONE)
		return false;
	row[at] = to;
	r->parent[to] = from;
	return true;
}

/* Near nodes that are reached, nearest first, as keys in the pool. */
static size_t near_nodes(struct repair *r, uint32_t node)
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

static void connect(struct repair *r, uint32_t node)
{
	size_t count = near_nodes(r, node);
	const uint64_t *pool = r->scratch->pool;
	for (int may_replace = 0; may_replace < 2; may_replace++)
		for (size_t i = 0; i < count; i++)
			if (is_set(r->reached, pool_node(pool[i])) &&
			    adopt(r, pool_node(pool[i]), node, may_replace))
				return;
	/* A tree of all nodes has fewer edges than there is room for links, so some node has
	 * room or a link to spare. */
	for (uint32_t i = 0; i < r->h->head.nodes; i++)
		if (i != node && is_set(r->reached, i) && adopt(r, i, node, true))
			return;
}

int hnsw_repair(struct hnsw *h, uint32_t *links, struct hnsw_scratch *s, struct err *err)
{
	uint32_t nodes = h->head.nodes, entry = hnsw_entry_node(h);
	struct repair r = {.h = h, .links = links, .scratch = s};
	int ret = -1;
	r.reached = mem_zeroed((size_t)nodes / 64 + 1, sizeof *r.reached, err);
	r.parent = mem_array(nodes, sizeof *r.parent, err);
	r.queue = mem_array(nodes, sizeof *r.queue, err);
	if (!r.reached || !r.parent || !r.queue)
		goto out;
	memset(r.parent, 0xff, nodes * sizeof *r.parent);
	uint32_t count = hnsw_reach(h, entry, r.reached, r.parent, r.queue);
	for (uint32_t node = 0; node < nodes && count < nodes; node++) {
		if (is_set(r.reached, node))
			continue;
		connect(&r, node);
		count += hnsw_reach(h, node, r.reached, r.parent, r.queue);
	}
	ret = 0;
out:
	free(r.reached);
	free(r.parent);
	free(r.queue);
	return ret;
}
