/* SPDX-License-Identifier: MIT */
/* Searching: one query, at one width or at many, or exactly; ranks, rows and ids of what is found. */
#include "hnsw/search_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define RERANK_FIRST 64 /* estimates looked at again at once, at first */
#define RERANK_NEXT 8	/* and then */
#define WAIT_NS 4000	/* rows on disk that take longer, on average, were not in memory */
#define ASK_SEARCHES 32 /* that follow such a one ask ahead */

/* The distance in the metric that a rank stands for. */
static float shown_distance(const struct hnsw *h, float rank)
{
	if (h->head.metric == VEC_IP)
		return 1 + rank;
	return h->head.metric == VEC_COSINE ? fminf(rank, 2) : rank;
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
		float rank = topk_distance(key);
		hits[n++] = (struct hnsw_hit){shown_distance(h, rank), rank, topk_number(key)};
	}
	return (int)n;
}

/* A table of the exact distances of this query, if there is one: node + 1 above the distance. */
static uint64_t *memo_slot(const struct hnsw_scratch *s, uint32_t node)
{
	size_t at = (node * (size_t)0x9e3779b1) & s->memo_mask;
	while (s->memo[at] && s->memo[at] >> 32 != node + 1)
		at = (at + 1) & s->memo_mask;
	return &s->memo[at];
}

static void exact_distances(const struct hnsw *h, struct hnsw_scratch *s,
			    const struct hnsw_point *p, const uint32_t *nodes, size_t count,
			    float *out)
{
	if (!s->memo) {
		hnsw_ask_for_vectors(h, nodes, count);
		hnsw_exact_distances(h, s, p, nodes, count, out);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t *slot = memo_slot(s, nodes[i]);
		uint32_t bits = (uint32_t)*slot;
		if (*slot) {
			memcpy(&out[i], &bits, sizeof bits);
			s->distances++;
			continue;
		}
		hnsw_exact_distances(h, s, p, &nodes[i], 1, &out[i]);
		memcpy(&bits, &out[i], sizeof bits);
		*slot = (uint64_t)(nodes[i] + 1) << 32 | bits;
	}
}

/*
 * Ask the disk at once for all that ranking will read, if the k-th estimate is right: then it
 * waits once and not for one row after the other.  Asking costs as much as a search does where
 * everything is in memory, so it is only done after one that had to wait.
 */
static void ask_disk(const struct hnsw *h, const struct hnsw_scratch *s, const struct hnsw_point *p,
		     size_t count, size_t k)
{
	float bound = topk_distance(s->pool[(k < count ? k : count) - 1]);
	uint64_t limit = pool_key(bound + h->codec->slack(h, p, bound), 0);
	for (size_t i = 0; i < count && s->pool[i] <= limit; i++)
		hnsw_ask_disk(h, pool_node(s->pool[i]), 1);
}

/*
 * Rank the pool's estimates by exact distances.  In order of the estimates, as many are looked at
 * as may belong to the nearest k: until one is so far beyond the k-th found that the error of a
 * code does not explain it.
 */
static size_t rerank(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		     size_t count, struct topk *top)
{
	uint32_t nodes[RERANK_FIRST];
	float d[RERANK_FIRST];
	size_t i = 0;
	uint64_t start = h->on_disk ? clock_mono_ns() : 0;
	if (s->ask_disk) {
		s->ask_disk--;
		ask_disk(h, s, p, count, top->k);
	}
	for (size_t n = 0; i < count; i += n) {
		size_t most = i ? RERANK_NEXT : top->k < RERANK_FIRST ? top->k : RERANK_FIRST;
		uint64_t limit = UINT64_MAX;
		if (top->count == top->k) {
			float bound = topk_distance(top->key[top->k - 1]);
			limit = pool_key(bound + h->codec->slack(h, p, bound), 0);
		}
		for (n = 0; n < most && i + n < count && s->pool[i + n] <= limit; n++)
			nodes[n] = pool_node(s->pool[i + n]);
		if (n == 0)
			break;
		exact_distances(h, s, p, nodes, n, d);
		for (size_t j = 0; j < n; j++)
			if (topk_key(d[j], 0) <= topk_bound(top))
				add_rows(h, top, d[j], nodes[j]);
	}
	if (h->on_disk && clock_mono_ns() - start > i * WAIT_NS)
		s->ask_disk = ASK_SEARCHES;
	return i;
}

/* The nearest rows of the first ${count} entries of the pool into ${top}; how many of them were
 * looked at for that. */
static size_t find_top(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       size_t count, struct topk *top)
{
	size_t i = 0;
	if (!p->exact)
		return rerank(h, s, p, count, top);
	for (; i < count && s->pool[i] >> 32 <= topk_bound(top) >> 32; i++)
		add_rows(h, top, topk_distance(s->pool[i]), pool_node(s->pool[i]));
	return i;
}

