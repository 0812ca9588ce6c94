/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "hnsw/search_internal.h"
#include "tests/unit/set.h"
#include "tests/unit/tap.h"

/* ---- sets in memory ---- */

static float *random_rows(uint64_t seed, uint64_t rows, uint32_t dim)
{
	struct rng r = {seed};
	float *v = malloc(rows * dim * sizeof *v);
	for (uint64_t i = 0; i < rows * dim; i++)
		v[i] = (float)((int64_t)(rng_next(&r) >> 44) - (1 << 19)) * 0x1p-19f;
	return v;
}

static enum hnsw_storage storage;

static struct hnsw *build(float *data, uint64_t rows, uint32_t dim, enum vec_metric metric,
			  uint32_t m, uint32_t ef, int threads)
{
	struct err err = {0};
	struct hnsw_params p = {metric, m, ef, 30, 42, storage, false};
	struct hnsw_build_opts how = {.par = par_new(threads, &err),
				      .kernels = dist_choose(NULL, &err)};
	struct hnsw *h = hnsw_build(set_of(data, rows, dim), &p, &how, &err);
	if (!h)
		printf("# %s\n", err.msg);
	par_free(how.par);
	return h;
}

/* ---- the textbook's search, with two plain lists ---- */

struct found {
	double d; /* of a float */
	uint32_t node;
};

static int by_distance(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->d != y->d)
		return x->d < y->d ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* Algorithm 2 word by word: candidates, found elements, visited. */
static size_t textbook(const struct hnsw *h, struct hnsw_scratch *s, const struct hnsw_point *q,
		       const struct found *entry, size_t entries, size_t ef, struct found *w)
{
	uint32_t nodes = h->head.nodes;
	char *visited = calloc(nodes, 1);
	struct found *c = malloc((size_t)nodes * sizeof *c);
	size_t n_c = 0, n_w = 0;
	for (size_t i = 0; i < entries; i++) {
		visited[entry[i].node] = 1;
		c[n_c++] = w[n_w++] = entry[i];
	}
	while (n_c) {
		qsort(c, n_c, sizeof *c, by_distance);
		qsort(w, n_w, sizeof *w, by_distance);
		struct found near = c[0];
		memmove(c, c + 1, --n_c * sizeof *c);
		if (n_w == ef && by_distance(&near, &w[n_w - 1]) > 0)
			break;
		const uint32_t *row = hnsw_row0(h, near.node);
		for (uint32_t i = 0; i < h->head.m0 && row[i] != HNSW_NONE; i++) {
			float d;
			if (visited[row[i]])
				continue;
			visited[row[i]] = 1;
			hnsw_distances(h, s, q, &row[i], 1, &d);
			struct found e = {(double)d, row[i]};
			qsort(w, n_w, sizeof *w, by_distance);
			if (n_w < ef) {
				w[n_w++] = c[n_c++] = e;
			} else if (by_distance(&e, &w[n_w - 1]) < 0) {
				w[n_w - 1] = c[n_c++] = e;
			}
		}
	}
	qsort(w, n_w, sizeof *w, by_distance);
	free(visited);
	free(c);
	return n_w;
}

static void test_beam(void)
{
	enum { ROWS = 700, DIM = 12, QUERIES = 60 };
	float *data = random_rows(1, ROWS, DIM), *queries = random_rows(2, QUERIES, DIM);
	struct err err;
	long different = 0, searches = 0;
	for (int metric = 0; metric < VEC_METRICS; metric++) {
		struct hnsw *h = build(data, ROWS, DIM, (enum vec_metric)metric, 6, 40, 1);
		struct hnsw_scratch s;
		if (!h || hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0 ||
		    hnsw_scratch_reserve(&s, 1000, &err) != 0)
			continue;
		for (uint64_t i = 0; i < QUERIES; i++) {
			struct hnsw_point p;
			hnsw_point_query(h, &s, queries + i * DIM, &p);
			static const size_t efs[] = {2, 3, 10, 33, 100, 700};
			for (size_t e = 0; e < 6; e++) {
				struct found w[1000], entry[1];
				uint32_t node = hnsw_entry_node(h);
				float d;
				hnsw_distances(h, &s, &p, &node, 1, &d);
				entry[0] = (struct found){(double)d, node};
				size_t want = textbook(h, &s, &p, entry, 1, efs[e], w);
				s.pool[0] = pool_key(d, node);
				size_t got = hnsw_beam(h, &s, &p, 0, 1, efs[e]);
				bool same = want == got;
				for (size_t k = 0; same && k < got; k++)
					same = pool_node(s.pool[k]) == w[k].node;
				different += !same;
				searches++;
			}
		}
		hnsw_scratch_release(&s);
		hnsw_free(h);
	}
	ok(searches == 1080 && different == 0, "%ld searches find what the textbook's finds",
	   searches);
	free(data);
	free(queries);
}

