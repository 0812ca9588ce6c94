/* SPDX-License-Identifier: MIT */
/* Where searches of layer 0 start, and how many starts pay. */
#include "hnsw/search_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/*
 * Where the nearest node of layer 1 lies in another cluster than the answers, a search has to find
 * its way there; from several nodes it finds it sooner.  Elsewhere they cost distances and gain
 * nothing.  So a trial on the finished graph, with some of its nodes as queries, counts the
 * distances that each number of starts needs to reach the same recalls.
 */
static const uint32_t starts[] = {1, 3, 5};
static const size_t widths[] = {10, 13, 16, 20, 25, 32, 40, 60};
static const uint32_t recalls[] = {980, 990, 995}; /* in thousandths */

#define N_STARTS (sizeof starts / sizeof *starts)
#define N_WIDTHS (sizeof widths / sizeof *widths)
#define N_RECALLS (sizeof recalls / sizeof *recalls)
#define NEAR 10
#define ROUND 64	/* queries; rounds go on until the trial has cost */
#define NODE_COST 6	/* distances a node: a build computes some hundreds */
#define MIN_NODES 10000 /* fewer get one start */
#define MAX_ROUNDS 64
#define MIN_GAIN 1.06 /* at each recall, on average: what fewer queries cannot tell from chance */

size_t hnsw_find_start(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *p,
		       uint32_t count, size_t ef)
{
	uint32_t entry = hnsw_entry_node(h);
	uint64_t *pool = s->pool, last;
	size_t found = 0, at = 0;
	float d;
	hnsw_distances(h, s, p, &entry, 1, &d);
	last = pool_key(d, entry);
	if (h->head.upper) {
		pool[0] = hnsw_descend(h, s, p, count > 1 ? 1 : 0);
		found = count > 1 ? hnsw_beam(h, s, p, 1, 1, count) : 1;
	}
	for (size_t i = 0; i < found; i++) {
		uint32_t node = h->upper_node[pool_node(pool[i])];
		if (node != entry)
			pool[at++] = pool_key(topk_distance(pool[i]), node);
	}
	/* Every node is reachable from the entry point, so a beam as wide as the index
	 * finds all; a narrower one drops it at once. */
	for (found = at + 1; at && pool[at - 1] > last; at--)
		pool[at] = pool[at - 1];
	pool[at] = last;
	return found < ef ? found : ef;
}

/* ---- the trial ---- */

/* Of one query, by numbers of starts and widths: how many of the nearest a beam found, and the
 * distances it computed; later the sums of all queries. */
struct tried {
	uint64_t found[N_STARTS][N_WIDTHS], distances[N_STARTS][N_WIDTHS];
};

struct trial {
	const struct hnsw *h;
	struct hnsw_scratch *scratch; /* one a thread */
	uint64_t round;
	struct tried *tried; /* one a query of the round */
};

/* A beam that keeps the nearest at each of the widths. */
struct watch {
	struct hnsw_stops stops;
	const struct hnsw_scratch *s;
	uint64_t before, near[N_WIDTHS][NEAR], *distances;
	size_t count[N_WIDTHS];
};

static void keep_nearest(struct hnsw_stops *stops, size_t count)
{
	struct watch *w = (struct watch *)stops;
	size_t i = stops->next, n = count < NEAR ? count : NEAR;
	memcpy(w->near[i], w->s->pool, n * sizeof *w->s->pool);
	w->count[i] = n;
	w->distances[i] = w->s->distances - w->before;
}

static bool holds(const uint64_t *key, size_t count, uint64_t node)
{
	for (size_t i = 0; i < count; i++)
		if (pool_node(key[i]) == pool_node(node))
			return true;
	return false;
}

/* The nearest that any of the widest beams found stand for the true ones. */
static void count_found(const struct watch *all, struct tried *t)
{
	uint64_t key[NEAR];
	struct topk best = {key, 0, NEAR};
	for (size_t a = 0; a < N_STARTS; a++)
		for (size_t i = 0; i < all[a].count[N_WIDTHS - 1]; i++)
			if (!holds(key, best.count, all[a].near[N_WIDTHS - 1][i]))
				topk_add(&best, all[a].near[N_WIDTHS - 1][i] & ~(uint64_t)1);
	for (size_t a = 0; a < N_STARTS; a++)
		for (size_t w = 0; w < N_WIDTHS; w++)
			for (size_t i = 0; i < best.count; i++)
				t->found[a][w] += holds(all[a].near[w], all[a].count[w], key[i]);
}

