/* SPDX-License-Identifier: MIT */
/*
 * No kind of vectors on which recall falls silently: on sets of many shapes, what storage auto
 * finds is compared with what floats find at the same beam width, and that with a plain HNSW made
 * word by word of Algorithms 1, 2 and 4 of Malkov and Yashunin (arXiv:1603.09320), which is slow
 * and obvious.  HNSW_TEST_RECALL_SEEDS: how many seeds (default 2).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/truth.h"
#include "hnsw/hnsw.h"
#include "tests/unit/set.h"
#include "tests/unit/tap.h"

enum { M = 16, EF_CONSTRUCTION = 80, EF = 40, K = 10, QUERIES = 100, LAYERS = 8 };
#define LOSS 0.01 /* of recall that is allowed */

/* ---- shapes ---- */

static double uniform(struct rng *r)
{
	return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

static double gauss(struct rng *r)
{
	double u = uniform(r);
	return sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform(r));
}

enum shape {
	GAUSS,
	UNIFORM,
	CLUSTERS,
	HUBS,
	LOGNORMAL,
	PARETO,
	EQUAL,
	FEW_VALUES,
	OUTLIERS,
	NEAR,
	SHORT,
	ONE_LARGE,
	ONE_NOT_ZERO,
	UNLIKE,
	TWO_ROWS,
	FEWER_THAN_M,
	ONE_DIMENSION,
	MANY_DIMENSIONS,
	SHAPES
};

static const struct {
	const char *name;
	uint32_t rows, dim;
} shapes[SHAPES] = {
    [GAUSS] = {"gauss", 1500, 16},
    [UNIFORM] = {"uniform", 1500, 8},
    [CLUSTERS] = {"tight clusters", 2000, 16},
    [HUBS] = {"a few large rows", 1500, 8},
    [LOGNORMAL] = {"lognormal norms", 1500, 32},
    [PARETO] = {"pareto norms", 1500, 16},
    [EQUAL] = {"equal rows", 300, 8},
    [FEW_VALUES] = {"few values", 1500, 4},
    [OUTLIERS] = {"outliers", 1500, 16},
    [NEAR] = {"near-equal rows", 1500, 16},
    [SHORT] = {"short vectors", 1500, 16},
    [ONE_LARGE] = {"one row 1e6 times the others", 1500, 16},
    [ONE_NOT_ZERO] = {"all rows zero but one", 300, 8},
    [UNLIKE] = {"queries unlike the rows", 1500, 16},
    [TWO_ROWS] = {"two rows", 2, 16},
    [FEWER_THAN_M] = {"fewer rows than m", 11, 16},
    [ONE_DIMENSION] = {"one dimension", 1500, 1},
    [MANY_DIMENSIONS] = {"1536 dimensions", 300, 1536},
};

static double component(enum shape shape, struct rng *r, uint32_t k, double scale,
			const double *centre, bool query)
{
	switch (shape) {
	case UNIFORM:
		return uniform(r);
	case CLUSTERS:
		return centre[k] + 0.003 * gauss(r);
	case HUBS:
		if (k > 0)
			return 0.3 * gauss(r);
		return query ? 0.5 + fabs(0.3 * gauss(r)) : exp(gauss(r));
	case EQUAL:
		return query ? gauss(r) : 1 + k;
	case FEW_VALUES:
		return floor(3 * uniform(r)) - 1;
	case NEAR:
		return centre[k] + 1e-4 * gauss(r);
	case UNLIKE:
		return query ? 100 * gauss(r) : gauss(r);
	default:
		return scale * gauss(r);
	}
}

/* The factor of a row. */
static double row_scale(enum shape shape, struct rng *r, uint32_t row, bool query)
{
	switch (shape) {
	case LOGNORMAL:
		return query ? 1 : exp(0.7 * gauss(r));
	case PARETO:
		return query ? 1 : 1 / uniform(r);
	case OUTLIERS:
		return !query && row % 300 == 7 ? 1000 : 1;
	case SHORT:
		return 1e-6;
	case ONE_LARGE:
		return !query && row == 77 ? 1e6 : 1;
	case ONE_NOT_ZERO:
		return query || row == 77 ? 1 : 0;
	default:
		return 1;
	}
}