/* Expansions at a smaller beam are a beginning of those at a larger one. */
static void test_nested(void)
{
	enum { ROWS = 3000, DIM = 8 };
	float *data = random_rows(5, ROWS, DIM);
	struct err err;
	struct hnsw *h = build(data, ROWS, DIM, VEC_L2, 8, 40, 2);
	struct hnsw_scratch s;
	bool fewer = h && hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) == 0;
	struct hnsw_hit small[10], large[10];
	for (uint64_t i = 0; fewer && i < 100; i++) {
		uint64_t before = 0;
		double worst = INFINITY;
		for (size_t ef = 10; ef <= 200; ef += 19) {
			s.distances = 0;
			fewer &= hnsw_search(h, data + i * 29 * DIM, 10, ef, &s,
					     ef == 10 ? small : large, &err) == 10;
			fewer &= s.distances >= before;
			before = s.distances;
			struct hnsw_hit *hits = ef == 10 ? small : large;
			fewer &= hits[9].distance <= worst;
			worst = (double)hits[9].distance;
		}
	}
	ok(fewer, "a wider beam computes no fewer distances and finds nothing worse");
	hnsw_scratch_release(&s);
	hnsw_free(h);
	free(data);
}

/* ---- the curve ---- */

enum { WIDTHS = 120, CURVE_K = 10 };

struct seen {
	struct hnsw_hit hits[CURVE_K], found[WIDTHS][CURVE_K];
	int n[WIDTHS];
	uint64_t distances[WIDTHS];
	size_t points, same;
};

static void on_point(void *ctx, size_t i, int n, uint64_t distances, bool same)
{
	struct seen *s = ctx;
	memcpy(s->found[i], s->hits, sizeof s->hits);
	s->n[i] = n;
	s->distances[i] = distances;
	s->points++;
	s->same += same;
}

/* One search gives what searches of every width give, from several starts as well: hits, distances,
 * how many were computed. */
static void test_curve(void)
{
	enum { ROWS = 4000, DIM = 20, QUERIES = 40 };
	float *data = random_rows(31, ROWS, DIM), *queries = random_rows(32, QUERIES, DIM);
	static struct seen seen;
	struct hnsw_curve to = {seen.hits, on_point, &seen};
	uint32_t ef[WIDTHS];
	struct err err;
	long compared = 0, different = 0;
	for (uint32_t i = 0; i < WIDTHS; i++)
		ef[i] = i < 100 ? 1 + i : i < 119 ? i * 10 : 5000;
	for (int i = 0; i < ROWS * DIM / 2; i++) /* ties: many rows on a coarse grid */
		data[i] = rintf(data[i] * 2);
	for (int metric = 0; metric < VEC_METRICS; metric++) {
		struct hnsw *h = build(data, ROWS, DIM, (enum vec_metric)metric, 8, 40, 2);
		struct hnsw_scratch s, t;
		if (h)
			h->starts = metric == VEC_COSINE ? 9 : 1;
		if (!h || hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0 ||
		    hnsw_scratch_init(&t, h, dist_choose(NULL, &err), &err) != 0)
			continue;
		for (uint64_t q = 0; q < QUERIES; q++) {
			const float *query = (q % 2 ? data : queries) + q * DIM;
			different +=
			    hnsw_search_curve(h, query, CURVE_K, ef, WIDTHS, &s, &to, &err) != 0;
			for (size_t i = 0; i < WIDTHS; i++) {
				struct hnsw_hit hits[CURVE_K];
				t.distances = 0;
				int n = hnsw_search(h, query, CURVE_K, ef[i], &t, hits, &err);
				bool same = n == seen.n[i] && t.distances == seen.distances[i];
				for (int k = 0; same && k < n; k++)
					same = hits[k].row == seen.found[i][k].row &&
					       hits[k].distance == seen.found[i][k].distance;
				different += !same;
				compared++;
			}
		}
		hnsw_scratch_release(&s);
		hnsw_scratch_release(&t);
		hnsw_free(h);
	}
	ok(compared == VEC_METRICS * QUERIES * WIDTHS && different == 0 && seen.same > 0,
	   "one search gives the whole curve: %ld of %ld points differ", different, compared);
	free(data);
	free(queries);
}

/* ---- sets made to break a graph ---- */

/* Every row is found by asking for all, and the check passes. */
static void check_all(const char *what, float *data, uint32_t rows, uint32_t dim,
		      enum vec_metric metric, uint32_t m)
{
	struct err err = {0};
	struct hnsw *h = build(data, rows, dim, metric, m, 20, 2);
	struct hnsw_scratch s = {0};
	struct hnsw_hit *hits = calloc(rows, sizeof *hits);
	char *seen = calloc(rows, 1);
	bool good = h && hnsw_check(h, &err) == 0 &&
		    hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) == 0;
	if (!good)
		printf("# %s\n", err.msg);
	for (uint32_t q = 0; good && q < rows; q += rows / 7 + 1) {
		int n = hnsw_search(h, data + (size_t)q * dim, rows, rows, &s, hits, &err);
		good &= n == (int)rows;
		memset(seen, 0, rows);
		for (int i = 0; good && i < n; i++) {
			good &= !seen[hits[i].row] && !isnan(hits[i].distance);
			good &= !i || hits[i - 1].rank < hits[i].rank ||
				(hits[i - 1].rank == hits[i].rank &&
				 hits[i - 1].row < hits[i].row);
			seen[hits[i].row] = 1;
		}
	}
	ok(good, "%s: k = n finds all %u rows, in order", what, rows);
	hnsw_scratch_release(&s);
	hnsw_free(h);
	free(hits);
	free(seen);
}

