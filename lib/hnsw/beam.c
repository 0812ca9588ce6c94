/* SPDX-License-Identifier: MIT */
/*
 * Beam search and greedy descent, and the bits of what was visited.  What the next steps need is
 * asked for from memory ahead of them.
 */
#include "hnsw/search_internal.h"

#include <string.h>

/* Mark nodes as visited; there is room for them among the touched. */
static inline void visit(struct hnsw_scratch *s, const uint32_t *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		s->visited[nodes[i] >> 6] |= (uint64_t)1 << (nodes[i] & 63);
		s->touched[s->n_touched + i] = nodes[i];
	}
	s->n_touched += count;
}

/* Have room for ${more} touched nodes; those that do not fit are cleared all at once. */
static inline void visit_room(struct hnsw_scratch *s, uint32_t more)
{
	if (s->n_touched + more > HNSW_TOUCHED_MAX) {
		s->n_touched = 0;
		s->overflow = true;
	}
}

static void clear_visited(struct hnsw_scratch *s, uint32_t count)
{
	if (s->overflow)
		memset(s->visited, 0, ((size_t)count + 63) / 64 * sizeof *s->visited);
	else
		for (size_t i = 0; i < s->n_touched; i++)
			s->visited[s->touched[i] >> 6] = 0;
	s->n_touched = 0;
	s->overflow = false;
}

/* Ask for every line of cache. */
static inline __attribute__((always_inline)) void ask_for(const void *p, size_t bytes)
{
	for (const char *line = p, *end = line + bytes; line < end; line += 64) {
		__builtin_prefetch(line, 0, 3);
		/* Or else compilers find that nothing here has an effect, and drop it. */
		__asm__ volatile("");
	}
}

/* Ask for what the distance to a node is computed from. */
static inline __attribute__((always_inline)) void ask_for_node(const struct hnsw *h, uint32_t node)
{
	if (!h->codes) {
		ask_for(hnsw_row(h, node), h->row_bytes);
		return;
	}
	__builtin_prefetch(h->norms + node, 0, 2);
	ask_for(hnsw_code(h, node), h->head.code_stride);
}

void hnsw_ask_for_vectors(const struct hnsw *h, const uint32_t *nodes, size_t count)
{
	for (size_t i = 0; h->vectors && i < count; i++)
		ask_for(hnsw_row(h, nodes[i]), h->row_bytes);
}

static inline __attribute__((always_inline)) void prefetch_links(const struct hnsw *h,
								 uint32_t node)
{
	ask_for(hnsw_row0(h, node), h->head.stride0 * sizeof(uint32_t));
}

uint64_t hnsw_descend(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		      uint32_t level)
{
	uint32_t best = h->head.entry, node = h->upper_node[best], nodes[HNSW_MAX_M],
		 uppers[HNSW_MAX_M];
	float d[HNSW_MAX_M];
	hnsw_distances(h, s, p, &node, 1, d);
	uint64_t best_key = pool_key(d[0], best);
	for (uint32_t l = h->head.max_level; l > level; l--)
		for (;;) {
			const uint32_t *row = hnsw_row_upper(h, best, l);
			size_t n = 0;
			for (; row && n < h->head.m && row[n] < h->head.upper; n++) {
				uppers[n] = row[n];
				nodes[n] = h->upper_node[row[n]];
				ask_for_node(h, nodes[n]);
			}
			hnsw_distances(h, s, p, nodes, n, d);
			uint64_t before = best_key;
			for (size_t i = 0; i < n; i++) {
				uint64_t key = pool_key(d[i], uppers[i]);
				if (key < best_key)
					best_key = key;
			}
			s->hops++;
			if (best_key == before)
				break;
			best = pool_node(best_key);
		}
	return best_key;
}

/* A node that may be expanded next, and the nodes it links to of which none was visited then. */
struct ahead {
	uint32_t node, linked[2 * HNSW_MAX_M + 16];
	size_t count;
};

/*
 * Ask for what the next expansion will need, if nothing nearer is found by this one: the nodes
 * that the next unexpanded entry links to, and the links of the one after it.  Even if something
 * nearer is found they will be needed, later: what is in the pool is expanded, sooner or later.
 * What is asked for twice costs less than what was not: a processor that is busy with other
 * lines forgets about some.
 */
static inline __attribute__((always_inline)) void
look_ahead(const struct hnsw *h, struct hnsw_scratch *s, size_t at, size_t count, struct ahead *a)
{
	while (at < count && s->pool[at] & 1)
		at++;
	if (at >= count)
		return;
	a->node = pool_node(s->pool[at]);
	a->count = s->kernels->unvisited(s->visited, hnsw_row0(h, a->node), h->head.m0,
					 h->head.nodes, a->linked);
	for (size_t i = 0; i < a->count; i++)
		ask_for_node(h, a->linked[i]);
	while (++at < count && s->pool[at] & 1)
		;
	if (at < count)
		prefetch_links(h, pool_node(s->pool[at]));
}