/* The width of the beam for one that was asked for. */
static size_t beam_width(const struct hnsw *h, size_t k, size_t ef)
{
	if (ef == 0)
		ef = h->head.ef_search;
	if (ef < k)
		ef = k;
	if (ef > h->head.nodes)
		ef = h->head.nodes;
	return ef < 2 ? 2 : ef; /* the pool starts with two entries */
}

/* Places that the pool of a beam needs. */
static size_t pool_room(const struct hnsw *h, size_t ef)
{
	size_t starts = (size_t)h->starts + 1;
	return ef > starts ? ef : starts;
}

int hnsw_search(const struct hnsw *h, const float *query, size_t k, size_t ef,
		struct hnsw_scratch *s, struct hnsw_hit *hits, struct err *err)
{
	struct hnsw_point p;
	ef = beam_width(h, k, ef);
	size_t room = pool_room(h, ef);
	if (hnsw_scratch_reserve(s, room + k, err) != 0)
		return -1;
	hnsw_point_query(h, s, query, &p);
	size_t count = hnsw_beam(h, s, &p, 0, hnsw_find_start(h, s, &p, h->starts, ef), ef);
	struct topk top = {.key = s->pool + room, .k = k};
	find_top(h, s, &p, count, &top);
	return finish(h, &top, hits);
}

/* ---- the whole curve ---- */

struct curve {
	struct hnsw_stops stops;
	const struct hnsw *h;
	struct hnsw_scratch *s;
	const struct hnsw_point *p;
	const struct hnsw_curve *to;
	struct topk top;
	size_t looked_at, width; /* of the stop before; whatever lies beyond does not matter */
	uint64_t extra;		 /* distances that other stops had computed */
	int n;
};

static void reached(struct hnsw_stops *stops, size_t count)
{
	struct curve *c = (struct curve *)stops;
	size_t ef = stops->ef[stops->next], here = ef < count ? ef : count;
	uint64_t before = c->s->distances;
	bool same = stops->next > 0 && c->looked_at < c->width && stops->lowest > c->looked_at;
	if (!same) {
		c->top.count = 0;
		c->looked_at = find_top(c->h, c->s, c->p, here, &c->top);
		c->n = finish(c->h, &c->top, c->to->hits);
	} else if (!c->p->exact) {
		c->s->distances += c->looked_at;
	}
	c->width = here;
	c->to->point(c->to->ctx, stops->next, c->n, c->s->distances - c->extra, same);
	c->extra += c->s->distances - before;
}

static int make_memo(struct hnsw_scratch *s, size_t ef, struct err *err)
{
	size_t slots = 64;
	while (slots < 4 * ef)
		slots *= 2;
	s->memo = mem_zeroed(slots, sizeof *s->memo, err);
	s->memo_mask = slots - 1;
	return s->memo ? 0 : -1;
}

int hnsw_search_curve(const struct hnsw *h, const float *query, size_t k, const uint32_t *ef,
		      size_t n, struct hnsw_scratch *s, const struct hnsw_curve *to,
		      struct err *err)
{
	struct hnsw_point p;
	size_t widest = beam_width(h, k, ef[n - 1]), room = pool_room(h, widest);
	size_t *width = mem_array(n, sizeof *width, err);
	if (!width || hnsw_scratch_reserve(s, room + k, err) != 0) {
		free(width);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		width[i] = beam_width(h, k, ef[i]);
	hnsw_point_query(h, s, query, &p);
	if (!p.exact && make_memo(s, widest, err) != 0) {
		free(width);
		return -1;
	}
	uint64_t before = s->distances;
	struct curve c = {.stops = {.ef = width, .n = n, .lowest = SIZE_MAX, .reached = reached},
			  .h = h,
			  .s = s,
			  .p = &p,
			  .to = to,
			  .top = {.key = s->pool + room, .k = k},
			  .extra = before};
	hnsw_beam_stops(h, s, &p, hnsw_find_start(h, s, &p, h->starts, widest), &c.stops);
	free(width);
	free(s->memo);
	s->memo = NULL;
	return 0;
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
		if (h->on_disk)
			hnsw_ask_disk(h, nodes[0], n);
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

float hnsw_node_rank(const struct hnsw *h, const float *query, uint32_t node,
		     struct hnsw_scratch *s)
{
	float d;
	struct hnsw_point p;
	hnsw_point_query(h, s, query, &p);
	(p.exact ? hnsw_distances : hnsw_exact_distances)(h, s, &p, &node, 1, &d);
	return d;
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