static void test_adversarial(void)
{
	enum { N = 600, D = 4 };
	float *v = calloc(N * D, sizeof *v);
	check_all("all zero, l2", v, N, D, VEC_L2, 4);
	check_all("all zero, cosine", v, N, D, VEC_COSINE, 4);
	check_all("all zero, ip", v, N, D, VEC_IP, 4);
	for (int i = 0; i < N * D; i++)
		v[i] = i % D == 0 ? (float)(i / D % 3) : 1;
	check_all("three distinct points", v, N, D, VEC_L2, 4);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < D; j++)
			v[i * D + j] = (float)(i < N / 2 ? i % 20 : 1000000 + i % 20) + (float)j;
	/* More than f16 holds. */
	if (storage != HNSW_F16)
		check_all("two far clusters", v, N, D, VEC_L2, 4);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < D; j++)
			v[i * D + j] = i == 100 ? 1e9f : (float)(i * (j + 1)) * 1e-3f;
	if (storage != HNSW_F16)
		check_all("one outlier", v, N, D, VEC_L2, 3);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < D; j++)
			v[i * D + j] = (float)i;
	check_all("points on a line", v, N, D, VEC_L2, 2);
	check_all("points on a ray, cosine", v, N, D, VEC_COSINE, 2);
	check_all("points on a ray, ip", v, N, D, VEC_IP, 2);
	struct rng r = {8};
	for (int i = 0; i < N * D; i++)
		v[i] = (float)rng_below(&r, 3);
	check_all("a small grid with many duplicates", v, N, D, VEC_L2, 4);
	for (int i = 0; i < N * D; i++)
		v[i] = (float)rng_below(&r, 1000) * 1e-38f;
	check_all("tiny values", v, N, D, VEC_COSINE, 4);
	for (int i = 0; i < N * D; i++)
		v[i] = ((float)rng_below(&r, 1000) + 1) * 1e15f;
	check_all("large values", v, N, D, VEC_COSINE, 4);
	for (int i = 0; i < N * D; i++)
		v[i] = (float)(i % 5);
	check_all("one row", v, 1, D, VEC_L2, 16);
	check_all("two rows", v, 2, D, VEC_L2, 16);
	free(v);
	v = random_rows(3, 2000, 40);
	check_all("high dimension, few links", v, 2000, 40, VEC_IP, 2);
	free(v);
}

/* Whole numbers of a byte: held exactly, so graph, hits and distances are those of floats. */
static void test_bytes(void)
{
	enum { N = 2000, D = 70 };
	float *v = malloc(N * D * sizeof *v), query[D];
	struct rng r = {21};
	struct err err;
	for (int metric = VEC_L2; metric <= VEC_IP; metric += VEC_IP - VEC_L2) {
		float least = metric == VEC_L2 ? 0 : -128;
		for (int i = 0; i < N * D; i++)
			v[i] = least + (float)rng_below(&r, 256);
		storage = HNSW_F32;
		struct hnsw *a = build(v, N, D, (enum vec_metric)metric, 8, 40, 2);
		storage = HNSW_AUTO;
		struct hnsw *b = build(v, N, D, (enum vec_metric)metric, 8, 40, 2);
		struct hnsw_scratch s, t;
		bool same = a && b && b->head.storage == HNSW_U8 && !b->vectors &&
			    hnsw_check(b, &err) == 0 &&
			    hnsw_scratch_init(&s, a, dist_choose(NULL, &err), &err) == 0 &&
			    hnsw_scratch_init(&t, b, dist_choose(NULL, &err), &err) == 0;
		for (int q = 0; same && q < 200; q++) {
			struct hnsw_hit x[10], y[10];
			for (int k = 0; k < D; k++)
				query[k] = least + (float)rng_below(&r, 256) + (q % 2 ? 0.37f : 0);
			same &= hnsw_search(a, query, 10, 1000, &s, x, &err) == 10 &&
				hnsw_search(b, query, 10, 1000, &t, y, &err) == 10;
			for (int i = 0; same && i < 10; i++)
				same &= x[i].row == y[i].row && x[i].distance == y[i].distance;
		}
		ok(same, "%s: bytes find what floats find, at the same distances",
		   vec_metric_names[metric]);
		hnsw_scratch_release(&s);
		hnsw_scratch_release(&t);
		hnsw_free(a);
		hnsw_free(b);
	}
	storage = HNSW_U8;
	v[7] = 0.5f;
	ok(!build(v, N, D, VEC_L2, 8, 40, 1), "bytes that would lose something are refused");
	storage = HNSW_F32;
	free(v);
}