/* Tell of every stop whose entries are all expanded, now that the first ${at} are. */
static void reach_stops(struct hnsw_stops *stops, size_t at, size_t count)
{
	while (stops->next < stops->n && at >= stops->ef[stops->next]) {
		stops->reached(stops, count);
		stops->next++;
		stops->lowest = SIZE_MAX;
	}
}

/* Nodes to go on from when all that the entry point leads to is expanded: of the strays from
 * number ${at} on, some that were not visited. */
static __attribute__((noinline)) size_t take_strays(const struct hnsw *h, struct hnsw_scratch *s,
						    uint32_t *at, uint32_t *out)
{
	size_t n = 0;
	while (n == 0 && *at < h->head.strays) {
		uint32_t left = h->head.strays - *at, some = left < h->head.m0 ? left : h->head.m0;
		n = s->kernels->unvisited(s->visited, h->stray + *at, some, h->head.nodes, out);
		*at += some;
	}
	return n;
}

static inline __attribute__((always_inline)) size_t
beam(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p, uint32_t level,
     size_t count, size_t ef, struct hnsw_stops *stops)
{
	uint32_t total = level ? h->head.upper : h->head.nodes,
		 links = level ? h->head.m : h->head.m0;
	uint32_t fresh[2 * HNSW_MAX_M + 16], nodes_upper[HNSW_MAX_M];
	float d[2 * HNSW_MAX_M];
	uint64_t key[2 * HNSW_MAX_M];
	uint64_t *pool = s->pool;
	struct ahead ahead;
	uint32_t stray = 0;
	ahead.node = HNSW_NONE;
	visit_room(s, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		uint32_t first = pool_node(pool[i]);
		visit(s, &first, 1);
	}
	for (size_t at = 0;;) {
		const uint32_t *nodes = fresh;
		size_t n = 0, next = at + 1;
		if (at < count && pool[at] & 1) {
			at++;
			continue;
		}
		if (stops)
			reach_stops(stops, at, count);
		visit_room(s, links);
		if (at == count) {
			if (!level && count < ef)
				n = take_strays(h, s, &stray, fresh);
			if (n == 0)
				break;
			visit(s, fresh, n);
			next = at;
		} else {
			pool[at] |= 1;
			uint32_t node = pool_node(pool[at]);
			const uint32_t *row =
			    level ? hnsw_row_upper(h, node, level) : hnsw_row0(h, node);
			if (node == ahead.node && !level)
				n = s->kernels->unvisited(s->visited, ahead.linked, ahead.count,
							  total, fresh);
			else if (row)
				n = s->kernels->unvisited(s->visited, row, links, total, fresh);
			visit(s, fresh, n);
			if (level) {
				for (size_t j = 0; j < n; j++)
					nodes_upper[j] = h->upper_node[fresh[j]];
				nodes = nodes_upper;
			}
			for (size_t j = 0; j < n; j++)
				ask_for_node(h, nodes[j]);
			if (!level)
				look_ahead(h, s, at + 1, count, &ahead);
			s->hops++;
		}
		hnsw_distances(h, s, p, nodes, n, d);
		/* Those that a full pool has no use for go first, without a branch on each. */
		uint64_t bound = count == ef ? pool[ef - 1] : UINT64_MAX;
		size_t near = 0;
		for (size_t j = 0; j < n; j++) {
			key[near] = pool_key(d[j], fresh[j]);
			near += key[near] < bound;
		}
		for (size_t j = 0; j < near; j++) {
			if (count == ef && key[j] >= pool[ef - 1])
				continue;
			/* The last place is free, or what stands there has to go. */
			size_t last = count < ef ? count++ : ef - 1;
			size_t where = s->kernels->insert(pool, last, key[j]);
			if (stops && where < stops->lowest)
				stops->lowest = where;
			/* It is likely to be expanded, or looked at ahead of that. */
			if (!level)
				prefetch_links(h, pool_node(key[j]));
			if (where < next)
				next = where;
		}
		at = next;
	}
	if (stops)
		reach_stops(stops, SIZE_MAX, count);
	clear_visited(s, total);
	return count;
}

size_t hnsw_beam(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		 uint32_t level, size_t count, size_t ef)
{
	return beam(h, s, p, level, count, ef, NULL);
}

size_t hnsw_beam_stops(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       size_t count, struct hnsw_stops *stops)
{
	return beam(h, s, p, 0, count, stops->ef[stops->n - 1], stops);
}
