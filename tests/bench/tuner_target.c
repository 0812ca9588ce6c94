/* SPDX-License-Identifier: MIT */
/*
 * How often a config that was chosen for a target recall misses it on the queries that come.
 *
 *	tuner_target VECTORS QUERIES METRIC RUNS
 *
 * All queries of the file, on a dozen builds, are the population; a run draws 1,000 of them with
 * replacement, takes of each build the least ef_search whose lower bound (confidence .99) reaches
 * the target, and of these the build with the fewest distances, as a tuning run does.  Missed: the
 * mean recall of the population is below the target there.  Beside it, what going by the mean
 * alone would miss.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/truth.h"
#include "hnsw/hnsw.h"
#include "stat/mean.h"
#include "tune/decide.h"

#define K 10
#define FIRST 10
#define LAST 200
#define WIDTHS (LAST - FIRST + 1)
#define DRAWN 1000
#define CONFIDENCE 0.99
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint32_t configs[][2] = {{8, 80},	 {8, 160},  {8, 320},  {16, 40}, {16, 80}, {16, 160},
				      {16, 320}, {32, 40}, {32, 80}, {32, 160}, {48, 80}, {48, 160}};

/* What a build gives for each query and width, and on average. */
struct built {
	unsigned char *found; /* of K: [width][query] */
	double recall[WIDTHS], distances[WIDTHS];
};

static struct vec_set set, asked;
static uint64_t n;
static float *queries;
static uint32_t *truth;
static struct par *par;
static const struct dist_kernels *kernels;
static enum vec_metric metric;
static struct rng rng = {20261125};

static void check(bool good, const struct err *err)
{
	if (good)
		return;
	fprintf(stderr, "tuner_target: %s\n", err->msg);
	exit(err->code);
}

/* ---- builds ---- */

struct pass {
	struct built *to;
	const struct hnsw_hit *hits;
	uint64_t query;
	unsigned found;
};

static void on_point(void *ctx, size_t i, int hits, uint64_t distances, bool same)
{
	struct pass *p = ctx;
	if (!same) {
		p->found = 0;
		for (int h = 0; h < hits; h++)
			for (int k = 0; k < K; k++)
				p->found += p->hits[h].row == truth[p->query * K + (uint64_t)k];
	}
	p->to->found[i * n + p->query] = (unsigned char)p->found;
	p->to->recall[i] += p->found / (double)K / (double)n;
	p->to->distances[i] += (double)distances / (double)n;
}

static void build(const uint32_t config[2], struct built *to)
{
	struct err err;
	struct hnsw_params params = HNSW_PARAMS_DEFAULT;
	struct hnsw_build_opts how = {.par = par, .kernels = kernels};
	struct hnsw_scratch scratch = {0};
	struct hnsw_hit hits[K];
	struct pass p = {.to = to, .hits = hits};
	struct hnsw_curve curve = {.hits = hits, .point = on_point, .ctx = &p};
	uint32_t ef[WIDTHS];
	params.metric = metric;
	params.m = config[0];
	params.ef_construction = config[1];
	struct hnsw *h = hnsw_build(&set, &params, &how, &err);
	check(h != NULL, &err);
	check(hnsw_scratch_init(&scratch, h, kernels, &err) == 0, &err);
	*to = (struct built){.found = malloc(WIDTHS * n)};
	if (!to->found)
		exit(6);
	for (uint32_t i = 0; i < WIDTHS; i++)
		ef[i] = FIRST + i;
	for (p.query = 0; p.query < n; p.query++)
		check(hnsw_search_curve(h, queries + p.query * set.dim, K, ef, WIDTHS, &scratch,
					&curve, &err) == 0,
		      &err);
	hnsw_scratch_release(&scratch);
	hnsw_free(h);
}

/* ---- runs ---- */

static double bound(const struct built *b, size_t width, const uint32_t *drawn, bool by_mean)
{
	static double v[DRAWN];
	double lower, sum = 0;
	struct err err;
	for (size_t i = 0; i < DRAWN; i++) {
		v[i] = b->found[width * n + drawn[i]] / (double)K;
		sum += v[i];
	}
	if (by_mean)
		return sum / DRAWN;
	check(stat_mean_lower(v, DRAWN, 1 - CONFIDENCE, &lower, &err) == 0, &err);
	return lower;
}