/* Floats of 16 bits: an index of them is one of the floats that they are. */
static void test_halves(void)
{
	enum { N = 2000, D = 37 };
	float *v = random_rows(41, N, D), *rounded = malloc(N * D * sizeof *v);
	struct hnsw_scratch s, t;
	struct err err;
	v[0] = -1e-9f; /* 0 as f16, not -0 */
	for (int i = 0; i < D; i++)
		v[D + i] = v[2 * D + i] * (1 + 0x1p-13f); /* equal when rounded, or nearly so */
	for (storage = HNSW_F16; storage <= HNSW_BF16; storage++) {
		enum hnsw_storage held = storage;
		struct hnsw *a = build(v, N, D, VEC_L2, 8, 40, 2);
		memcpy(rounded, v, N * D * sizeof *v);
		half_round(a->codec->half, rounded, N * D);
		storage = HNSW_F32;
		struct hnsw *b = build(rounded, N, D, VEC_L2, 8, 40, 2);
		storage = held;
		bool same =
		    a->head.storage == held && a->head.nodes == b->head.nodes &&
		    hnsw_check(a, &err) == 0 &&
		    memcmp(a->links0, b->links0, a->head.nodes * a->head.stride0 * 4) == 0 &&
		    hnsw_scratch_init(&s, a, dist_choose(NULL, &err), &err) == 0 &&
		    hnsw_scratch_init(&t, b, dist_choose("portable", &err), &err) == 0;
		for (int q = 0; same && q < 100; q++) {
			struct hnsw_hit x[10], y[10];
			const float *query = v + (size_t)q * 17 * D;
			same &= hnsw_search(a, query, 10, 40, &s, x, &err) == 10 &&
				hnsw_search(b, query, 10, 40, &t, y, &err) == 10 &&
				memcmp(x, y, sizeof x) == 0 &&
				hnsw_search_exact(a, query, 10, &s, x, &err) == 10 &&
				hnsw_search_exact(b, query, 10, &t, y, &err) == 10 &&
				memcmp(x, y, sizeof x) == 0;
		}
		ok(same, "%s: the graph and the hits of the floats that are held",
		   hnsw_storage_names[held]);
		hnsw_scratch_release(&s);
		hnsw_scratch_release(&t);
		hnsw_free(a);
		hnsw_free(b);
	}
	storage = HNSW_F16;
	v[5 * D] = 65520;
	ok(!build(v, N, D, VEC_L2, 8, 40, 1), "what f16 cannot hold is refused");
	struct hnsw *h = build(v, N, D, VEC_COSINE, 8, 40, 1);
	ok(h, "but not if it is scaled to unit length");
	hnsw_free(h);
	free(v);
	free(rounded);
}

/* ---- results that must not change unnoticed ---- */

static void test_digest(void)
{
	enum { N = 3000, D = 24 };
	float *v = random_rows(77, N, D);
	static const char *const want[HNSW_STORAGES][VEC_METRICS] = {
	    [HNSW_F32] = {"98f15bf06aed8df1d72099c4e188d428", "6377e970d7585a2c70129244a1c3566b",
			  "2bdcdfdd5937d6fb35305551c227ae4c"},
	    [HNSW_SQ8] = {"969235956624c7ef51c84540ad835810", "61ed7bcca85641e11c05e47cd7806f4d",
			  "e3bd6227313e3e2c9ac737e1cda3599c"},
	    [HNSW_F16] = {"837de800f8c942e17175385a43d08d73", "5c44aaf24841c2c837f252ba0eab2afb",
			  "b9971b0ababe44b3669ce32ee55cb6df"},
	    [HNSW_BF16] = {"a9967e72605b1fc8ebbc56aad6ed4629", "726c8c6a9ab874ec5ccbc04ba6487f85",
			   "98c2624394015634fbc39f66140862d1"}};
	int made = storage == HNSW_AUTO ? HNSW_SQ8 : (int)storage;
	for (int metric = 0; metric < VEC_METRICS; metric++) {
		char text[2][DIGEST_TEXT_MAX];
		for (int threads = 1; threads <= 3; threads += 2) {
			struct hnsw *h = build(v, N, D, (enum vec_metric)metric, 8, 40, threads);
			digest_text(h->head.graph_digest, text[threads / 2]);
			hnsw_free(h);
		}
		ok(strcmp(text[0], text[1]) == 0, "%s: one thread and three make the same graph",
		   vec_metric_names[metric]);
		ok(strcmp(text[0], want[made][metric]) == 0, "%s: and the same as ever (%s)",
		   vec_metric_names[metric], text[0]);
	}
	free(v);
}

/* ---- layer 0 in bulk ---- */

enum { BULK_ROWS = 8400, BULK_DIM = 256 };

/* Points of a map of a few dimensions, or of all. */
static float *mapped_rows(uint64_t seed, uint32_t latent)
{
	float *map = random_rows(1, latent, BULK_DIM), *z = random_rows(seed, BULK_ROWS, latent);
	float *v = calloc((size_t)BULK_ROWS * BULK_DIM, sizeof *v);
	for (size_t i = 0; i < BULK_ROWS; i++)
		for (size_t l = 0; l < latent; l++)
			for (size_t k = 0; k < BULK_DIM; k++)
				v[i * BULK_DIM + k] += z[i * latent + l] * map[l * BULK_DIM + k];
	free(map);
	free(z);
	return v;
}

