/* SPDX-License-Identifier: MIT */
/*
 * Layer 0 in bulk.  The first nodes are inserted one by one, as ever: they give the long links.
 * For all others the candidates for their links are found together, without searching: nodes are
 * divided into overlapping leaves, all distances within a leaf are computed, and each member keeps
 * the nearest diverse ones of each of its leaves.  Among those of all its leaves Algorithm 4
 * chooses as for an insertion, and links back are merged as ever.  (After PiPNN, arXiv:2602.21247,
 * which makes whole graphs so.)
 *
 * Such graphs are as good as those of beams, or better, where the leaves of a node hold most of
 * its nearest ones, and bad where they do not: uniform data, or a great intrinsic dimension.  They
 * are bad, too, where rows lie in clumps far from each other, as many to a clump as to a leaf: then
 * all leaves of a node are its clump, and few links leave it; and where there are hubs, which are
 * among the nearest of many, as in sparse data.  So all this is tried first, for some nodes whose
 * nearest ones are computed.
 */
#include "hnsw/bulk_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MIN 8192	/* fewer are inserted in no time */
#define DIM_MIN 256	/* distances of fewer dimensions take less time than sorting them */
#define DIM_MAX 4096	/* a leaf of more would not fit into the cache */
#define EF_MIN 16	/* what is narrower is to be hasty, what is wider thorough, at any price */
#define EF_MAX 256
#define FIRST_SHARE 8	/* the part of the nodes that is inserted; twice as many from EF_FINE on */
#define EF_FINE 128
#define FAN_LEAST 4	/* leaves a node is in */
#define NEAR_LEAST 16	/* nearest of a leaf that are looked at */
#define NEAR_MAX 128
#define SLICE 64	/* leaves between two calls of progress() */
#define TRIAL_NODES 60	/* in groups of DIST_TILE */
#define TRIAL_NEAR 10
#define TRIAL_BLOCK 64
#define TRIAL_SHARE 0.8
/* In a clump: so much nearer are the nearest, in squared distance, than nodes are on average. */
#define CLUMP 0.01
#define CLUMP_SHARE 0.1 /* of the trial nodes may be in clumps */
#define HUB 5		/* trial nodes that a hub is among the nearest of */

struct bulk {
	struct build *b;
	uint32_t first; /* of the nodes that are linked in bulk */
	uint32_t part;	/* candidates of one leaf: this part of a node's row */
	uint32_t near;
	struct hnsw_leaves leaves;
	size_t slice; /* of leaves: where it begins */
	struct bulk_worker {
		struct mem_block wide; /* of a leaf */
		float *dist;	       /* members x members */
		uint64_t *key;
	} * worker; /* one a thread */
};

/* ---- candidates of a leaf ---- */

/* The ${k}-th least, from 0 on, of ${n} numbers, which change places. */
static float select_float(float *v, size_t n, size_t k)
{
	size_t lo = 0, hi = n - 1;
	while (lo < hi) {
		float pivot = v[lo + (hi - lo) / 2];
		size_t i = lo, j = hi;
		for (;; i++, j--) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			float swap = v[i];
			v[i] = v[j];
			v[j] = swap;
		}
		/* What stands up to j does not exceed what follows (Hoare's partition). */
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
	return v[k];
}

/* A number that at least ${near} of ${count} distances do not exceed, and not many more. */
static float bound_of(const float *dist, size_t count, size_t near)
{
	float least[2 * NEAR_MAX];
	size_t groups = 2 * near, i = groups;
	if (count <= groups)
		return INFINITY;
	memcpy(least, dist, groups * sizeof *least);
	for (; i + groups <= count; i += groups)
		for (size_t j = 0; j < groups; j++)
			least[j] = dist[i + j] < least[j] ? dist[i + j] : least[j];
	for (size_t j = 0; i + j < count; j++)
		least[j] = dist[i + j] < least[j] ? dist[i + j] : least[j];
	return select_float(least, groups, near - 1);
}

/* The ${near} nearest of ${count} distances, as sorted keys; how many. */
static size_t nearest(const float *dist, size_t count, size_t near, uint64_t *key)
{
	float bound = bound_of(dist, count, near);
	size_t n = 0;
	for (size_t j = 0; j < count; j++) {
		key[n] = topk_key(dist[j], (uint32_t)j);
		n += dist[j] <= bound;
	}
	hnsw_sort_keys(key, n);
	return n < near ? n : near;
}

/*
 * Of the leaf's other members the nearest diverse ones, by Algorithm 4, become candidates of member
 * ${i}.  The distances between them are at hand.
 */