static void try_queries(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct trial *t = ctx;
	const struct hnsw *h = t->h;
	struct hnsw_scratch *s = &t->scratch[thread];
	for (uint64_t q = begin; q < end; q++) {
		struct watch w[N_STARTS];
		struct hnsw_point p;
		uint64_t node = rng_hash(h->head.seed, t->round * ROUND + q) % h->head.nodes;
		hnsw_point_node(h, s, (uint32_t)node, 0, &p);
		for (size_t a = 0; a < N_STARTS; a++) {
			w[a].stops = (struct hnsw_stops){.ef = widths,
							 .n = N_WIDTHS,
							 .lowest = SIZE_MAX,
							 .reached = keep_nearest};
			w[a].s = s;
			w[a].before = s->distances;
			w[a].distances = t->tried[q].distances[a];
			size_t count = hnsw_find_start(h, s, &p, starts[a], widths[N_WIDTHS - 1]);
			hnsw_beam_stops(h, s, &p, count, &w[a].stops);
		}
		count_found(w, &t->tried[q]);
	}
}

/* Distances at which ${recall} thousandths of ${all} are found, between two widths in proportion;
 * those of the widest beam if it finds fewer. */
static double cost(const uint64_t *found, const uint64_t *distances, uint64_t all, uint32_t recall)
{
	double want = (double)all * recall / 1000;
	size_t w = 0;
	while (w < N_WIDTHS - 1 && (double)found[w] < want)
		w++;
	if (w == 0 || (double)found[w] < want)
		return (double)distances[w];
	double part = (want - (double)found[w - 1]) / (double)(found[w] - found[w - 1]);
	return (double)distances[w - 1] + part * (double)(distances[w] - distances[w - 1]);
}

/* The number of starts with which searches cost least. */
static uint32_t best_starts(const struct tried *t, uint64_t all)
{
	double most = 1;
	uint32_t best = 1;
	for (size_t a = 1; a < N_STARTS; a++) {
		double gain = 1;
		for (size_t r = 0; r < N_RECALLS; r++)
			gain *= cost(t->found[0], t->distances[0], all, recalls[r]) /
				(MIN_GAIN * cost(t->found[a], t->distances[a], all, recalls[r]));
		if (gain > most) {
			most = gain;
			best = starts[a];
		}
	}
	return best;
}

/* Add the queries of a round. */
static void add_up(struct tried *sum, const struct trial *t)
{
	for (uint32_t q = 0; q < ROUND; q++)
		for (size_t a = 0; a < N_STARTS; a++)
			for (size_t w = 0; w < N_WIDTHS; w++) {
				sum->found[a][w] += t->tried[q].found[a][w];
				sum->distances[a][w] += t->tried[q].distances[a][w];
			}
}

static uint64_t cost_so_far(const struct tried *sum)
{
	uint64_t cost = 0;
	for (size_t a = 0; a < N_STARTS; a++)
		cost += sum->distances[a][N_WIDTHS - 1];
	return cost;
}

int hnsw_choose_starts(struct hnsw *h, struct hnsw_scratch *scratch, struct par *par,
		       struct err *err)
{
	uint32_t nodes = h->head.nodes;
	struct trial t = {.h = h, .scratch = scratch};
	struct tried sum = {0};
	if (h->older && h->older->head.nodes >= nodes / 2) {
		h->starts = h->older->starts;
		return 0;
	}
	h->starts = 1;
	/* By inner product queries are unlike the rows. */
	if (nodes < MIN_NODES || h->head.metric == VEC_IP || !h->head.upper)
		return 0;
	for (int i = 0; i < par_threads(par); i++)
		if (hnsw_scratch_reserve(&scratch[i], widths[N_WIDTHS - 1], err) != 0)
			return -1;
	t.tried = mem_array(ROUND, sizeof *t.tried, err);
	if (!t.tried)
		return -1;
	while (t.round < MAX_ROUNDS && cost_so_far(&sum) < (uint64_t)nodes * NODE_COST) {
		memset(t.tried, 0, ROUND * sizeof *t.tried);
		par_run(par, ROUND, 1, try_queries, &t);
		add_up(&sum, &t);
		t.round++;
	}
	h->starts = best_starts(&sum, (uint64_t)t.round * ROUND * NEAR);
	free(t.tried);
	return 0;
}