static float *make_rows(enum shape shape, uint64_t seed, uint32_t rows, bool query)
{
	enum { CENTRES = 40 };
	uint32_t dim = shapes[shape].dim;
	struct rng r = {seed * 977 + shape}, own = {seed * 7919 + shape + (query ? 500009 : 0)};
	float *v = malloc((size_t)rows * dim * sizeof *v);
	double *centre = malloc((size_t)CENTRES * dim * sizeof *centre);
	for (uint32_t i = 0; i < CENTRES * dim; i++)
		centre[i] = gauss(&r);
	for (uint32_t i = 0; i < rows; i++) {
		double scale = row_scale(shape, &own, i, query);
		const double *c = centre + (size_t)(shape == NEAR ? 0 : i % CENTRES) * dim;
		for (uint32_t k = 0; k < dim; k++)
			v[(size_t)i * dim + k] =
			    (float)component(shape, &own, k, scale, c, query);
	}
	free(centre);
	return v;
}

/* ---- the plain HNSW ---- */

struct found {
	double d;
	uint32_t node;
};

struct plain {
	enum vec_metric metric;
	const float *v;
	uint32_t rows, dim, entry;
	int top;
	int *level;
	uint32_t (*link)[LAYERS][2 * M + 1]; /* the last one: how many */
	char *visited;
	struct found *candidate;
};

static double between(const struct plain *p, const float *q, uint32_t node)
{
	return truth_rank(p->metric, q, p->v + (size_t)node * p->dim, p->dim);
}

/* Put one among increasing ones; the last one falls out where there are ${room}. */
static void put(struct found *list, size_t *n, size_t room, struct found f)
{
	size_t at = *n < room ? (*n)++ : room - 1;
	for (; at && (list[at - 1].d > f.d || (list[at - 1].d == f.d && list[at - 1].node > f.node));
	     at--)
		list[at] = list[at - 1];
	list[at] = f;
}

/* Algorithm 2: ${w} has ${n} entries, and the ${ef} nearest then. */
static size_t search_layer(struct plain *p, const float *q, struct found *w, size_t n, size_t ef,
			   int layer)
{
	size_t count = 0;
	memset(p->visited, 0, p->rows);
	for (size_t i = 0; i < n; i++) {
		p->visited[w[i].node] = 1;
		put(p->candidate, &count, p->rows, w[i]);
	}
	while (count) {
		struct found c = p->candidate[0];
		memmove(p->candidate, p->candidate + 1, --count * sizeof c);
		if (c.d > w[n - 1].d)
			break;
		const uint32_t *link = p->link[c.node][layer];
		for (uint32_t i = 0; i < link[2 * M]; i++) {
			if (p->visited[link[i]])
				continue;
			p->visited[link[i]] = 1;
			struct found f = {between(p, q, link[i]), link[i]};
			if (n == ef && f.d >= w[n - 1].d)
				continue;
			put(p->candidate, &count, p->rows, f);
			put(w, &n, ef, f);
		}
	}
	return n;
}

/* Algorithm 4, without extending or keeping pruned ones. */
static size_t choose(struct plain *p, struct found *w, size_t n, size_t room)
{
	size_t kept = 0;
	if (n < room)
		return n;
	for (size_t i = 0; i < n && kept < room; i++) {
		bool good = true;
		for (size_t j = 0; j < kept && good; j++)
			good = !(between(p, p->v + (size_t)w[i].node * p->dim, w[j].node) < w[i].d);
		if (good)
			w[kept++] = w[i];
	}
	return kept;
}

