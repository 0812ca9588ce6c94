/* SPDX-License-Identifier: MIT */
#include "hnsw/graph_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOUCHED_MAX 8192 /* beyond that, clearing all bits is as cheap */
#define AHEAD 8		 /* rows whose memory is asked for before they are looked at */
#define RERANK_FIRST 64	 /* estimates looked at again at once, at first */
#define RERANK_NEXT 8	 /* and then */

int hnsw_scratch_init(struct hnsw_scratch *s, const struct hnsw *h,
		      const struct dist_kernels *kernels, struct err *err)
{
	size_t words = (h->head.nodes + 63u) / 64 + 1;
	*s = (struct hnsw_scratch){.kernels = kernels};
	s->visited = mem_zeroed(words, sizeof *s->visited, err);
	s->touched = mem_array(TOUCHED_MAX, sizeof *s->touched, err);
	/* Aligned rows make aligned loads. */
	size_t floats = h->head.stride * sizeof *s->query, codes = h->head.code_stride;
	s->query = aligned_alloc(64, 2 * floats + 2 * codes);
	s->bytes = words * 8 + TOUCHED_MAX * sizeof *s->touched + 2 * floats + 2 * codes;
	if (s->query) {
		s->row = s->query + h->head.stride;
		s->code[0] = (int8_t *)(s->row + h->head.stride);
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

static inline bool was_visited(const uint64_t *visited, uint32_t n)
{
	return visited[n >> 6] >> (n & 63) & 1;
}

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
	if (s->n_touched + more > TOUCHED_MAX) {
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

/* Ask for every line, into the second-level cache: more of those requests can be under way at
 * once than of ones for the first level. */
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
		ask_for(h->vectors + (size_t)node * h->head.stride, h->head.dim * sizeof(float));
		return;
	}
	__builtin_prefetch(h->norms + node, 0, 2);
	ask_for(hnsw_code(h, node), h->head.code_stride);
}

static inline __attribute__((always_inline)) void prefetch_links(const struct hnsw *h, uint32_t node)
{
	ask_for(hnsw_row0(h, node), h->head.stride0 * sizeof(uint32_t));
}

uint32_t hnsw_entry_node(const struct hnsw *h)
{
	return h->head.upper ? h->upper_node[h->head.entry] : 0;
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

/* Insert into the sorted pool; the caller knows that it belongs there.  Returns where. */
static inline size_t pool_insert(uint64_t *pool, size_t *count, size_t ef, uint64_t key)
{
	size_t lo = 0;
	/* No branch on where it belongs, which cannot be foretold. */
	for (size_t n = *count; n > 0;) {
		size_t half = (n + 1) / 2;
		lo += pool[lo + half - 1] < key ? half : 0;
		n -= half;
	}
	if (*count < ef)
		(*count)++;
	memmove(pool + lo + 1, pool + lo, (*count - 1 - lo) * sizeof *pool);
	pool[lo] = key;
	return lo;
}

/*
 * Ask for what the next expansion will need, if nothing nearer is found by this one: the nodes
 * that the next unexpanded entry links to, and the links of the one after it.  Even if something
 * nearer is found they will be needed, later: what is in the pool is expanded, sooner or later.
 */
static inline __attribute__((always_inline)) void look_ahead(const struct hnsw *h, const struct hnsw_scratch *s, size_t at,
			      size_t count)
{
	while (at < count && s->pool[at] & 1)
		at++;
	if (at >= count)
		return;
	const uint32_t *row = hnsw_row0(h, pool_node(s->pool[at]));
	for (uint32_t i = 0; i < h->head.m0 && row[i] < h->head.nodes; i++)
		if (!was_visited(s->visited, row[i]))
			ask_for_node(h, row[i]);
	while (++at < count && s->pool[at] & 1)
		;
	if (at < count)
		prefetch_links(h, pool_node(s->pool[at]));
}

size_t hnsw_beam(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		 uint32_t level, size_t count, size_t ef)
{
	uint32_t total = level ? h->head.upper : h->head.nodes,
		 room = level ? h->head.m : h->head.m0;
	uint32_t fresh[2 * HNSW_MAX_M], nodes_upper[HNSW_MAX_M];
	float d[2 * HNSW_MAX_M];
	uint64_t key[2 * HNSW_MAX_M];
	uint64_t *pool = s->pool;
	visit_room(s, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		uint32_t first = pool_node(pool[i]);
		visit(s, &first, 1);
	}
	for (size_t at = 0; at < count;) {
		if (pool[at] & 1) {
			at++;
			continue;
		}
		pool[at] |= 1;
		uint32_t node = pool_node(pool[at]);
		const uint32_t *row = level ? hnsw_row_upper(h, node, level) : hnsw_row0(h, node);
		const uint32_t *nodes = fresh;
		size_t n = 0;
		visit_room(s, room);
		/* The end mark is larger than any number, and so is whatever a damaged file has.
		 * Whether a node was visited is anyone's guess, so there is no branch on it. */
		for (uint32_t j = 0; row && j < room && row[j] < total; j++) {
			fresh[n] = row[j];
			n += !was_visited(s->visited, row[j]);
		}
		visit(s, fresh, n);
		if (level) {
			for (size_t j = 0; j < n; j++)
				nodes_upper[j] = h->upper_node[fresh[j]];
			nodes = nodes_upper;
		}
		for (size_t j = 0; j < n; j++)
			ask_for_node(h, nodes[j]);
		if (!level)
			look_ahead(h, s, at + 1, count);
		s->hops++;
		size_t next = at + 1;
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
			size_t where = pool_insert(pool, &count, ef, key[j]);
			if (where < next) {
				next = where;
				if (!level)
					prefetch_links(h, pool_node(key[j]));
			}
		}
		at = next;
	}
	clear_visited(s, total);
	return count;
}

static float shown_distance(const struct hnsw *h, float d)
{
	return h->head.metric == VEC_COSINE ? fminf(fmaxf(d, 0), 2) : d;
}

/* Add the rows of a node: its own and those of its duplicates. */
static void add_rows(const struct hnsw *h, struct topk *top, float distance, uint32_t node)
{
	uint32_t lo = 0, hi = h->head.dups;
	topk_add(top, topk_key(distance, h->node_row[node]));
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (h->dup_node[mid] < node)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < h->head.dups && h->dup_node[lo] == node; lo++) {
		uint64_t key = topk_key(distance, h->dup_row[lo]);
		if (key >= topk_bound(top))
			break;
		topk_add(top, key);
	}
}