static void pick_candidates(const struct bulk *u, struct bulk_worker *w, const uint32_t *member,
			    size_t count, size_t i, uint32_t rank)
{
	const struct layer *l = &u->b->base;
	const float *dist = w->dist + i * count;
	size_t at = (size_t)member[i] * l->stride + rank * u->part, kept = 0;
	size_t near = nearest(dist, count, u->near, w->key);
	uint32_t place[NEAR_MAX];
	for (size_t x = 0; x < near && kept < u->part; x++) {
		const float *other = w->dist + topk_number(w->key[x]) * count;
		float d = topk_distance(w->key[x]);
		bool good = topk_number(w->key[x]) != i;
		for (size_t y = 0; good && y < kept; y++)
			good = !(other[place[y]] < d);
		if (!good)
			continue;
		place[kept] = topk_number(w->key[x]);
		l->links[at + kept] = member[place[kept]];
		l->dist[at + kept++] = d;
	}
	if (kept < u->part)
		l->links[at + kept] = HNSW_NONE;
}

static void search_leaves(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct bulk *u = ctx;
	struct hnsw_scratch *s = &u->b->scratch[thread];
	struct bulk_worker *w = &u->worker[thread];
	for (uint64_t i = begin; i < end; i++) {
		size_t count, first = hnsw_leaf(&u->leaves, u->slice + i, &count);
		struct hnsw_some some = {u->leaves.member + first, count, w->wide.p};
		hnsw_widen(u->b->h, s->kernels, some.node, count, w->wide.p);
		hnsw_mutual_distances(u->b->h, s, &some, w->dist);
		for (size_t j = 0; j < count; j++)
			w->dist[j * count + j] = INFINITY;
		for (size_t j = 0; j < count; j++)
			if (some.node[j] >= u->first)
				pick_candidates(u, w, some.node, count, j,
						u->leaves.rank[first + j]);
	}
}

/* ---- links of a node ---- */

/* The candidates of all leaves of a node, in order, each once, into the pool. */
static size_t gather(const struct bulk *u, struct hnsw_scratch *s, uint32_t node)
{
	const struct layer *l = &u->b->base;
	size_t at = (size_t)node * l->stride, n = 0, kept = 0;
	for (uint32_t rank = 0; rank < u->leaves.fan; rank++, at += u->part)
		for (uint32_t i = 0; i < u->part && l->links[at + i] != HNSW_NONE; i++)
			s->pool[n++] = pool_key(l->dist[at + i], l->links[at + i]);
	hnsw_sort_keys(s->pool, n);
	for (size_t i = 0; i < n; i++)
		if (!kept || s->pool[i] != s->pool[kept - 1])
			s->pool[kept++] = s->pool[i];
	return kept;
}

/* For a node that is alone in all its leaves: what a beam finds among those inserted before. */
static size_t search_first(const struct bulk *u, struct hnsw_scratch *s, uint32_t node)
{
	const struct hnsw *h = u->b->h;
	struct hnsw_point p;
	uint32_t start = 0;
	float d;
	hnsw_point_node(h, s, node, 0, &p);
	hnsw_distances(h, s, &p, &start, 1, &d);
	s->pool[0] = pool_key(d, start);
	return hnsw_beam(h, s, &p, 0, 1, h->head.ef_construction);
}

static void link_nodes(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	const struct bulk *u = ctx;
	struct hnsw_scratch *s = &u->b->scratch[thread];
	for (uint64_t i = begin; i < end; i++) {
		uint32_t node = u->first + (uint32_t)i;
		size_t count = gather(u, s, node);
		if (!count)
			count = search_first(u, s, node);
		hnsw_link_node(u->b, s, 0, node, count);
	}
}

/* ---- whether leaves are good ---- */

struct trial {
	const struct bulk *u;
	uint64_t near[TRIAL_NODES][TRIAL_NEAR]; /* of each trial node, as keys */
	double sum[TRIAL_NODES];		/* of its distances to all nodes */
	struct mem_block wide;			/* a thread: what find_nearest() compares */
};

static uint32_t trial_node(const struct trial *t, uint64_t i)
{
	return (uint32_t)((uint64_t)t->u->b->h->head.nodes * i / TRIAL_NODES);
}