static void link_to(struct plain *p, uint32_t from, uint32_t to, int layer)
{
	uint32_t *link = p->link[from][layer], room = layer ? M : 2 * M;
	struct found w[2 * M + 1];
	size_t n = 0;
	if (link[2 * M] < room) {
		link[link[2 * M]++] = to;
		return;
	}
	const float *base = p->v + (size_t)from * p->dim;
	for (uint32_t i = 0; i <= room; i++) {
		uint32_t node = i < room ? link[i] : to;
		put(w, &n, room + 1, (struct found){between(p, base, node), node});
	}
	n = choose(p, w, n, room);
	for (size_t i = 0; i < n; i++)
		link[i] = w[i].node;
	link[2 * M] = (uint32_t)n;
}

/* Algorithm 1. */
static void insert(struct plain *p, uint32_t node)
{
	struct found w[EF_CONSTRUCTION];
	const float *q = p->v + (size_t)node * p->dim;
	size_t n = 1;
	w[0] = (struct found){between(p, q, p->entry), p->entry};
	for (int layer = p->top; layer > p->level[node]; layer--)
		n = search_layer(p, q, w, n, 1, layer);
	for (int layer = p->top < p->level[node] ? p->top : p->level[node]; layer >= 0; layer--) {
		struct found near[EF_CONSTRUCTION];
		n = search_layer(p, q, w, n, EF_CONSTRUCTION, layer);
		memcpy(near, w, n * sizeof *w);
		size_t chosen = choose(p, near, n, M);
		for (size_t i = 0; i < chosen; i++) {
			link_to(p, node, near[i].node, layer);
			link_to(p, near[i].node, node, layer);
		}
	}
	if (p->level[node] > p->top) {
		p->top = p->level[node];
		p->entry = node;
	}
}

static void build_plain(struct plain *p, uint64_t seed)
{
	struct rng r = {seed};
	p->level = malloc(p->rows * sizeof *p->level);
	p->link = calloc(p->rows, sizeof *p->link);
	p->visited = malloc(p->rows);
	p->candidate = malloc((p->rows + 1) * sizeof *p->candidate);
	for (uint32_t i = 0; i < p->rows; i++) {
		int level = (int)(-log(uniform(&r)) / log(M));
		p->level[i] = level < LAYERS ? level : LAYERS - 1;
	}
	/* In an order that has nothing to do with where the odd rows are. */
	uint32_t *order = malloc(p->rows * sizeof *order);
	rng_permutation(seed, order, p->rows);
	p->entry = order[0];
	p->top = p->level[p->entry];
	for (uint32_t i = 1; i < p->rows; i++)
		insert(p, order[i]);
	free(order);
}

/* Algorithm 5. */
static size_t search_plain(struct plain *p, const float *q, struct found *w)
{
	size_t n = 1;
	w[0] = (struct found){between(p, q, p->entry), p->entry};
	for (int layer = p->top; layer > 0; layer--)
		n = search_layer(p, q, w, n, 1, layer);
	n = search_layer(p, q, w, n, EF, 0);
	return n < K ? n : K;
}

static void free_plain(struct plain *p)
{
	free(p->level);
	free(p->link);
	free(p->visited);
	free(p->candidate);
}

/* ---- how much is found ---- */

/* The rank of the last of the nearest. */
static double limit_of(enum vec_metric metric, const float *q, const float *v, uint32_t rows,
		       uint32_t dim)
{
	struct found w[K];
	size_t n = 0;
	for (uint32_t i = 0; i < rows; i++) {
		struct found f = {truth_rank(metric, q, v + (size_t)i * dim, dim), i};
		if (n < K || f.d < w[n - 1].d)
			put(w, &n, K, f);
	}
	return w[n - 1].d;
}

struct tally {
	double f32, automatic, plain, all;
	const char *storage;
};