static int finish(const struct hnsw *h, const struct topk *top, struct hnsw_hit *hits)
{
	size_t n = 0;
	for (size_t i = 0; i < top->count; i++) {
		uint64_t key = top->key[i];
		if (topk_number(key) >= h->head.rows)
			continue; /* only in a damaged file */
		hits[n++] =
		    (struct hnsw_hit){shown_distance(h, topk_distance(key)), topk_number(key)};
	}
	return (int)n;
}

/*
 * Rank the pool's estimates by exact distances.  In order of the estimates, as many are looked at
 * as may belong to the nearest k: until one is so far beyond the k-th found that the error of a
 * code does not explain it.
 */
static void rerank(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		   size_t count, struct topk *top)
{
	uint32_t nodes[RERANK_FIRST];
	float d[RERANK_FIRST];
	for (size_t i = 0, n = 0; i < count; i += n) {
		size_t most = i ? RERANK_NEXT : top->k < RERANK_FIRST ? top->k : RERANK_FIRST;
		uint64_t limit = UINT64_MAX;
		if (top->count == top->k) {
			float bound = topk_distance(top->key[top->k - 1]);
			limit = pool_key(bound + hnsw_slack(h, p, bound), 0);
		}
		for (n = 0; n < most && i + n < count && s->pool[i + n] <= limit; n++)
			nodes[n] = pool_node(s->pool[i + n]);
		if (n == 0)
			break;
		for (size_t j = 0; h->vectors && j < n; j++)
			ask_for(h->vectors + (size_t)nodes[j] * h->head.stride,
				h->head.stride * sizeof(float));
		hnsw_exact_distances(h, s, p, nodes, n, d);
		for (size_t j = 0; j < n; j++)
			if (topk_key(d[j], 0) <= topk_bound(top))
				add_rows(h, top, d[j], nodes[j]);
	}
}