/* The first width whose bound reaches the target, by halving; WIDTHS: none does. */
static size_t reach(const struct built *b, double target, const uint32_t *drawn, bool by_mean)
{
	size_t lo = 0, hi = WIDTHS;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (bound(b, mid, drawn, by_mean) >= target)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct tally {
	size_t chosen, missed;
	double worst, dearer; /* by how much it was missed at most; distances over the least */
};

static double least_distances(const struct built *b, double target)
{
	double best = INFINITY;
	for (size_t i = 0; i < COUNT(configs); i++)
		for (size_t w = 0; w < WIDTHS; w++)
			if (b[i].recall[w] >= target)
				best = fmin(best, b[i].distances[w]);
	return best;
}

static void run(const struct built *b, double target, bool by_mean, struct tally *t)
{
	uint32_t drawn[DRAWN];
	size_t best = 0, at = WIDTHS;
	for (size_t i = 0; i < DRAWN; i++)
		drawn[i] = (uint32_t)rng_below(&rng, n);
	for (size_t i = 0; i < COUNT(configs); i++) {
		size_t w = reach(&b[i], target, drawn, by_mean);
		if (w < WIDTHS && (at == WIDTHS || b[i].distances[w] < b[best].distances[at])) {
			best = i;
			at = w;
		}
	}
	if (at == WIDTHS)
		return;
	t->chosen++;
	t->missed += b[best].recall[at] < target;
	t->worst = fmax(t->worst, target - b[best].recall[at]);
	t->dearer += b[best].distances[at] / least_distances(b, target) - 1;
}

static void report(const struct built *b, double target, size_t runs)
{
	for (int by_mean = 0; by_mean < 2; by_mean++) {
		struct tally t = {0};
		for (size_t i = 0; i < runs; i++)
			run(b, target, by_mean, &t);
		printf("target %.2f %-15s: of %zu choices %zu missed it (%.2f %%), by %.4f at most; "
		       "%.1f %% more distances than needed\n",
		       target, by_mean ? "by the mean" : "confidence .99", t.chosen, t.missed,
		       t.chosen ? 100.0 * (double)t.missed / (double)t.chosen : 0, t.worst,
		       t.chosen ? 100 * t.dearer / (double)t.chosen : 0);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static const double targets[] = {0.9, 0.95, 0.98};
	static struct built b[COUNT(configs)];
	struct err err = {0};
	if (argc != 5) {
		fprintf(stderr, "usage: tuner_target VECTORS QUERIES METRIC RUNS\n");
		return 2;
	}
	const char *base = argv[1], *file = argv[2];
	metric = strcmp(argv[3], "l2") == 0 ? VEC_L2 : VEC_COSINE;
	kernels = dist_choose(NULL, &err);
	par = par_new(1, &err);
	check(kernels && par && vec_set_open(&set, &base, 1, VEC_BY_SUFFIX, &err) == 0 &&
		  vec_set_open(&asked, &file, 1, VEC_BY_SUFFIX, &err) == 0,
	      &err);
	n = asked.rows;
	queries = mem_array(n * set.dim, sizeof *queries, &err);
	truth = mem_array(n * K, sizeof *truth, &err);
	check(queries && truth, &err);
	for (uint64_t i = 0; i < n; i++)
		vec_set_values(&asked, i, queries + i * set.dim);
	struct truth_job job = {.base = &set,
				.metric = metric,
				.queries = queries,
				.n = n,
				.k = K,
				.par = par,
				.kernels = kernels};
	check(truth_compute(&job, truth, &err) == 0, &err);
	for (size_t i = 0; i < COUNT(configs); i++)
		build(configs[i], &b[i]);
	for (size_t i = 0; i < COUNT(targets); i++)
		report(b, targets[i], strtoul(argv[4], NULL, 10));
	return 0;
}