static int skip_rung(void *ctx, const struct hnsw *h, struct err *err)
{
	(void)ctx;
	(void)h;
	(void)err;
	return 0;
}

/* With ${insert}, by insertion: a build with rungs is. */
static struct hnsw *build_mapped(float *v, enum vec_metric metric, bool insert, int threads,
				 const char *kernel)
{
	static const uint32_t rung = 1;
	struct err err = {0};
	struct hnsw_params p = {metric, 16, 80, 30, 42, storage, false};
	struct hnsw_build_opts how = {.par = par_new(threads, &err),
				      .kernels = dist_choose(kernel, &err),
				      .rungs = &rung,
				      .n_rungs = insert,
				      .rung = skip_rung};
	struct hnsw *h = hnsw_build(set_of(v, BULK_ROWS, BULK_DIM), &p, &how, &err);
	par_free(how.par);
	return h;
}

static bool same_graph(const struct hnsw *a, const struct hnsw *b)
{
	return memcmp(&a->head.graph_digest, &b->head.graph_digest, sizeof(struct digest)) == 0;
}

/* How many of the nearest ten are found. */
static int found_of(const struct hnsw *h, float *queries)
{
	struct err err;
	struct hnsw_scratch s;
	int found = 0;
	if (hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0)
		return 0;
	for (int q = 0; q < 200; q++) {
		struct hnsw_hit want[10], got[10];
		const float *query = queries + (size_t)q * BULK_DIM;
		int n = hnsw_search_exact(h, query, 10, &s, want, &err);
		if (n == 10)
			n = hnsw_search(h, query, 10, 30, &s, got, &err);
		for (int i = 0; i < n; i++)
			found += got[i].rank <= want[9].rank;
	}
	hnsw_scratch_release(&s);
	return found;
}

static bool give_up(void *ctx, uint64_t done, uint64_t total)
{
	return *(bool *)ctx = done >= total / 2;
}

/* A graph made in bulk is another one than that of insertions, as good, and always the same. */
static void test_bulk_graph(float *v, enum vec_metric metric, const char *kernel)
{
	struct err err;
	float *queries = mapped_rows(6, 10);
	const char *name = hnsw_storage_names[storage];
	struct hnsw *a = build_mapped(v, metric, false, 2, NULL);
	struct hnsw *b = build_mapped(v, metric, true, 2, NULL);
	ok(!same_graph(a, b), "%s: a graph made in bulk is another one", name);
	ok(hnsw_check(a, &err) == 0 && a->head.strays == 0, "%s: and a sound one", name);
	int bulk = found_of(a, queries), inserted = found_of(b, queries);
	ok(bulk >= inserted - 20, "%s: what is found of 2000: %d, by insertion %d", name, bulk,
	   inserted);
	hnsw_free(b);
	b = build_mapped(v, metric, false, 3, kernel);
	ok(same_graph(a, b), "%s: the same with three threads and kernel %s", name,
	   kernel ? kernel : "as before");
	hnsw_free(a);
	hnsw_free(b);
	free(queries);
}

static void test_bulk(void)
{
	struct err err = {0};
	bool gave_up = false;
	float *v = mapped_rows(5, 10), *hard = random_rows(7, BULK_ROWS, BULK_DIM);
	storage = HNSW_F32;
	test_bulk_graph(v, VEC_L2, NULL);
	storage = HNSW_SQ8;
	test_bulk_graph(v, VEC_L2, "portable");
	test_bulk_graph(v, VEC_COSINE, NULL);
	struct hnsw *a = build_mapped(hard, VEC_L2, false, 2, NULL);
	struct hnsw *b = build_mapped(hard, VEC_L2, true, 2, NULL);
	ok(same_graph(a, b), "vectors whose leaves tell nothing are inserted");
	hnsw_free(a);
	hnsw_free(b);
	struct hnsw_params p = {VEC_L2, 16, 80, 30, 42, storage, false};
	struct hnsw_build_opts how = {.par = par_new(2, &err),
				      .kernels = dist_choose(NULL, &err),
				      .progress = give_up,
				      .ctx = &gave_up};
	ok(!hnsw_build(set_of(v, BULK_ROWS, BULK_DIM), &p, &how, &err) && gave_up &&
	       err.code == ERR_TEMP,
	   "a build in bulk is interrupted");
	par_free(how.par);
	free(v);
	free(hard);
}

static void test_levels(void)
{
	enum { N = 100000, D = 1 };
	float *v = malloc(N * sizeof *v);
	for (int i = 0; i < N; i++)
		v[i] = (float)i;
	struct hnsw *h = build(v, N, D, VEC_L2, 16, 4, 2);
	struct hnsw_info info;
	hnsw_info(h, true, &info);
	double share = 1 - (double)info.level_nodes[0] / N;
	ok(fabs(share - 1.0 / 16) < 0.003, "one in m nodes has an upper layer: %.4f", share);
	ok(fabs((double)info.level_nodes[2] / N - 15.0 / 16 / 256) < 0.001,
	   "one in m^2 a second one");
	hnsw_free(h);
	free(v);
}

