/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/bench.h"
#include "eval/truth.h"
#include "tests/unit/set.h"
#include "tests/unit/tap.h"

struct near {
	double d;
	uint32_t row;
};

static int by_distance(const void *a, const void *b)
{
	const struct near *x = a, *y = b;
	if (x->d != y->d)
		return x->d < y->d ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Answers against those of a full sort in double. */
static void compare(const char *what, float *data, uint32_t rows, uint32_t dim, float *queries,
		    uint32_t n, uint32_t k, enum vec_metric metric, int threads)
{
	struct err err = {0};
	uint32_t *got = malloc((size_t)n * k * sizeof *got), *skip = malloc(n * sizeof *skip);
	struct near *all = malloc(rows * sizeof *all);
	for (uint32_t q = 0; q < n; q++)
		skip[q] = q % 3 ? UINT32_MAX : q * 7 % rows;
	struct truth_job job = {.base = set_of(data, rows, dim),
				.metric = metric,
				.queries = queries,
				.n = n,
				.k = k,
				.exclude = skip,
				.par = par_new(threads, &err),
				.kernels = dist_choose(NULL, &err)};
	bool good = truth_compute(&job, got, &err) == 0;
	for (uint32_t q = 0; good && q < n; q++) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < rows; i++)
			if (i != skip[q])
				all[count++] =
				    (struct near){truth_rank(metric, queries + (size_t)q * dim,
								 data + (size_t)i * dim, dim),
						  i};
		qsort(all, count, sizeof *all, by_distance);
		for (uint32_t i = 0; i < k; i++)
			good &= got[q * k + i] == (i < count ? all[i].row : UINT32_MAX);
	}
	ok(good, "%s, %s, %d threads: the exact answers", what, vec_metric_names[metric], threads);
	par_free(job.par);
	free(got);
	free(skip);
	free(all);
}

static void test_truth(void)
{
	enum { ROWS = 3000, DIM = 21, QUERIES = 20 };
	struct rng r = {4};
	float *data = malloc(ROWS * DIM * sizeof *data),
	      *queries = malloc(QUERIES * DIM * sizeof *queries);
	for (int metric = 0; metric < VEC_METRICS; metric++)
		for (int threads = 1; threads <= 3; threads += 2) {
			enum vec_metric m = (enum vec_metric)metric;
			for (int i = 0; i < ROWS * DIM; i++)
				data[i] = (float)(int32_t)rng_next(&r) * 0x1p-30f;
			for (int i = 0; i < QUERIES * DIM; i++)
				queries[i] = (float)(int32_t)rng_next(&r) * 0x1p-30f;
			compare("random", data, ROWS, DIM, queries, QUERIES, 10, m, threads);
			/* Far more ties than there is room for. */
			for (int i = 0; i < ROWS * DIM; i++)
				data[i] = (float)rng_below(&r, 2);
			for (int i = 0; i < QUERIES * DIM; i++)
				queries[i] = (float)rng_below(&r, 2);
			compare("a grid full of ties", data, ROWS, DIM, queries, QUERIES, 10, m,
				threads);
			/* Differences below what floats can tell. */
			for (int i = 0; i < ROWS * DIM; i++)
				data[i] = 1000 + (float)(rng_next(&r) & 7) * 0x1p-12f;
			for (int i = 0; i < QUERIES * DIM; i++)
				queries[i] = (float)(int32_t)rng_next(&r) * 0x1p-20f;
			compare("far queries", data, ROWS, DIM, queries, QUERIES, 10, m, threads);
			compare("more answers than rows", data, 6, DIM, queries, 3, 10, m, threads);
			memset(data, 0, ROWS * DIM * sizeof *data);
			compare("all zero", data, ROWS, DIM, queries, QUERIES, 10, m, threads);
		}
	free(data);
	free(queries);
}

static void test_percentile(void)
{
	double v[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	/* Index round((n-1)*p), halves up. */
	ok(bench_percentile(v, 10, 0.5) == 5 && bench_percentile(v, 10, 0.95) == 9 &&
	       bench_percentile(v, 10, 0) == 0 && bench_percentile(v, 10, 1) == 9 &&
	       bench_percentile(v, 1, 0.99) == 0 && bench_percentile(v, 4, 0.5) == 2,
	   "percentiles are values at round((n-1)p)");
}

int main(void)
{
	test_truth();
	test_percentile();
	return tap_end();
}