static struct hnsw *build(const float *v, uint32_t rows, uint32_t dim, enum vec_metric metric,
			  enum hnsw_storage storage, uint64_t seed, struct par *par)
{
	struct err err = {0};
	struct hnsw_params p = HNSW_PARAMS_DEFAULT;
	struct hnsw_build_opts how = {.par = par, .kernels = dist_choose(NULL, &err)};
	p.metric = metric;
	p.storage = storage;
	p.seed = seed;
	struct hnsw *h = hnsw_build(set_of((float *)(uintptr_t)v, rows, dim), &p, &how, &err);
	if (!h)
		printf("# %s\n", err.msg);
	return h;
}

/* Answers as near as the true ones are, of all queries. */
static double found_by(const struct hnsw *h, enum vec_metric metric, const float *q, const float *v,
		       uint32_t dim, const double *limit)
{
	struct err err;
	struct hnsw_scratch s;
	struct hnsw_hit hits[K];
	double found = 0;
	if (!h || hnsw_check(h, &err) != 0 ||
	    hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0)
		return -1e9;
	for (uint32_t i = 0; i < QUERIES; i++) {
		const float *one = q + (size_t)i * dim;
		int n = hnsw_search(h, one, K, EF, &s, hits, &err);
		for (int j = 0; j < n; j++)
			found +=
			    truth_rank(metric, one, v + (size_t)hits[j].row * dim, dim) <= limit[i];
	}
	hnsw_scratch_release(&s);
	return found;
}

static void measure(enum shape shape, enum vec_metric metric, uint64_t seed, struct tally *t)
{
	uint32_t rows = shapes[shape].rows, dim = shapes[shape].dim;
	float *v = make_rows(shape, seed, rows, false), *q = make_rows(shape, seed, QUERIES, true);
	struct err err;
	struct par *par = par_new(2, &err);
	struct plain p = {.metric = metric, .v = v, .rows = rows, .dim = dim};
	struct hnsw *h[2] = {build(v, rows, dim, metric, HNSW_F32, seed, par),
			     build(v, rows, dim, metric, HNSW_AUTO, seed, par)};
	double limit[QUERIES];
	build_plain(&p, seed);
	for (uint32_t i = 0; i < QUERIES; i++) {
		struct found w[EF];
		const float *one = q + (size_t)i * dim;
		limit[i] = limit_of(metric, one, v, rows, dim);
		/* What rounding does, of doubles for cosine. */
		limit[i] += 1e-6 * fabs(limit[i]) + (metric == VEC_COSINE ? 1e-30 : 0);
		size_t n = search_plain(&p, one, w);
		for (size_t j = 0; j < n; j++)
			t->plain += w[j].d <= limit[i];
		t->all += rows < K ? rows : K;
	}
	t->f32 += found_by(h[0], metric, q, v, dim, limit);
	t->automatic += found_by(h[1], metric, q, v, dim, limit);
	if (h[1]) {
		struct hnsw_info info;
		hnsw_info(h[1], false, &info);
		t->storage = hnsw_storage_names[info.params.storage];
	}
	hnsw_free(h[0]);
	hnsw_free(h[1]);
	free_plain(&p);
	par_free(par);
	free(v);
	free(q);
}

int main(void)
{
	const char *text = getenv("HNSW_TEST_RECALL_SEEDS");
	uint64_t seeds = text ? strtoull(text, NULL, 10) : 2;
	for (int shape = 0; shape < SHAPES; shape++)
		for (int metric = 0; metric < VEC_METRICS; metric++) {
			struct tally t = {0};
			for (uint64_t seed = 1; seed <= seeds; seed++)
				measure((enum shape)shape, (enum vec_metric)metric, seed, &t);
			ok(t.automatic >= t.f32 - LOSS * t.all && t.f32 >= t.plain - LOSS * t.all,
			   "%s, %s: recall %.4f with %s, %.4f with f32, %.4f plain",
			   shapes[shape].name, vec_metric_names[metric], t.automatic / t.all,
			   t.storage ? t.storage : "nothing", t.f32 / t.all, t.plain / t.all);
		}
	return tap_end();
}