/* ---- growing ---- */

enum { GROW_ROWS = 2500, GROW_DIM = 20, RUNGS = 5 };
static const uint32_t rungs[RUNGS] = {1, 2, 300, 1301, GROW_ROWS - 1};

struct rungs_seen {
	const struct vec_set *set;
	struct par *par;
	uint32_t n;
	bool good;
	char graph[RUNGS][DIGEST_TEXT_MAX];
};

/* A rung passes the check, is of the rows of the sample, and finds each of them. */
static int on_rung(void *ctx, const struct hnsw *h, struct err *err)
{
	struct rungs_seen *r = ctx;
	struct vec_set rows;
	struct digest want;
	struct hnsw_scratch s = {0};
	struct hnsw_hit hits[GROW_ROWS];
	float v[GROW_DIM];
	char found[VEC_ID_TEXT_MAX], id[VEC_ID_TEXT_MAX];
	if (hnsw_check(h, err) != 0 ||
	    vec_set_sample(r->set, h->head.seed, h->head.rows, NULL, &rows, err) != 0)
		return -1;
	r->good &= r->n < RUNGS && h->head.rows == rungs[r->n] &&
		   vec_set_digest(&rows, r->par, &want, err) == 0 &&
		   memcmp(&want, &h->head.vectors_digest, sizeof want) == 0 &&
		   hnsw_scratch_init(&s, h, dist_choose(NULL, err), err) == 0;
	for (uint32_t i = 0; r->good && i < rows.rows; i += 397) {
		bool there = false;
		vec_set_values(&rows, i, v);
		int n = hnsw_search(h, v, rows.rows, 0, &s, hits, err);
		for (int k = 0; k < n; k++)
			there |= hits[k].row == i;
		r->good &= n == (int)rows.rows && there &&
			   span_same(hnsw_id(h, i, found), vec_set_id(&rows, i, id));
	}
	hnsw_scratch_release(&s);
	vec_set_release(&rows);
	if (r->n < RUNGS)
		digest_text(h->head.graph_digest, r->graph[r->n++]);
	return 0;
}

/* Some rows come twice. */
static float *rows_to_grow(void)
{
	float *v = random_rows(51, GROW_ROWS, GROW_DIM);
	for (int i = 0; i < 100; i++)
		memcpy(v + (GROW_ROWS - 1 - 7 * i) * GROW_DIM, v + 3 * i * GROW_DIM,
		       GROW_DIM * sizeof *v);
	if (storage == HNSW_U8)
		for (int i = 0; i < GROW_ROWS * GROW_DIM; i++)
			v[i] = rintf(v[i] * 100);
	return v;
}

static void test_rungs(void)
{
	struct err err = {0};
	float *v = rows_to_grow();
	for (int metric = 0; metric < VEC_METRICS; metric++) {
		struct rungs_seen seen[2] = {{.good = true}, {.good = true}};
		struct hnsw *plain =
		    build(v, GROW_ROWS, GROW_DIM, (enum vec_metric)metric, 8, 40, 2);
		bool same = plain != NULL;
		for (int i = 0; plain && i < 2; i++) {
			struct rungs_seen *r = &seen[i];
			struct hnsw_params p = {
			    (enum vec_metric)metric, 8, 40, 30, 42, storage, false};
			r->set = set_of(v, GROW_ROWS, GROW_DIM);
			r->par = par_new(1 + 2 * i, &err);
			struct hnsw_build_opts how = {.par = r->par,
						      .kernels = dist_choose(NULL, &err),
						      .ctx = r,
						      .rungs = rungs,
						      .n_rungs = RUNGS,
						      .rung = on_rung};
			struct hnsw *h = hnsw_build(r->set, &p, &how, &err);
			same &= h && memcmp(&h->head, &plain->head, sizeof h->head) == 0;
			hnsw_free(h);
			par_free(r->par);
		}
		ok(same, "%s: the graph is the same with rungs", vec_metric_names[metric]);
		ok(seen[0].good && seen[1].good && seen[0].n == RUNGS && seen[1].n == RUNGS &&
		       memcmp(seen[0].graph, seen[1].graph, sizeof seen[0].graph) == 0,
		   "and each rung is an index of its rows, whatever the threads %s", err.msg);
		hnsw_free(plain);
	}
	free(v);
}

static struct hnsw *append(const struct hnsw *old, float *rows, uint64_t count, int threads,
			   struct err *err)
{
	struct hnsw_build_opts how = {.par = par_new(threads, err),
				      .kernels = dist_choose(NULL, err)};
	struct hnsw *h = hnsw_append(old, set_of(rows, count, GROW_DIM), 30, &how, err);
	par_free(how.par);
	return h;
}