/* Compare some trial nodes with a block of nodes that begins at ${first}. */
static void compare_block(struct trial *t, struct hnsw_scratch *s, const struct hnsw_some *from,
			  uint32_t first, int16_t *wide, struct topk *top, double *sum)
{
	const struct hnsw *h = t->u->b->h;
	uint32_t node[TRIAL_BLOCK], left = h->head.nodes - first;
	struct hnsw_some to = {node, left < TRIAL_BLOCK ? left : TRIAL_BLOCK, wide};
	float d[DIST_TILE * TRIAL_BLOCK];
	for (uint32_t j = 0; j < to.count; j++)
		node[j] = first + j;
	hnsw_widen(h, s->kernels, node, to.count, wide);
	hnsw_many_distances(h, s, from, &to, d, TRIAL_BLOCK);
	for (size_t i = 0; i < from->count; i++)
		for (size_t j = 0; j < to.count; j++)
			if (node[j] != from->node[i]) {
				topk_add(&top[i], topk_key(d[i * TRIAL_BLOCK + j], node[j]));
				sum[i] += (double)d[i * TRIAL_BLOCK + j];
			}
}

/* The nearest of up to DIST_TILE trial nodes, which all others pass by together. */
static void find_nearest(void *ctx, uint64_t begin, uint64_t end, int thread)
{
	struct trial *t = ctx;
	const struct hnsw *h = t->u->b->h;
	struct hnsw_scratch *s = &t->u->b->scratch[thread];
	size_t dim = hnsw_wide_dim(h);
	int16_t *wide = (int16_t *)t->wide.p + (size_t)thread * (DIST_TILE + TRIAL_BLOCK) * dim;
	uint32_t self[DIST_TILE];
	struct topk top[DIST_TILE];
	struct hnsw_some from = {self, end - begin, wide};
	for (size_t i = 0; i < from.count; i++) {
		self[i] = trial_node(t, begin + i);
		top[i] = (struct topk){t->near[begin + i], 0, TRIAL_NEAR};
	}
	hnsw_widen(h, s->kernels, self, from.count, wide);
	for (uint32_t at = 0; at < h->head.nodes; at += TRIAL_BLOCK)
		compare_block(t, s, &from, at, wide + DIST_TILE * dim, top, t->sum + begin);
}

/* Whether two nodes have a leader in common. */
static bool meet(const uint32_t *a, const uint32_t *b, uint32_t fan)
{
	for (uint32_t i = 0; i < fan; i++)
		for (uint32_t j = 0; j < fan; j++)
			if (a[i] == b[j])
				return true;
	return false;
}

/* Of how many of the nearest a trial node shares a leader, all in all. */
static int count_meetings(const struct trial *t, uint32_t *met, struct err *err)
{
	uint32_t fan = t->u->leaves.fan, each = 1 + TRIAL_NEAR, n = 0;
	uint32_t *node = mem_array(TRIAL_NODES * each, sizeof *node, err);
	uint32_t *leader = mem_array(TRIAL_NODES * each, fan * sizeof *leader, err);
	int ret = -1;
	*met = 0;
	if (!node || !leader)
		goto out;
	for (uint32_t i = 0; i < TRIAL_NODES; i++) {
		node[n++] = trial_node(t, i);
		for (int j = 0; j < TRIAL_NEAR; j++)
			node[n++] = topk_number(t->near[i][j]);
	}
	if (hnsw_find_leaders(t->u->b, &t->u->leaves, node, n, leader, err) != 0)
		goto out;
	for (uint32_t i = 0; i < n; i++)
		*met += i % each && meet(leader + i * fan, leader + (i - i % each) * fan, fan);
	ret = 0;
out:
	free(node);
	free(leader);
	return ret;
}

/* How many trial nodes are in clumps. */
static uint32_t count_clumped(const struct trial *t)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < TRIAL_NODES; i++)
		n += (double)topk_distance(t->near[i][TRIAL_NEAR - 1]) <
		     CLUMP * t->sum[i] / t->u->b->h->head.nodes;
	return n;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Whether a node is among the nearest of so many trial nodes that it is a hub. */
static bool has_hub(const struct trial *t)
{
	uint32_t node[TRIAL_NODES * TRIAL_NEAR], n = 0;
	for (uint32_t i = 0; i < TRIAL_NODES; i++)
		for (uint32_t j = 0; j < TRIAL_NEAR; j++)
			node[n++] = topk_number(t->near[i][j]);
	qsort(node, n, sizeof *node, by_number);
	for (uint32_t i = HUB - 1; i < n; i++)
		if (node[i] == node[i - (HUB - 1)])
			return true;
	return false;
}

static int try_leaves(const struct bulk *u, bool *good, struct err *err)
{
	struct trial t = {.u = u};
	size_t rows = (size_t)par_threads(u->b->par) * (DIST_TILE + TRIAL_BLOCK);
	uint32_t met = 0;
	int ret = -1;
	if (mem_block_alloc(&t.wide, rows * hnsw_wide_dim(u->b->h) * sizeof(int16_t), err) == 0) {
		par_run(u->b->par, TRIAL_NODES, DIST_TILE, find_nearest, &t);
		ret = count_meetings(&t, &met, err);
	}
	*good = ret == 0 && met >= TRIAL_SHARE * TRIAL_NODES * TRIAL_NEAR &&
		count_clumped(&t) <= CLUMP_SHARE * TRIAL_NODES && !has_hub(&t);
	mem_block_release(&t.wide);
	return ret;
}