int hnsw_search(const struct hnsw *h, const float *query, size_t k, size_t ef,
		struct hnsw_scratch *s, struct hnsw_hit *hits, struct err *err)
{
	if (ef == 0)
		ef = h->head.ef_search;
	if (ef < k)
		ef = k;
	if (ef > h->head.nodes)
		ef = h->head.nodes;
	if (ef < 2)
		ef = 2; /* the pool starts with two entries */
	if (hnsw_scratch_reserve(s, ef + k, err) != 0)
		return -1;
	struct hnsw_point p;
	hnsw_point_query(h, s, query, &p);
	size_t count = 0;
	if (h->head.upper) {
		uint64_t near = hnsw_descend(h, s, &p, 0);
		uint32_t node = h->upper_node[pool_node(near)], entry = hnsw_entry_node(h);
		s->pool[count++] = pool_key(topk_distance(near), node);
		/* Every node is reachable from the entry point, so a beam as wide as the index
		 * finds all; a narrower one drops it at once. */
		if (entry != node) {
			float d;
			hnsw_distances(h, s, &p, &entry, 1, &d);
			uint64_t key = pool_key(d, entry);
			s->pool[count++] = key;
			if (key < s->pool[0]) {
				s->pool[1] = s->pool[0];
				s->pool[0] = key;
			}
		}
	} else {
		uint32_t first = 0;
		float d;
		hnsw_distances(h, s, &p, &first, 1, &d);
		s->pool[count++] = pool_key(d, first);
	}
	count = hnsw_beam(h, s, &p, 0, count, ef);
	struct topk top = {.key = s->pool + ef, .k = k};
	if (p.exact) {
		for (size_t i = 0; i < count && s->pool[i] >> 32 <= topk_bound(&top) >> 32; i++)
			add_rows(h, &top, topk_distance(s->pool[i]), pool_node(s->pool[i]));
	} else {
		rerank(h, s, &p, count, &top);
	}
	return finish(h, &top, hits);
}

int hnsw_search_exact(const struct hnsw *h, const float *query, size_t k, struct hnsw_scratch *s,
		      struct hnsw_hit *hits, struct err *err)
{
	uint32_t nodes[64];
	float d[64];
	if (hnsw_scratch_reserve(s, k, err) != 0)
		return -1;
	struct hnsw_point p;
	hnsw_point_query(h, s, query, &p);
	struct topk top = {.key = s->pool, .k = k};
	for (uint32_t i = 0; i < h->head.nodes;) {
		uint32_t n = 0;
		while (n < 64 && i < h->head.nodes)
			nodes[n++] = i++;
		(p.exact ? hnsw_distances : hnsw_exact_distances)(h, s, &p, nodes, n, d);
		for (uint32_t j = 0; j < n; j++)
			if (topk_key(d[j], 0) < topk_bound(&top))
				add_rows(h, &top, d[j], nodes[j]);
	}
	return finish(h, &top, hits);
}

void hnsw_row_nodes(const struct hnsw *h, uint32_t *out)
{
	memset(out, 0, h->head.rows * sizeof *out);
	for (uint32_t i = 0; i < h->head.nodes; i++)
		if (h->node_row[i] < h->head.rows)
			out[h->node_row[i]] = i;
	for (uint32_t i = 0; i < h->head.dups; i++)
		if (h->dup_row[i] < h->head.rows)
			out[h->dup_row[i]] = h->dup_node[i];
}

float hnsw_node_distance(const struct hnsw *h, const float *query, uint32_t node,
			 struct hnsw_scratch *s)
{
	float d;
	struct hnsw_point p;
	hnsw_point_query(h, s, query, &p);
	(p.exact ? hnsw_distances : hnsw_exact_distances)(h, s, &p, &node, 1, &d);
	return shown_distance(h, d);
}

struct span hnsw_id(const struct hnsw *h, uint32_t row, char tmp[static VEC_ID_TEXT_MAX])
{
	if (!h->id_end) {
		struct vec_set numbers = VEC_SET_INIT;
		return vec_set_id(&numbers, row, tmp);
	}
	uint64_t from = row ? h->id_end[row - 1] : 0, to = h->id_end[row];
	if (from > to || to > h->id_text_bytes)
		return (struct span){"", 0}; /* only in a damaged file */
	return (struct span){h->id_text + from, to - from};
}