/* How many of the 10 nearest of some rows are found. */
static int recall(const struct hnsw *h, const float *rows)
{
	struct hnsw_scratch s;
	struct hnsw_hit want[10], got[10];
	struct err err;
	int found = 0;
	if (hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0)
		return -1;
	for (size_t i = 0; i < GROW_ROWS; i += 5) {
		float q[GROW_DIM];
		for (int k = 0; k < GROW_DIM; k++)
			q[k] = rows[i * GROW_DIM + (size_t)k] + rows[k];
		if (hnsw_search_exact(h, q, 10, &s, want, &err) != 10 ||
		    hnsw_search(h, q, 10, 25, &s, got, &err) != 10)
			break;
		for (int a = 0; a < 10; a++)
			for (int b = 0; b < 10; b++)
				found += want[a].row == got[b].row;
	}
	hnsw_scratch_release(&s);
	return found;
}

static void test_append(void)
{
	enum { FIRST = 900, SECOND = 1000 };
	struct err err = {0};
	float *v = rows_to_grow();
	for (int metric = 0; metric < VEC_METRICS; metric++) {
		if (storage == HNSW_U8 && metric == VEC_COSINE)
			continue;
		enum vec_metric m = (enum vec_metric)metric;
		struct hnsw *all = build(v, GROW_ROWS, GROW_DIM, m, 8, 40, 2);
		struct hnsw *old = build(v, FIRST, GROW_DIM, m, 8, 40, 2), *h[2], *more, *none;
		more = append(old, v + FIRST * GROW_DIM, SECOND, 2, &err);
		for (int i = 0; i < 2; i++)
			h[i] = append(more, v + (FIRST + SECOND) * GROW_DIM,
				      GROW_ROWS - FIRST - SECOND, 1 + 2 * i, &err);
		ok(h[0] && h[1] && hnsw_check(h[0], &err) == 0 &&
		       memcmp(&h[0]->head, &h[1]->head, sizeof h[0]->head) == 0,
		   "%s: an index that grew twice passes the check, whatever the threads %s",
		   vec_metric_names[metric], err.msg);
		ok(memcmp(&h[0]->head.vectors_digest, &all->head.vectors_digest,
			  sizeof(struct digest)) == 0 &&
		       h[0]->head.nodes == all->head.nodes && h[0]->head.reach == all->head.reach,
		   "its nodes and digest are those of all rows");
		int got = recall(h[0], v), want = recall(all, v);
		ok(got > want - GROW_ROWS / 5 * 10 / 100, "it finds as much: %d, not %d", got,
		   want);
		none = append(h[0], v, 0, 1, &err);
		ok(none && memcmp(&none->head, &h[0]->head, sizeof none->head) == 0,
		   "nothing appended changes nothing");
		hnsw_free(none);
		hnsw_free(h[0]);
		hnsw_free(h[1]);
		hnsw_free(more);
		hnsw_free(old);
		hnsw_free(all);
	}
	free(v);
}

/* ---- starts ---- */

/* Rows around centres that lie apart. */
static float *clustered_rows(uint64_t seed, uint32_t rows, uint32_t dim, uint32_t clusters)
{
	float *centre = random_rows(seed, clusters, dim), *v = random_rows(seed + 1, rows, dim);
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t k = 0; k < dim; k++)
			v[(size_t)i * dim + k] = centre[(size_t)(i % clusters) * dim + k] +
						 0.11f * v[(size_t)i * dim + k];
	free(centre);
	return v;
}

/* How many of the first ${queries} rows a search finds. */
static uint32_t search_rows(const struct hnsw *h, const float *v, uint32_t queries)
{
	struct err err;
	struct hnsw_scratch s;
	struct hnsw_hit hit[1];
	uint32_t found = 0;
	if (hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) != 0)
		return 0;
	for (uint32_t i = 0; i < queries; i++)
		found += hnsw_search(h, v + (size_t)i * h->head.dim, 1, 10, &s, hit, &err) == 1 &&
			 hit->row == i;
	hnsw_scratch_release(&s);
	return found;
}

/* As many starts as pay: the same for all threads, kept in the file and by a longer index. */
static void test_starts(void)
{
	enum { ROWS = 14000, DIM = 16, MORE = 500, QUERIES = 2000 };
	float *near = clustered_rows(71, ROWS + MORE, DIM, 180), *even = random_rows(73, ROWS, DIM);
	struct err err;
	uint32_t starts = 0, found[2];
	bool same = true;
	struct hnsw *h = NULL;
	for (int threads = 1; threads <= 8; threads = threads == 1 ? 3 : 2 * threads + 2) {
		hnsw_free(h);
		h = build(near, ROWS, DIM, VEC_L2, 8, 40, threads);
		same &= h && (threads == 1 || h->starts == starts);
		starts = h ? h->starts : 0;
	}
	ok(same && starts > 1, "clusters: %u starts, for every number of threads", starts);
	found[1] = search_rows(h, near, QUERIES);
	h->starts = 1;
	found[0] = search_rows(h, near, QUERIES);
	h->starts = starts;
	ok(found[1] > found[0], "they find more rows: %u, from one start %u", found[1], found[0]);
	struct hnsw_build_opts how = {.par = par_new(1, &err), .kernels = dist_choose(NULL, &err)};
	struct hnsw *longer =
	    hnsw_append(h, set_of(near + (size_t)ROWS * DIM, MORE, DIM), 30, &how, &err);
	ok(longer && longer->starts == starts, "an index that is continued keeps them");
	hnsw_free(longer);
	const char *name = "starts.hnsw";
	struct hnsw *again = NULL;
	if (hnsw_write(h, name, &err) == 0)
		again = hnsw_open(name, HNSW_MAP, &err);
	ok(again && again->starts == starts && hnsw_check(again, &err) == 0, "the file has them");
	hnsw_free(again);
	h->starts = HNSW_MAX_STARTS + 1;
	ok(hnsw_write(h, name, &err) == 0 && !hnsw_open(name, HNSW_MAP, &err) &&
	       err.code == ERR_DATA,
	   "too many: %s", err.msg);
	h->starts = 1;
	ok(hnsw_write(h, name, &err) == 0 && (again = hnsw_open(name, HNSW_MAP, &err)) &&
	       again->starts == 1,
	   "without the chunk there is one");
	hnsw_free(again);
	remove(name);
	hnsw_free(h);
	h = build(even, ROWS, DIM, VEC_L2, 8, 40, 2);
	ok(h && h->starts == 1, "evenly spread rows: one start");
	hnsw_free(h);
	par_free(how.par);
	free(near);
	free(even);
}