/* ---- the whole ---- */

/*
 * How many leaves, and how large: ${ef_construction} decides how many distances a node is worth.
 * They grow faster than it, as nearest ones are the rarer the more there are already.
 */
static void choose_size(struct bulk *u)
{
	const struct hnsw_head *d = &u->b->h->head;
	uint32_t ef = d->ef_construction, fan = 2 + ef / 20;
	uint32_t most = d->stride0 / 4 < HNSW_FAN_MAX ? d->stride0 / 4 : HNSW_FAN_MAX;
	fan = fan < most ? fan : most;
	fan = fan > FAN_LEAST ? fan : FAN_LEAST;
	u->leaves.fan = fan;
	u->leaves.size = ef * (8 + ef / 7) / fan;
	u->part = d->stride0 / fan;
	u->near = 3 * u->part < NEAR_LEAST ? NEAR_LEAST : 3 * u->part;
	u->near = u->near < NEAR_MAX ? u->near : NEAR_MAX;
}

uint32_t hnsw_bulk_first(const struct hnsw *h, const struct hnsw_build_opts *opts)
{
	const struct hnsw_head *d = &h->head;
	bool may = !h->older && !opts->n_rungs && d->metric != VEC_IP &&
		   !(d->flags & HNSW_KEEP_PRUNED) && d->nodes >= NODES_MIN &&
		   d->nodes <= UINT32_MAX / HNSW_FAN_MAX && d->dim >= DIM_MIN && d->dim <= DIM_MAX &&
		   d->ef_construction >= EF_MIN && d->ef_construction <= EF_MAX;
	if (!may)
		return d->nodes;
	return d->nodes / FIRST_SHARE * (d->ef_construction < EF_FINE ? 1 : 2);
}

static int make_workers(struct bulk *u, struct err *err)
{
	size_t most = hnsw_leaf_max(&u->leaves), dim = hnsw_wide_dim(u->b->h);
	int threads = par_threads(u->b->par);
	u->worker = mem_zeroed((size_t)threads, sizeof *u->worker, err);
	if (!u->worker)
		return -1;
	for (int t = 0; t < threads; t++) {
		struct bulk_worker *w = &u->worker[t];
		w->dist = mem_array(most, most * sizeof *w->dist, err);
		w->key = mem_array(most, sizeof *w->key, err);
		if (!w->dist || !w->key ||
		    mem_block_alloc(&w->wide, most * dim * sizeof(int16_t), err) != 0)
			return -1;
	}
	return 0;
}

static void bulk_release(struct bulk *u)
{
	for (int t = 0; u->worker && t < par_threads(u->b->par); t++) {
		mem_block_release(&u->worker[t].wide);
		free(u->worker[t].dist);
		free(u->worker[t].key);
	}
	free(u->worker);
	hnsw_leaves_release(&u->leaves);
}

static int search_all_leaves(struct bulk *u, const struct hnsw_build_opts *opts, struct err *err)
{
	uint32_t nodes = u->b->h->head.nodes;
	for (; u->slice < u->leaves.count; u->slice += SLICE) {
		size_t left = u->leaves.count - u->slice;
		uint64_t done = u->first + (nodes - u->first) * (uint64_t)u->slice / u->leaves.count;
		if (opts->progress && opts->progress(opts->ctx, done, nodes))
			return err_set(err, ERR_TEMP, "build was interrupted");
		par_run(u->b->par, left < SLICE ? left : SLICE, 1, search_leaves, u);
	}
	return 0;
}

int hnsw_bulk(struct build *b, const struct hnsw_build_opts *opts, struct err *err)
{
	struct bulk u = {.b = b, .first = b->done};
	bool good = false;
	int ret = -1;
	choose_size(&u);
	if (try_leaves(&u, &good, err) != 0)
		goto out;
	if (!good) {
		ret = 0;
		goto out;
	}
	if (hnsw_make_leaves(b, &u.leaves, err) != 0 || make_workers(&u, err) != 0 ||
	    search_all_leaves(&u, opts, err) != 0)
		goto out;
	b->bulk = true;
	par_run(b->par, b->h->head.nodes - u.first, 64, link_nodes, &u);
	hnsw_link_back_all(b, u.first);
	ret = 0;
out:
	bulk_release(&u);
	return ret;
}