/* ---- reaching every node ---- */

/* Rows of which a few large ones answer everything. */
static float *hub_rows(uint64_t seed, uint32_t rows, uint32_t dim)
{
	float *v = random_rows(seed, rows, dim);
	for (uint32_t i = 0; i < rows; i++)
		v[(size_t)i * dim] = expf(4 * v[(size_t)i * dim]);
	return v;
}

/* What nothing leads to is found by a beam that has room for it, and costs others nothing. */
static void test_hubs(void)
{
	enum { ROWS = 4000, DIM = 8 };
	float *v = hub_rows(61, ROWS, DIM);
	struct err err;
	struct hnsw_scratch s = {0};
	struct hnsw_hit *hits = calloc(ROWS, sizeof *hits);
	struct hnsw *h = build(v, ROWS, DIM, VEC_IP, 16, 80, 2);
	bool good = h && h->head.strays > 0 && hnsw_check(h, &err) == 0 &&
		    hnsw_scratch_init(&s, h, dist_choose(NULL, &err), &err) == 0;
	for (uint32_t i = 0; good && i < 20; i++) {
		s.distances = 0;
		good &= hnsw_search(h, v + i * DIM, 10, 30, &s, hits, &err) == 10 &&
			s.distances < ROWS / 4 &&
			hnsw_search(h, v + i * DIM, ROWS, 0, &s, hits, &err) == ROWS;
	}
	ok(good, "a few large rows answer everything; %u strays are still found",
	   h ? h->head.strays : 0);
	hnsw_scratch_release(&s);
	hnsw_free(h);
	free(v);
	free(hits);
}

/* Batches of hundreds of nodes, all of which link to the same hubs: the threads do not matter. */
static void test_batches(void)
{
	enum { ROWS = 20000, DIM = 8 };
	float *v = hub_rows(63, ROWS, DIM);
	struct hnsw *one = build(v, ROWS, DIM, VEC_IP, 8, 40, 1),
		    *many = build(v, ROWS, DIM, VEC_IP, 8, 40, 32);
	char text[2][DIGEST_TEXT_MAX] = {"", ""};
	if (one && many) {
		digest_text(one->head.graph_digest, text[0]);
		digest_text(many->head.graph_digest, text[1]);
	}
	ok(text[0][0] && strcmp(text[0], text[1]) == 0,
	   "large batches: one thread and 32 make the same graph (%s, %s)", text[0], text[1]);
	hnsw_free(one);
	hnsw_free(many);
	free(v);
}

static void test_refusals(void)
{
	struct err err;
	float v[4] = {1, 2, NAN, 4};
	struct hnsw_params p = HNSW_PARAMS_DEFAULT;
	struct hnsw_build_opts how = {.par = par_new(1, &err), .kernels = dist_choose(NULL, &err)};
	ok(!hnsw_build(set_of(v, 2, 2), &p, &how, &err) && err.code == ERR_DATA, "NaN: %s",
	   err.msg);
	ok(!hnsw_build(set_of(v, 0, 2), &p, &how, &err) && err.code == ERR_DATA, "no rows: %s",
	   err.msg);
	p.m = 1;
	ok(!hnsw_build(set_of(v, 1, 2), &p, &how, &err) && err.code == ERR_USAGE, "m = 1: %s",
	   err.msg);
	par_free(how.par);
}

int main(void)
{
	for (storage = HNSW_F32; storage <= HNSW_AUTO; storage++) {
		printf("# storage %s\n", hnsw_storage_names[storage]);
		test_append();
		if (storage == HNSW_U8)
			continue;
		test_rungs();
		test_beam();
		test_nested();
		test_curve();
		test_adversarial();
		test_digest();
	}
	storage = HNSW_F32;
	test_bytes();
	test_halves();
	test_bulk();
	storage = HNSW_F32;
	test_levels();
	test_starts();
	test_hubs();
	test_batches();
	test_refusals();
	return tap_end();
}
